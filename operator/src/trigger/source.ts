// What the server asks Kubernetes, in its own thread with a cache of its own.
import { API_VERSION, type Trigger } from '@kadre/crds';
import type { RunManifest } from '@kadre/engine';
import { cachesOf } from '../caches.ts';
import { Manager } from '../kube/index.ts';
import { readSecret, type KubeSourcesOptions } from '../sources.ts';
import { startRun, type Started } from './begin.ts';

export interface TriggerSources {
  /** Resolves when the cache is full. */
  start(): Promise<void>;
  stop(): Promise<void>;
  ready(): boolean;
  triggers: { get(namespace: string, name: string): Trigger | undefined };
  secrets: { read(namespace: string, name: string): Promise<Record<string, string> | undefined> };
  runs: { start(run: RunManifest): Promise<Started> };
}

export function createTriggerSources(options: Omit<KubeSourcesOptions, 'clusterDomain'>): TriggerSources {
  const { client, namespaces } = options;
  const manager = new Manager(options);
  const triggers = cachesOf(manager, namespaces)<Trigger>({ apiVersion: API_VERSION, kind: 'Trigger' });
  return {
    start: () => manager.start(),
    stop: () => manager.stop(),
    ready: () => manager.hasSynced,
    triggers: { get: (namespace, name) => triggers.get(namespace, name) },
    secrets: { read: (namespace, name) => readSecret(client, namespace, name) },
    runs: { start: (run) => startRun(client, run) },
  };
}

// What the tests of the Kubernetes machinery share: clients of a real API server, and a count of what they send.
import type { ControlPlane } from '../../cluster/control-plane.ts';
import { createKubeMetrics } from '../../../operator/src/kube/metrics.ts';
import {
  createCredentials,
  createKubeClient,
  createTransport,
  kubeconfigFile,
} from '../../../operator/src/kube/index.ts';
import type { KubeClient, KubeObject } from '../../../operator/src/kube/index.ts';

export interface Connected {
  client: KubeClient;
  /** Requests answered so far whose method is among `methods`. */
  sent(...methods: string[]): Promise<number>;
}

/** A client with connections of its own, as a process of its own would have. */
export function connectTo(controlPlane: ControlPlane): Connected {
  const metrics = createKubeMetrics();
  const client = createKubeClient({
    transport: createTransport({
      credentials: createCredentials(kubeconfigFile(controlPlane.adminKubeconfigPath)),
      metrics,
    }),
  });
  return {
    client,
    sent: async (...methods) => {
      const { values } = await metrics.requests.get();
      const counted = values.filter(({ labels }) => methods.includes(String(labels.method)));
      return counted.reduce((sum, { value }) => sum + value, 0);
    },
  };
}

/** Waits until `condition` holds; the error after `ms` milliseconds names what was waited for. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  const giveUp = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > giveUp) throw new Error(`Waited ${ms} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const namespace = 'default';

export const configMap = (
  name: string,
  data: Record<string, string> = {},
  labels?: Record<string, string>,
): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace, name, ...(labels ? { labels } : {}) },
  data,
});

export const refTo = (object: KubeObject) => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  namespace,
  name: object.metadata.name,
});

/** Long enough for a machine that builds the control plane first. */
export const startTimeout = 20 * 60_000;

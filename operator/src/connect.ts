import type { Registry } from 'prom-client';
import { knownKinds } from './caches.ts';
import {
  createCredentials,
  createKubeClient,
  createKubeMetrics,
  createTransport,
  kubeconfigFile,
  type KubeClient,
  type KubeMetrics,
} from './kube/index.ts';

export interface Connection {
  client: KubeClient;
  /** Of this connection and of whatever is built on it, in the given registry. */
  metrics: KubeMetrics;
  close(): Promise<void>;
}

/** Opens a connection to the API server: with the given kubeconfig, or as KUBECONFIG, ~/.kube/config or the pod say. */
export function connect(options: { kubeconfig?: string; registry?: Registry; userAgent?: string } = {}): Connection {
  const { kubeconfig, registry, userAgent = 'kadre' } = options;
  const metrics = createKubeMetrics(registry);
  const credentials = createCredentials(kubeconfig === undefined ? {} : kubeconfigFile(kubeconfig));
  const client = createKubeClient({
    transport: createTransport({ credentials, metrics, userAgent }),
    known: knownKinds,
  });
  return { client, metrics, close: () => client.close() };
}

import { labels, type GpuPool, type GpuRequest } from '@kadre/crds';

/** What a pod needs in order to get devices of a pool. */
export interface Devices {
  resources: Record<string, string>;
  nodeSelector?: Record<string, string>;
  tolerations?: NonNullable<GpuPool['spec']['tolerations']>;
  runtimeClassName?: string;
  /** For the metadata of the pod and of the object that makes it. */
  labels: Record<string, string>;
  /** For the metadata of the Job or Deployment only: batch queues such as Kueue read it there. */
  queueLabels: Record<string, string>;
}

export const noDevices: Devices = { resources: {}, labels: {}, queueLabels: {} };

export function devicesOf(pool: GpuPool, request: GpuRequest): Devices {
  const { resourceName, nodeSelector, tolerations, runtimeClassName, queue } = pool.spec;
  return {
    resources: { [resourceName]: String(request.count) },
    ...(nodeSelector && { nodeSelector }),
    ...(tolerations && { tolerations }),
    ...(runtimeClassName !== undefined && { runtimeClassName }),
    labels: { [labels.gpuPool]: pool.metadata.name },
    queueLabels: queue ? { [queue.label]: queue.name } : {},
  };
}

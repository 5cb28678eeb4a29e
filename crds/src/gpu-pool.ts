// GpuPool: devices that an administrator offers, and how pods reach them.
import { z } from 'zod';
import { condition, type Resource } from './meta.ts';

const toleration = z.object({
  key: z.string().max(316).optional().describe('The key of the taint. Absent: any.'),
  operator: z.enum(['Exists', 'Equal']).optional().describe('How the value is compared.'),
  value: z.string().max(63).optional().describe('The value of the taint.'),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional().describe('The effect of the taint. Absent: any.'),
});

export const gpuPoolSpec = z.object({
  resourceName: z.string().min(3).max(253).default('nvidia.com/gpu').describe('The extended resource that one device is.'),
  nodeSelector: z.record(z.string().max(316), z.string().max(63)).optional().describe('The labels of the nodes of this pool.'),
  tolerations: z.array(toleration).max(32).optional().describe('The taints of these nodes that pods must tolerate.'),
  runtimeClassName: z.string().max(253).optional().describe('The RuntimeClass that the devices need.'),
  queue: z
    .object({
      label: z.string().max(316).default('kueue.x-k8s.io/queue-name').describe('The label that names the queue.'),
      name: z.string().min(1).max(63).describe('The name of the queue.'),
    })
    .optional()
    .describe('The batch queue through which Jobs wait their turn.'),
});

export const gpuPoolStatus = z.object({
  observedGeneration: z.int().optional(),
  nodes: z.int().optional().describe('How many nodes belong to the pool.'),
  capacity: z.int().optional().describe('How many devices these nodes have.'),
  inUse: z.int().optional().describe('How many devices are taken by pods on these nodes.'),
  waiting: z.int().optional().describe('How many devices pending pods of Kadre wait for.'),
  conditions: z.array(condition).optional(),
});

export type GpuPoolSpec = z.infer<typeof gpuPoolSpec>;
export type GpuPoolStatus = z.infer<typeof gpuPoolStatus>;
export type GpuPool = Resource<GpuPoolSpec, GpuPoolStatus>;

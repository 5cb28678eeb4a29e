// GpuPool: devices that an administrator offers, and how pods reach them.
import { z } from 'zod';
import { objectName } from './common.ts';
import { rules } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';

/** A label or taint key: a name, with or without a domain before it. */
const qualifiedName = z
  .string()
  .min(1)
  .max(316)
  .regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/);

const labelValue = z
  .string()
  .max(63)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/)
  .describe('The value of the label.');

const toleration = z
  .object({
    key: qualifiedName.optional().describe('The key of the taint. Absent: any.'),
    operator: z.enum(['Exists', 'Equal']).optional().describe('How the value is compared. Absent: Equal.'),
    value: labelValue.optional().describe('The value of the taint.'),
    effect: z
      .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
      .optional()
      .describe('The effect of the taint. Absent: any.'),
  })
  .meta(
    rules(
      {
        message: 'operator Exists takes any value: remove value, or use operator Equal',
        rule: `!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''`,
      },
      {
        message: 'without a key, every taint is meant: set operator to Exists, or name the key',
        rule: `has(self.key) || (has(self.operator) && self.operator == 'Exists')`,
      },
    ),
  )
  .describe('One taint that pods may stand.');

const resourceName = z
  .string()
  .min(3)
  .max(253)
  .meta(
    rules({
      message: 'an extended resource is named domain/name, such as nvidia.com/gpu or nvidia.com/mig-1g.5gb',
      rule: `self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$')`,
    }),
  );

export const gpuPoolSpec = z.object({
  resourceName: resourceName.default('nvidia.com/gpu').describe('The extended resource that one device is.'),
  nodeSelector: z
    .record(z.string().max(316), labelValue)
    .meta({ maxProperties: 32 })
    .optional()
    .describe('The labels of the nodes of this pool.'),
  tolerations: z.array(toleration).max(32).optional().describe('The taints of these nodes that pods must tolerate.'),
  runtimeClassName: objectName.optional().describe('The RuntimeClass that the devices need.'),
  queue: z
    .object({
      label: qualifiedName.default('kueue.x-k8s.io/queue-name').describe('The label that names the queue.'),
      name: labelValue.min(1).describe('The name of the queue.'),
    })
    .optional()
    .describe('The batch queue through which Jobs wait their turn.'),
});

export const gpuPoolStatus = z.object({
  observedGeneration,
  nodes: z.int().optional().describe('How many nodes belong to the pool.'),
  capacity: z.int().optional().describe('How many devices these nodes have.'),
  inUse: z.int().optional().describe('How many devices the pods of Kadre hold; those of others are not counted.'),
  waiting: z.int().optional().describe('How many devices the pods and queued Jobs of Kadre wait for.'),
  conditions,
});

export type GpuPoolSpec = z.infer<typeof gpuPoolSpec>;
export type GpuPoolStatus = z.infer<typeof gpuPoolStatus>;
export type GpuPool = Resource<GpuPoolSpec, GpuPoolStatus>;

import type { GpuPool } from '@kadre/crds';
import type { Job, Node, Pod } from '../build/wire.ts';

/** All that a decision about a GpuPool rests on. */
export interface GpuPoolSnapshot {
  pool: GpuPool;
  nodes: Node[];
  /** Pods of Kadre that carry the pool's label. */
  pods: Pod[];
  /** Jobs of Kadre that carry the pool's label; a batch queue holds them back by suspending them. */
  jobs: Job[];
}

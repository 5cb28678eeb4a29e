// What a GpuPool has, what of it is taken, and whether it may go.
import { finalizers } from '@kadre/crds';
import { conditionsOf } from '../build/readiness.ts';
import { isTrue, type Job, type Pod } from '../build/wire.ts';
import type { GpuPoolSnapshot } from './observe.ts';
import type { Health } from '../kube/conditions.ts';
import type { Plan } from '../kube/plan.ts';

export function decideGpuPool(snapshot: GpuPoolSnapshot, now: Date): Plan {
  const { pool } = snapshot;
  const usage = poolUsage(snapshot);
  const leaving = pool.metadata.deletionTimestamp !== undefined;
  if (leaving && usage.inUse === 0) return { finalizers: [] };
  const { generation } = pool.metadata;
  const health = leaving ? stillHeld(usage.inUse) : offering(snapshot, usage);
  return {
    finalizers: [finalizers.gpuPoolInUse],
    status: {
      observedGeneration: generation,
      ...usage,
      conditions: conditionsOf(pool, health, [], now),
    },
  };
}

type PoolUsage = Record<'nodes' | 'capacity' | 'inUse' | 'waiting', number>;

/**
 * `inUse` counts the devices of Kadre's own pods. To count those of strangers as well would mean to watch every pod of the
 * cluster, most of which have no device.
 */
function poolUsage({ pool, nodes, pods, jobs }: GpuPoolSnapshot): PoolUsage {
  const { resourceName, nodeSelector } = pool.spec;
  const offers = (node: (typeof nodes)[number]) => Number(node.status?.allocatable?.[resourceName] ?? 0);
  const selected = (node: (typeof nodes)[number]) =>
    nodeSelector
      ? Object.entries(nodeSelector).every(([key, value]) => node.metadata.labels?.[key] === value)
      : offers(node) > 0;
  const members = nodes.filter((node) => node.metadata.deletionTimestamp === undefined && selected(node));
  const living = pods.filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed');
  const [placed, unplaced] = [living.filter(isPlaced), living.filter((pod) => !isPlaced(pod))];
  return {
    nodes: members.length,
    capacity: sum(members.map(offers)),
    inUse: sum(placed.map((pod) => devicesOfPod(pod, resourceName))),
    waiting: sum([
      ...unplaced.map((pod) => devicesOfPod(pod, resourceName)),
      ...jobs.filter(isHeldBack).map((job) => devicesOfContainers(job.spec?.template?.spec?.containers, resourceName)),
    ]),
  };
}

const isPlaced = (pod: Pod): boolean => pod.spec?.nodeName !== undefined;
const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0);

function isHeldBack(job: Job): boolean {
  const over = isTrue(job.status?.conditions, 'Complete') || isTrue(job.status?.conditions, 'Failed');
  return job.spec?.suspend === true && !over && job.metadata.deletionTimestamp === undefined;
}

function devicesOfPod(pod: Pod, resourceName: string): number {
  return devicesOfContainers(pod.spec?.containers, resourceName);
}

function devicesOfContainers(containers: NonNullable<Pod['spec']>['containers'], resourceName: string): number {
  return sum((containers ?? []).map(({ resources }) => Number(resources?.requests?.[resourceName] ?? 0)));
}

function offering({ pool }: GpuPoolSnapshot, { nodes, capacity }: PoolUsage): Health {
  const { resourceName } = pool.spec;
  if (capacity > 0)
    return { state: 'ready', reason: 'Available', message: `${capacity} of ${resourceName} on ${nodes} nodes.` };
  // Not a failure: an autoscaler may add nodes as soon as pods wait for them.
  const message = nodes > 0 ? `The nodes of the pool offer no ${resourceName}.` : 'No node belongs to the pool.';
  return { state: 'ready', reason: 'NoCapacity', message: `${message} Pods wait until one does.` };
}

function stillHeld(inUse: number): Health {
  const message = `Pods of Kadre still hold ${inUse} devices. The pool goes when they are done.`;
  return { state: 'progressing', reason: 'InUse', message };
}

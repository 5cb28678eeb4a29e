import { describe, expect, test } from '@jest/globals';
import { finalizers, type GpuPoolStatus } from '@kadre/crds';
import { pool } from '../build/samples.ts';
import { decideGpuPool } from './decide.ts';
import type { GpuPoolSnapshot } from './observe.ts';
import type { Job, Node, Pod } from '../build/wire.ts';

const now = new Date('2026-01-01T12:00:00.000Z');
const GPU = 'nvidia.com/gpu';
const requesting = (count: number) => [{ name: 'c', resources: { requests: { [GPU]: String(count) } } }];

const node = (name: string, devices?: number, labels: Record<string, string> = {}): Node => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels },
  status: { allocatable: { cpu: '4', ...(devices !== undefined && { [GPU]: String(devices) }) } },
});

const pod = (phase: string, count: number, nodeName?: string): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: { containers: requesting(count), ...(nodeName !== undefined && { nodeName }) },
  status: { phase },
});

const suspended: Job = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'j' },
  spec: { suspend: true, template: { spec: { containers: requesting(4) } } },
};

const decide = (more: Partial<GpuPoolSnapshot>) =>
  decideGpuPool({ pool: pool(), nodes: [], pods: [], jobs: [], ...more }, now);
const statusOf = (more: Partial<GpuPoolSnapshot>) => decide(more).status as GpuPoolStatus | undefined;

describe('what a pool has', () => {
  test.each<[string, Partial<GpuPoolSnapshot>, Partial<GpuPoolStatus>]>([
    [
      'without a selector, the nodes that offer the device',
      { nodes: [node('a', 4), node('b'), node('c', 2)] },
      { nodes: 2, capacity: 6 },
    ],
    [
      'with one, the nodes that it selects',
      {
        pool: pool({ nodeSelector: { kind: 'a100' } }),
        nodes: [node('a', 4, { kind: 'a100' }), node('b', 8), node('c', undefined, { kind: 'a100' })],
      },
      { nodes: 2, capacity: 4 },
    ],
    [
      'placed pods hold devices, finished ones do not',
      { pods: [pod('Running', 2, 'a'), pod('Succeeded', 4, 'a')] },
      { inUse: 2, waiting: 0 },
    ],
    ['pods without a node wait', { pods: [pod('Pending', 1)] }, { inUse: 0, waiting: 1 }],
    ['Jobs that a queue holds back wait as well', { jobs: [suspended] }, { waiting: 4 }],
    [
      'Jobs that are over wait no more',
      { jobs: [{ ...suspended, status: { conditions: [{ type: 'Failed', status: 'True' }] } }] },
      { waiting: 0 },
    ],
  ])('%s', (_, snapshot, status) => {
    expect(statusOf(snapshot)).toMatchObject(status);
  });

  test('no node yet is no failure: an autoscaler may bring one', () => {
    const ready = statusOf({})?.conditions?.find(({ type }) => type === 'Ready');
    expect(ready).toMatchObject({ status: 'True', reason: 'NoCapacity' });
  });
});

describe('a pool that is deleted', () => {
  const leaving = { ...pool(), metadata: { ...pool().metadata, deletionTimestamp: '2026-01-01T11:59:59Z' } };

  test('stays while pods of Kadre hold its devices', () => {
    const plan = decide({ pool: leaving, pods: [pod('Running', 1, 'a')] });
    expect(plan.finalizers).toEqual([finalizers.gpuPoolInUse]);
    expect((plan.status as GpuPoolStatus).conditions?.[0]?.reason).toBe('InUse');
  });

  test('goes when they are done, even if others wait for it', () => {
    expect(decide({ pool: leaving, pods: [pod('Succeeded', 1, 'a'), pod('Pending', 1)] })).toEqual({ finalizers: [] });
  });
});

import type { Api } from './api.ts';

/** A node that exists on paper only. Pods are placed on it and never start. */
export interface FakeNode {
  /** Default `fake-node`. */
  readonly name?: string;
  /** Quantities by resource, over the default of 32 CPUs, 128Gi of memory and 1000 pods: `{ 'nvidia.com/gpu': '8' }`. */
  readonly capacity?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly { key: string; value?: string; effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute' }[];
}

const defaultCapacity = { cpu: '32', memory: '128Gi', pods: '1000', 'ephemeral-storage': '100Gi' };

/** Registers the node, ready and with all of its capacity allocatable; called again, it changes the node. */
export async function addFakeNode(api: Api, node: FakeNode = {}): Promise<void> {
  const { name = 'fake-node', capacity = {}, labels = {}, taints = [] } = node;
  const path = `/api/v1/nodes/${name}`;
  const identity = { apiVersion: 'v1', kind: 'Node' };
  const metadata = { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', ...labels } };
  await api.apply(path, { ...identity, metadata });
  const resources = { ...defaultCapacity, ...capacity };
  const now = new Date().toISOString();
  const ready = { type: 'Ready', status: 'True', reason: 'Fake', lastHeartbeatTime: now, lastTransitionTime: now };
  const status = { capacity: resources, allocatable: resources, conditions: [ready] };
  await api.apply(`${path}/status`, { ...identity, metadata: { name }, status });
  // Admission taints every new node as not ready; only a merge takes that away from it.
  await api.merge(path, { spec: { taints } });
}

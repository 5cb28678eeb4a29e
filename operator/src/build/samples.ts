// Objects for tests, as the API server would serve them.
import {
  API_VERSION,
  type Agent,
  type Condition,
  type GpuPool,
  type Model,
  type ObjectMeta,
  type Run,
  type Tool,
  type Workflow,
} from '@kadre/crds';
import type { Settings } from './settings.ts';

export const settings: Settings = {
  runtimeImage: 'kadre-runtime:1',
  gatewayUrl: 'http://kadre-gateway.kadre-system.svc',
  systemNamespace: 'kadre-system',
};

function metadata(name: string, more: Partial<ObjectMeta> = {}): ObjectMeta {
  return {
    name,
    namespace: 'team',
    uid: `uid-${name}`,
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '2026-01-01T11:59:00Z',
    ...more,
  };
}

function conditions(ready: boolean, reason: string): Condition[] {
  const condition = (type: string, holds: boolean): Condition => ({
    type,
    status: holds ? 'True' : 'False',
    reason,
    message: 'Said by a test.',
    lastTransitionTime: '2026-01-01T11:59:00.000Z',
    observedGeneration: 1,
  });
  return [condition('Ready', ready), condition('Reconciling', false), condition('Stalled', !ready)];
}

/** A status as its controller would write it about generation 1. */
export function judged(ready: boolean, reason = ready ? 'Ready' : 'Broken') {
  return { observedGeneration: 1, conditions: conditions(ready, reason) };
}

export function agent(spec: Partial<Agent['spec']> = {}, more: Partial<ObjectMeta> = {}): Agent {
  return {
    apiVersion: API_VERSION,
    kind: 'Agent',
    metadata: metadata('writer', more),
    spec: { instructions: 'Write.', model: 'claude', ...spec },
  };
}

export function serving(
  more: Partial<NonNullable<Agent['spec']['serving']>> = {},
): NonNullable<Agent['spec']['serving']> {
  return { replicas: 1, logLevel: 'info', ...more };
}

export function model(spec: Partial<Model['spec']> = {}): Model {
  return {
    apiVersion: API_VERSION,
    kind: 'Model',
    metadata: metadata('claude'),
    spec: { provider: 'simulated', ...spec },
    status: judged(true),
  };
}

export function tool(spec: Tool['spec'], more: Partial<ObjectMeta> = {}): Tool {
  return { apiVersion: API_VERSION, kind: 'Tool', metadata: metadata('search', more), spec };
}

export function pool(spec: Partial<GpuPool['spec']> = {}): GpuPool {
  return {
    apiVersion: API_VERSION,
    kind: 'GpuPool',
    metadata: metadata('a100'),
    spec: { resourceName: 'nvidia.com/gpu', ...spec },
  };
}

export function workflow(steps: Workflow['spec']['steps']): Workflow {
  return { apiVersion: API_VERSION, kind: 'Workflow', metadata: metadata('article'), spec: { steps } };
}

export function run(spec: Run['spec'] = { workflow: { name: 'article' } }, more: Partial<ObjectMeta> = {}): Run {
  return { apiVersion: API_VERSION, kind: 'Run', metadata: metadata('article-1', more), spec };
}

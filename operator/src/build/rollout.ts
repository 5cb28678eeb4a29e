// How far the pods of a Deployment are.
import type { Health } from '../kube/conditions.ts';
import { podTrouble } from './pod-trouble.ts';
import { conditionOf, isTrue, type Deployment, type Pod } from './wire.ts';

/** Undefined when all pods that are wanted are there, and no others. */
export function rolloutHealth({ metadata, spec, status }: Deployment, pods: Pod[]): Health | undefined {
  const wanted = spec?.replicas ?? 1;
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status ?? {};
  const current = observedGeneration >= (metadata.generation ?? 0);
  if (current && updatedReplicas === wanted && replicas === wanted && availableReplicas === wanted) return undefined;
  const late = conditionOf(status?.conditions, 'Progressing')?.reason === 'ProgressDeadlineExceeded';
  const state = current && late ? 'stalled' : 'progressing';
  const trouble = podTrouble(pods);
  if (trouble) return { state, ...trouble };
  if (isTrue(status?.conditions, 'ReplicaFailure')) {
    const said = conditionOf(status?.conditions, 'ReplicaFailure')?.message ?? 'no reason given';
    return { state, reason: 'PodsRefused', message: `The API server refuses the pods: ${said}` };
  }
  return {
    state,
    reason: 'RollingOut',
    message: `${Math.min(availableReplicas, updatedReplicas)} of ${wanted} pods of this generation are available.`,
  };
}

import { agentChildName, servingSelector } from '../../build/metadata.ts';
import { childMetadata, type Build, type Serving } from './context.ts';
import type { KubeObject } from '../../kube/plan.ts';

export function desiredAutoscaler({ agent }: Build, autoscaling: NonNullable<Serving['autoscaling']>): KubeObject {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: childMetadata(agent),
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: agentChildName(agent.metadata.name) },
      minReplicas: autoscaling.minReplicas,
      maxReplicas: autoscaling.maxReplicas,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: autoscaling.targetCpu } },
        },
      ],
    },
  };
}

/** Keeps all but one pod through drains. Not for a single pod: it protects nothing there. */
export function desiredDisruptionBudget({ agent }: Build): KubeObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: childMetadata(agent),
    spec: {
      maxUnavailable: 1,
      selector: { matchLabels: servingSelector(agent.metadata.name) },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  };
}

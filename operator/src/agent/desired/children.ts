// Everything that an agent consists of.
import { desiredDeployment } from './deployment.ts';
import { desiredIngress, desiredRoute } from './exposure.ts';
import { desiredNetworkPolicy } from './network-policy.ts';
import { desiredAutoscaler, desiredDisruptionBudget } from './scaling.ts';
import { desiredService, desiredServiceAccount } from './service.ts';
import type { Build, Serving } from './context.ts';
import type { KubeObject } from '../../kube/plan.ts';

/** `routes`: whether the cluster knows HTTPRoute. */
export function desiredChildren(build: Build, routes: boolean): KubeObject[] {
  const { runtime, serving } = build.agent.spec;
  return [
    ...(runtime?.serviceAccountName === undefined ? [desiredServiceAccount(build)] : []),
    desiredNetworkPolicy(build),
    ...(serving ? servingChildren(build, serving, routes) : []),
  ];
}

function servingChildren(build: Build, serving: Serving, routes: boolean): KubeObject[] {
  const { autoscaling, expose } = serving;
  const mostPods = autoscaling?.maxReplicas ?? serving.replicas;
  return [
    desiredService(build),
    desiredDeployment(build, serving),
    ...(autoscaling ? [desiredAutoscaler(build, autoscaling)] : []),
    ...(mostPods > 1 ? [desiredDisruptionBudget(build)] : []),
    ...(expose?.gateway && routes ? [desiredRoute(build, expose, expose.gateway)] : []),
    ...(expose?.ingress ? [desiredIngress(build, expose, expose.ingress)] : []),
  ];
}

// Whether an agent can be reached from outside the cluster.
import { conditionOf, type HttpRoute } from '../build/wire.ts';
import type { Fact } from '../build/readiness.ts';
import type { AgentSnapshot } from './observe.ts';

/** `settled`: false while somebody else is still at work on it. */
export interface Exposure {
  fact: Fact;
  settled: boolean;
}

export function exposure(snapshot: AgentSnapshot): Exposure | undefined {
  const expose = snapshot.agent.spec.serving?.expose;
  if (!expose) return undefined;
  if (expose.gateway) return throughGateway(snapshot, expose.gateway.name);
  return throughIngress(snapshot);
}

function throughGateway({ routes, children }: AgentSnapshot, gateway: string): Exposure {
  if (!routes) {
    return unexposed(
      'GatewayApiMissing',
      'The cluster does not know HTTPRoute of gateway.networking.k8s.io/v1. Install the Gateway API, or use expose.ingress.',
      true,
    );
  }
  const route = children.find((child) => child.kind === 'HTTPRoute') as HttpRoute | undefined;
  const parents = route?.status?.parents?.filter(({ parentRef }) => parentRef.name === gateway) ?? [];
  const generation = route?.metadata.generation ?? 0;
  const verdicts = parents.map(({ conditions }) => {
    const judged = ['Accepted', 'ResolvedRefs'].map((type) => conditionOf(conditions, type));
    const refused = judged.find((condition) => condition?.status === 'False');
    const current = judged.every((condition) => (condition?.observedGeneration ?? generation) >= generation);
    return {
      accepted: current && judged.every((condition) => condition?.status === 'True'),
      refused: current ? refused : undefined,
    };
  });
  if (verdicts.some(({ accepted }) => accepted)) return exposed('Accepted', `Gateway ${gateway} routes to the agent.`);
  const refused = verdicts.find((verdict) => verdict.refused)?.refused;
  if (refused) {
    const said = refused.message ?? 'it gives no reason';
    return unexposed(refused.reason ?? 'Refused', `Gateway ${gateway} refuses the route: ${said}`, true);
  }
  return unexposed(
    'RouteNotAccepted',
    `No controller has accepted the route to Gateway ${gateway} yet. Does it exist?`,
    false,
  );
}

function throughIngress({ children }: AgentSnapshot): Exposure {
  return children.some((child) => child.kind === 'Ingress')
    ? exposed('IngressApplied', 'The Ingress is in place; whether it is served is up to its controller.')
    : unexposed('Applying', 'The Ingress is being made.', false);
}

function exposed(reason: string, message: string): Exposure {
  return { fact: { type: 'Exposed', status: 'True', reason, message }, settled: true };
}

function unexposed(reason: string, message: string, settled: boolean): Exposure {
  return { fact: { type: 'Exposed', status: 'False', reason, message }, settled };
}

import { AGENT_PORT, labels, MANAGER } from '@kadre/crds';
import { dnsEgress, fromNamespace } from '../../build/network.ts';
import { childMetadata, type Build } from './context.ts';
import type { KubeObject } from '../../kube/plan.ts';

/** Where the gateway's pods listen; a policy sees the port of the pod, not that of the Service. */
const GATEWAY_PORT = 8081;

/**
 * The wall around an agent's pods, those of its steps' Jobs included: out to DNS and to the gateway, nothing else; in from
 * its own namespace and the control plane, or from anywhere once it is exposed.
 */
export function desiredNetworkPolicy({ agent, settings }: Build): KubeObject {
  const callers = [{ podSelector: {} }, { namespaceSelector: fromNamespace(settings.systemNamespace) }];
  const http = { ports: [{ port: AGENT_PORT, protocol: 'TCP' }] };
  const exposed = agent.spec.serving?.expose !== undefined;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMetadata(agent),
    spec: {
      podSelector: { matchLabels: { [labels.agent]: agent.metadata.name } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [exposed ? http : { ...http, from: callers }],
      egress: [
        dnsEgress,
        {
          ports: [{ port: GATEWAY_PORT, protocol: 'TCP' }],
          to: [
            {
              namespaceSelector: fromNamespace(settings.systemNamespace),
              podSelector: { matchLabels: { [labels.name]: MANAGER } },
            },
          ],
        },
      ],
    },
  };
}

import { AGENT_PORT, labels, MANAGER } from '@kadre/crds';
import { childMetadata, type Build } from './context.ts';
import type { KubeObject } from '../../kube/plan.ts';

/** Where the gateway's pods listen; a policy sees the port of the pod, not that of the Service. */
const GATEWAY_PORT = 8081;

/**
 * The wall around an agent's pods, those of its steps' Jobs included: out to DNS and to the gateway, nothing else; in from
 * its own namespace and the control plane, or from anywhere once it is exposed.
 */
export function desiredNetworkPolicy({ agent, settings }: Build): KubeObject {
  const inNamespace = (name: string) => ({ matchLabels: { 'kubernetes.io/metadata.name': name } });
  const callers = [{ podSelector: {} }, { namespaceSelector: inNamespace(settings.systemNamespace) }];
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
        { ports: dnsPorts, to: [{ namespaceSelector: {} }, { ipBlock: { cidr: NODE_LOCAL_DNS } }] },
        {
          ports: [{ port: GATEWAY_PORT, protocol: 'TCP' }],
          to: [
            {
              namespaceSelector: inNamespace(settings.systemNamespace),
              podSelector: { matchLabels: { [labels.name]: MANAGER } },
            },
          ],
        },
      ],
    },
  };
}

/** The address of NodeLocal DNSCache, which is no pod. Resolvers outside the cluster stay out of reach. */
const NODE_LOCAL_DNS = '169.254.20.10/32';

/** 5353 is where OpenShift's DNS pods listen behind port 53 of their Service. */
const dnsPorts = [
  { port: 53, protocol: 'UDP' },
  { port: 53, protocol: 'TCP' },
  { port: 5353, protocol: 'UDP' },
  { port: 5353, protocol: 'TCP' },
];

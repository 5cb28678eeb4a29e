import { servingSelector } from '../../build/metadata.ts';
import { childMetadata, type Build } from './context.ts';
import type { KubeObject } from '../../kube/plan.ts';

/** `http://<agent>.<namespace>.svc`: the one child that carries the agent's own name. */
export function desiredService({ agent }: Build): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: childMetadata(agent, agent.metadata.name),
    spec: {
      selector: servingSelector(agent.metadata.name),
      ports: [{ name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' }],
    },
  };
}

/** The identity of the agent's pods; the gateway knows them by it. */
export function desiredServiceAccount({ agent }: Build): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: childMetadata(agent),
    automountServiceAccountToken: false,
  };
}

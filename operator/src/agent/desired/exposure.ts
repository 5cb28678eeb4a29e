import { exposedPath } from '../address.ts';
import { childMetadata, type Build, type Expose } from './context.ts';
import type { KubeObject } from '../../kube/plan.ts';

export function desiredRoute({ agent }: Build, expose: Expose, gateway: NonNullable<Expose['gateway']>): KubeObject {
  const path = exposedPath(agent);
  const toRoot = { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } } };
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: childMetadata(agent),
    spec: {
      parentRefs: [
        {
          group: 'gateway.networking.k8s.io',
          kind: 'Gateway',
          name: gateway.name,
          ...(gateway.namespace !== undefined && { namespace: gateway.namespace }),
          ...(gateway.sectionName !== undefined && { sectionName: gateway.sectionName }),
        },
      ],
      hostnames: [expose.host],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: path === '' ? '/' : path } }],
          ...(path !== '' && { filters: [toRoot] }),
          backendRefs: [{ group: '', kind: 'Service', name: agent.metadata.name, port: 80, weight: 1 }],
          // Answers are streamed for as long as the model talks.
          timeouts: { request: '0s' },
        },
      ],
    },
  };
}

export function desiredIngress({ agent }: Build, expose: Expose, ingress: NonNullable<Expose['ingress']>): KubeObject {
  const path = exposedPath(agent);
  const tls = ingress.tls;
  const annotations = {
    ...(tls?.issuer !== undefined && { 'cert-manager.io/issuer': tls.issuer }),
    ...(tls?.clusterIssuer !== undefined && { 'cert-manager.io/cluster-issuer': tls.clusterIssuer }),
  };
  const service = { name: agent.metadata.name, port: { name: 'http' } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { ...childMetadata(agent), ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: {
      ...(ingress.className !== undefined && { ingressClassName: ingress.className }),
      rules: [
        {
          host: expose.host,
          http: { paths: [{ path: path === '' ? '/' : path, pathType: 'Prefix', backend: { service } }] },
        },
      ],
      ...(tls && { tls: [{ hosts: [expose.host], secretName: tls.secretName }] }),
    },
  };
}

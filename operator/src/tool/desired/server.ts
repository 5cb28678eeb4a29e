// What the server of a Tool consists of that Kadre runs: pods, a Service before them, and a wall around them.
import { labels, MANAGER, toolServerName, type Tool, type ToolServer } from '@kadre/crds';
import { noDevices } from '../../build/devices.ts';
import { controllerOf, managedLabels } from '../../build/metadata.ts';
import { dnsEgress, fromNamespace } from '../../build/network.ts';
import { literal, restrictedPod } from '../../build/pod.ts';
import { completeResources } from '../../build/resources.ts';
import type { Settings } from '../../build/settings.ts';
import type { ContainerSpec, DeploymentSpec } from '../../build/wire.ts';
import type { KubeObject } from '../../kube/plan.ts';

export function desiredServer(tool: Tool, server: ToolServer, settings: Settings): KubeObject[] {
  return [
    desiredNetworkPolicy(tool, server, settings),
    desiredService(tool),
    desiredDeployment(tool, server, settings),
  ];
}

const selectorOf = ({ metadata }: Tool): Record<string, string> => ({
  [labels.tool]: metadata.name,
  [labels.component]: 'tool',
});

const childMetadata = (tool: Tool): KubeObject['metadata'] => ({
  name: toolServerName(tool.metadata.name),
  namespace: tool.metadata.namespace ?? '',
  labels: { ...managedLabels('tool'), [labels.tool]: tool.metadata.name },
  ownerReferences: [controllerOf(tool)],
});

function desiredDeployment(tool: Tool, server: ToolServer, settings: Settings): KubeObject {
  const metadata = childMetadata(tool);
  const spec: DeploymentSpec = {
    replicas: server.replicas,
    selector: { matchLabels: selectorOf(tool) },
    revisionHistoryLimit: 3,
    progressDeadlineSeconds: 300,
    template: {
      metadata: { labels: { ...metadata.labels } },
      spec: {
        ...restrictedPod({
          devices: noDevices,
          gatewayToken: false,
          ...(server.runtimeClassName !== undefined && { runtimeClassName: server.runtimeClassName }),
          container: containerOf(server, settings),
        }),
        terminationGracePeriodSeconds: 30,
      },
    },
  };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec };
}

function containerOf(server: ToolServer, { imagePullPolicy }: Settings): ContainerSpec {
  const { image, command, args, env = [], envFrom, port, resources } = server;
  // The protocol has no health check of its own: whether it listens is all that can be asked.
  const listens = { tcpSocket: { port: 'mcp' }, timeoutSeconds: 3 };
  return {
    name: 'server',
    image,
    ...(imagePullPolicy && { imagePullPolicy }),
    ...(command && { command: command.map(literal) }),
    ...(args && { args: args.map(literal) }),
    env: env.map(({ name, value }) => ({ name, value: literal(value) })),
    ...(envFrom && { envFrom: [{ secretRef: { name: envFrom.secretRef.name } }] }),
    ports: [{ name: 'mcp', containerPort: port, protocol: 'TCP' }],
    resources: completeResources(resources),
    startupProbe: { ...listens, periodSeconds: 1, failureThreshold: 120 },
    readinessProbe: { ...listens, periodSeconds: 5, failureThreshold: 2 },
    livenessProbe: { ...listens, periodSeconds: 10, failureThreshold: 3 },
  };
}

function desiredService(tool: Tool): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: childMetadata(tool),
    spec: {
      selector: selectorOf(tool),
      ports: [{ name: 'mcp', port: 80, targetPort: 'mcp', protocol: 'TCP' }],
    },
  };
}

/** In from the control plane alone, which checks each call; out to DNS and to what the Tool names. */
function desiredNetworkPolicy(tool: Tool, { port, egress = [] }: ToolServer, settings: Settings): KubeObject {
  const controlPlane = {
    namespaceSelector: fromNamespace(settings.systemNamespace),
    podSelector: { matchLabels: { [labels.name]: MANAGER } },
  };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMetadata(tool),
    spec: {
      podSelector: { matchLabels: selectorOf(tool) },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ ports: [{ port, protocol: 'TCP' }], from: [controlPlane] }],
      egress: [
        dnsEgress,
        ...egress.map(({ cidr, except, ports }) => ({
          ports: ports.map((one) => ({ port: one, protocol: 'TCP' })),
          to: [{ ipBlock: { cidr, ...(except && { except }) } }],
        })),
      ],
    },
  };
}

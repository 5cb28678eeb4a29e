import { AGENT_PORT, runtimeEnv } from '@kadre/crds';
import type { ContainerSpec, DeploymentSpec } from '../../build/wire.ts';
import { agentPod } from '../../build/agent-pod.ts';
import { agentChildName, servingSelector } from '../../build/metadata.ts';
import { basePath, externalUrl, internalUrl } from '../address.ts';
import { childMetadata, type Build, type Serving } from './context.ts';
import type { KubeObject } from '../../kube/plan.ts';

/** The pods that serve the agent. */
export function desiredDeployment(build: Build, serving: Serving): KubeObject {
  const { agent, devices } = build;
  const metadata = childMetadata(agent);
  const selector = servingSelector(agent.metadata.name);
  const replicas = ownReplicas(serving);
  const spec: DeploymentSpec = {
    ...(replicas !== undefined && { replicas }),
    selector: { matchLabels: selector },
    revisionHistoryLimit: 3,
    progressDeadlineSeconds: 300,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    template: {
      metadata: { labels: { ...metadata.labels, ...devices.labels } },
      spec: {
        ...agentPod({ ...build, env: servingEnvironment(build), container: servingContainer }),
        terminationGracePeriodSeconds: 30,
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: 'kubernetes.io/hostname',
            whenUnsatisfiable: 'ScheduleAnyway',
            labelSelector: { matchLabels: selector },
          },
        ],
      },
    },
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      ...metadata,
      name: agentChildName(agent.metadata.name),
      labels: { ...metadata.labels, ...devices.queueLabels },
    },
    spec,
  };
}

/** The number of pods belongs to the autoscaler where there is one; only "none at all" stays with the spec. */
function ownReplicas(serving: Serving): number | undefined {
  return serving.autoscaling && serving.replicas > 0 ? undefined : serving.replicas;
}

function servingEnvironment({ agent, settings }: Build) {
  const path = basePath(agent);
  return [
    { name: runtimeEnv.publicUrl, value: externalUrl(agent) ?? internalUrl(agent, settings) },
    ...(path === undefined ? [] : [{ name: runtimeEnv.basePath, value: path }]),
  ];
}

const probe = (path: string) => ({ httpGet: { path, port: 'http', scheme: 'HTTP' }, timeoutSeconds: 3 });

const servingContainer: Partial<ContainerSpec> = {
  ports: [{ name: 'http', containerPort: AGENT_PORT, protocol: 'TCP' }],
  startupProbe: { ...probe('/healthz'), periodSeconds: 1, failureThreshold: 60 },
  readinessProbe: { ...probe('/readyz'), periodSeconds: 5, failureThreshold: 2 },
  livenessProbe: { ...probe('/healthz'), periodSeconds: 10, failureThreshold: 3 },
  // Whoever still sends requests to a pod that is being removed learns of it in this time.
  lifecycle: { preStop: { sleep: { seconds: 3 } } },
};

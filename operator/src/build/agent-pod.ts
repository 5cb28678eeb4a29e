// The pod of an agent, whether it serves or carries out a single step.
import { agentConfigOf, runtimeEnv, type Agent } from '@kadre/crds';
import type { ContainerSpec, EnvironmentVariable } from './wire.ts';
import { agentServiceAccount } from './metadata.ts';
import { environment, literal, LARGEST_VARIABLE_BYTES, restrictedPod, TOKEN_FILE } from './pod.ts';
import { completeResources } from './resources.ts';
import type { Devices } from './devices.ts';
import type { Settings } from './settings.ts';

/** What the agent-runtime must know of the agent, as JSON. */
function agentConfigJson({ metadata: { name, namespace = '' }, spec }: Agent): string {
  return JSON.stringify(agentConfigOf(name, namespace, spec));
}

/** Bytes by which the configuration exceeds what one environment variable can hold; 0 if it fits. */
export function configExcess(agent: Agent): number {
  return Math.max(0, new TextEncoder().encode(agentConfigJson(agent)).length - LARGEST_VARIABLE_BYTES);
}

/** Variables that every pod of the agent carries. */
function agentEnvironment(agent: Agent, settings: Settings): EnvironmentVariable[] {
  return [
    { name: runtimeEnv.agent, value: literal(agentConfigJson(agent)) },
    { name: runtimeEnv.gatewayUrl, value: settings.gatewayUrl },
    { name: runtimeEnv.tokenFile, value: TOKEN_FILE },
    { name: runtimeEnv.podIp, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
    { name: runtimeEnv.logLevel, value: agent.spec.serving?.logLevel ?? 'info' },
  ];
}

interface AgentPodParts {
  agent: Agent;
  settings: Settings;
  devices: Devices;
  /** Beyond {@link agentEnvironment}. */
  env: EnvironmentVariable[];
  container: Partial<ContainerSpec>;
}

export function agentPod({ agent, settings, devices, env, container }: AgentPodParts) {
  const runtime = agent.spec.runtime;
  return restrictedPod({
    devices,
    gatewayToken: true,
    serviceAccountName: agentServiceAccount(agent.metadata.name, runtime?.serviceAccountName),
    ...(runtime?.runtimeClassName !== undefined && { runtimeClassName: runtime.runtimeClassName }),
    container: {
      name: 'agent',
      image: runtime?.image ?? settings.runtimeImage,
      ...(settings.imagePullPolicy && { imagePullPolicy: settings.imagePullPolicy }),
      resources: completeResources(runtime?.resources, devices.resources),
      env: environment(runtime?.env, [...agentEnvironment(agent, settings), ...env]),
      ...container,
    },
  });
}

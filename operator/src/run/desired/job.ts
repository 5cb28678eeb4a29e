import { annotations, labels, runtimeEnv, type Agent, type ContainerStep, type Run } from '@kadre/crds';
import type { JobSpec, PodSpec } from '../../build/wire.ts';
import { agentPod } from '../../build/agent-pod.ts';
import { completeResources } from '../../build/resources.ts';
import { controllerOf, labelValue, managedLabels } from '../../build/metadata.ts';
import { environment, literal, restrictedPod } from '../../build/pod.ts';
import type { Devices } from '../../build/devices.ts';
import type { JobRequest } from '@kadre/store';
import type { KubeObject } from '../../kube/plan.ts';
import type { Settings } from '../../build/settings.ts';

/** The engine's own timer shall fire first: it knows what to do next. */
const DEADLINE_SLACK_SECONDS = 30;

/** Interrupting a step means to pay for it again. */
const undisturbed = {
  'karpenter.sh/do-not-disrupt': 'true',
  'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
};

export type Work = { container: ContainerStep } | { agent: Agent; stepToken: string };

export interface JobBuild {
  request: JobRequest;
  run: Run;
  work: Work;
  devices: Devices;
  settings: Settings;
}

/** The Job of one attempt at one step. It is created once and never applied again: batch queues change it as they see fit. */
export function desiredJob(build: JobBuild): KubeObject {
  const { request, run, devices, work } = build;
  const stepLabels = {
    ...managedLabels('step'),
    [labels.run]: request.run.uid,
    [labels.runName]: labelValue(request.run.name),
    [labels.step]: labelValue(request.step),
    ...('agent' in work && { [labels.agent]: work.agent.metadata.name }),
    ...devices.labels,
  };
  const stepAnnotations = {
    [annotations.step]: request.step,
    [annotations.attempt]: String(request.attempt),
    [annotations.job]: request.key,
  };
  const spec: JobSpec = {
    backoffLimit: 0,
    ...(request.timeoutMs !== undefined && {
      activeDeadlineSeconds: Math.ceil(request.timeoutMs / 1000) + DEADLINE_SLACK_SECONDS,
    }),
    template: {
      metadata: { labels: stepLabels, annotations: { ...stepAnnotations, ...undisturbed } },
      spec: { ...podOf(build), restartPolicy: 'Never' },
    },
  };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: request.name,
      namespace: request.run.namespace,
      labels: { ...stepLabels, ...devices.queueLabels },
      annotations: stepAnnotations,
      ownerReferences: [controllerOf(run)],
    },
    spec,
  };
}

function podOf({ work, devices, settings }: JobBuild): PodSpec {
  if ('container' in work) return containerPod(work.container, devices, settings);
  return agentPod({
    agent: work.agent,
    settings,
    devices,
    env: [{ name: runtimeEnv.stepToken, value: literal(work.stepToken) }],
    container: { args: ['step'] },
  });
}

function containerPod(step: ContainerStep, devices: Devices, settings: Settings): PodSpec {
  const own = step.input === undefined ? [] : [{ name: 'KADRE_INPUT', value: literal(JSON.stringify(step.input)) }];
  const home = { name: 'HOME', value: '/tmp' };
  const chosen = (step.env ?? []).map(({ name, value }) => ({ name, value: literal(value) }));
  return restrictedPod({
    devices,
    gatewayToken: false,
    container: {
      name: 'step',
      image: step.image,
      ...(settings.imagePullPolicy && { imagePullPolicy: settings.imagePullPolicy }),
      ...(step.command && { command: step.command.map(literal) }),
      ...(step.args && { args: step.args.map(literal) }),
      env: environment([home, ...chosen], own),
      resources: completeResources(step.resources, devices.resources),
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'FallbackToLogsOnError',
    },
  });
}

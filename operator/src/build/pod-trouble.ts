import { conditionOf, type ContainerStatus, type Pod } from './wire.ts';

/** Why a pod does not get going. The message holds neither pod names nor times, so that it stays the same. */
export interface PodTrouble {
  reason: string;
  message: string;
}

/** What is wrong with the first pod that has trouble, in order of name. */
export function podTrouble(pods: Pod[]): PodTrouble | undefined {
  const candidates = pods
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const pod of candidates) {
    const trouble = unschedulable(pod) ?? firstContainerTrouble(pod);
    if (trouble) return trouble;
  }
  return undefined;
}

function unschedulable(pod: Pod): PodTrouble | undefined {
  const scheduled = conditionOf(pod.status?.conditions, 'PodScheduled');
  if (scheduled?.status !== 'False' || scheduled.reason !== 'Unschedulable') return undefined;
  return { reason: 'Unschedulable', message: `No node takes the pod: ${clip(scheduled.message ?? 'no reason given')}` };
}

function firstContainerTrouble(pod: Pod): PodTrouble | undefined {
  for (const status of pod.status?.containerStatuses ?? []) {
    const trouble = containerTrouble(status);
    if (trouble) return trouble;
  }
  return undefined;
}

function containerTrouble(status: ContainerStatus): PodTrouble | undefined {
  const waiting = status.state?.waiting;
  switch (waiting?.reason) {
    // The kubelet goes to and fro between these two; one reason for both keeps the condition from flapping.
    case 'ErrImagePull':
    case 'ImagePullBackOff':
      return {
        reason: 'ImagePullBackOff',
        message: `The image ${status.image ?? ''} can't be pulled. Check its name, and that the nodes may pull it.`,
      };
    case 'InvalidImageName':
    case 'ErrImageNeverPull':
    case 'CreateContainerConfigError':
    case 'CreateContainerError':
    case 'RunContainerError':
      return {
        reason: waiting.reason,
        message: `The container can't start: ${clip(waiting.message ?? waiting.reason)}`,
      };
    case 'CrashLoopBackOff':
      return { reason: 'CrashLoopBackOff', message: `The container keeps ending: ${lastWords(status)}` };
    default:
      return undefined;
  }
}

function lastWords(status: ContainerStatus): string {
  const last = status.lastState?.terminated;
  if (!last) return 'see its log.';
  const said = last.message === undefined ? 'see its log' : clip(last.message.trim());
  return `exit code ${last.exitCode}, ${said}`;
}

function clip(text: string): string {
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}

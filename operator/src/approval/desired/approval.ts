import { API_VERSION, labels, type ApprovalSpec, type Run } from '@kadre/crds';
import type { ApprovalRequest } from '@kadre/store';
import { controllerOf, labelValue, managedLabels } from '../../build/metadata.ts';
import type { KubeObject } from '../../kube/plan.ts';

/** As long as the schema of Approval lets it be. */
const LONGEST_MESSAGE = 32_768;

/** The Approval that shows people what a step asks. It is created once; what is decided is theirs to write. */
export function desiredApproval(request: ApprovalRequest, run: Run): KubeObject {
  return {
    apiVersion: API_VERSION,
    kind: 'Approval',
    metadata: {
      name: request.name,
      namespace: request.run.namespace,
      labels: {
        ...managedLabels('approval'),
        [labels.run]: request.run.uid,
        [labels.runName]: labelValue(request.run.name),
        [labels.step]: labelValue(request.step),
      },
      ownerReferences: [controllerOf(run)],
    },
    spec: askedOf(request),
  };
}

/** What Kadre writes into the spec. */
export function askedOf({
  run,
  step,
  attempt,
  call,
  question,
  message,
  policy,
  requestedBy,
  expiresAt,
}: ApprovalRequest): ApprovalSpec {
  const { groups, users, otherThanRequester, form } = policy;
  return {
    run: run.name,
    step,
    attempt,
    ...(call && { call: call.number }),
    ...(question !== undefined && { question }),
    message: clipped(message),
    ...(groups && { groups }),
    ...(users && { users }),
    ...(otherThanRequester !== undefined && { otherThanRequester }),
    ...(form && { form }),
    ...(requestedBy !== undefined && { requestedBy }),
    ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt).toISOString() }),
  };
}

function clipped(message: string): string {
  return message.length <= LONGEST_MESSAGE ? message : `${message.slice(0, LONGEST_MESSAGE - 1)}…`;
}

// Whether a decision can be taken. Who may decide, the API server has asked already (config/policy/approvals.yaml): it
// alone knows the groups of users. What can be told without, is told here again, for clusters without that policy.
import { schemaProblem } from '@kadre/engine';
import type { ApprovalRecord } from '@kadre/store';

export interface Decision {
  decision: 'approved' | 'rejected';
  by: string;
  answer?: unknown;
}

export interface DecisionProblem {
  reason: 'InvalidAnswer' | 'NotAllowed' | 'TooLate';
  message: string;
}

export function decisionProblem(record: ApprovalRecord, given: Decision, now: Date): DecisionProblem | undefined {
  return tooLate(record, now) ?? notAllowed(record, given.by) ?? invalidAnswer(record, given);
}

function tooLate({ expiresAt }: ApprovalRecord, now: Date): DecisionProblem | undefined {
  if (expiresAt === undefined || now.getTime() < expiresAt) return undefined;
  return { reason: 'TooLate', message: `The time to decide ended at ${new Date(expiresAt).toISOString()}.` };
}

function notAllowed({ policy, requestedBy }: ApprovalRecord, by: string): DecisionProblem | undefined {
  const refuse = (message: string): DecisionProblem => ({ reason: 'NotAllowed', message });
  if (policy.otherThanRequester === true && requestedBy === undefined) {
    return refuse('Somebody else than the requester must decide, and the Run names no requester: start another Run.');
  }
  if (policy.otherThanRequester === true && requestedBy === by) {
    return refuse(`${by} asked for the run: somebody else must decide.`);
  }
  if (policy.users && !policy.groups && !policy.users.includes(by)) {
    return refuse(`${by} may not decide this: ask ${policy.users.join(' or ')}.`);
  }
  return undefined;
}

function invalidAnswer({ policy: { form } }: ApprovalRecord, given: Decision): DecisionProblem | undefined {
  if (!form || given.decision === 'rejected') return undefined;
  const problem = formProblem(form.schema, given.answer ?? null);
  return problem === undefined ? undefined : { reason: 'InvalidAnswer', message: `${problem}: mend spec.answer.` };
}

function formProblem(schema: Record<string, unknown>, answer: unknown): string | undefined {
  try {
    return schemaProblem(schema, answer, 'answer');
  } catch (error) {
    return `the form itself is no JSON Schema (${error instanceof Error ? error.message : String(error)})`;
  }
}

// What to do about one Approval. The first decision that Kadre takes counts, and it is recorded in the store; the object
// shows people what is asked, and what became of it.
import type { Approval } from '@kadre/crds';
import type { ApprovalDecision, ApprovalRecord } from '@kadre/store';
import { refOf } from '../build/wanted.ts';
import { isEqual } from '../kube/apply.ts';
import { askedOf, desiredApproval } from './desired/approval.ts';
import { decisionProblem } from './judge.ts';
import { isOver, openStatus, overStatus, reported } from './status.ts';
import type { ApprovalSnapshot } from './observe.ts';
import type { KubeObject, ObjectRef, Plan } from '../kube/plan.ts';

export type ApprovalAct =
  | { do: 'wait'; requeueAfter?: number }
  | { do: 'ask'; approval: KubeObject }
  /** It is the Run's own and does not say what is asked: it is made anew once it has gone. */
  | { do: 'remove'; ref: ObjectRef }
  /** Nobody can be asked: the name is taken by an object that is not Kadre's. */
  | { do: 'complain'; note: string }
  /** Record it in the store, then look again. */
  | { do: 'take'; decision: ApprovalDecision }
  | { do: 'report'; plan: Plan };

const RUN_RECHECK_MS = 10_000;

export function decideApproval({ record, run, approval }: ApprovalSnapshot, now: Date): ApprovalAct {
  if (record?.state === 'open') {
    if (approval) return follow(record, approval, now);
    // Without its Run it would be garbage at once. If the Run is gone for good, the engine is told and withdraws it.
    if (!run || run.metadata.deletionTimestamp !== undefined) return { do: 'wait', requeueAfter: RUN_RECHECK_MS };
    return { do: 'ask', approval: desiredApproval(record, run) };
  }
  const ofARun = approval?.metadata.ownerReferences?.some(({ kind }) => kind === 'Run') ?? false;
  if (!approval || (record ? !isOurs(record, approval) : !ofARun)) return { do: 'wait' };
  return { do: 'report', plan: reported(approval, overStatus(approval, record, now)) };
}

function follow(record: ApprovalRecord, approval: Approval, now: Date): ApprovalAct {
  if (!isOurs(record, approval)) {
    const note = `There is another Approval named ${record.name}, which is not Kadre's: delete it, so that people can be asked.`;
    return { do: 'complain', note };
  }
  if (approval.metadata.deletionTimestamp !== undefined) return { do: 'wait' };
  if (saysOtherwise(record, approval)) return { do: 'remove', ref: refOf({ ...approval }) };
  const { decision, decidedBy: by, answer } = approval.spec;
  const open = (problem?: ReturnType<typeof decisionProblem>): ApprovalAct => ({
    do: 'report',
    plan: reported(approval, openStatus(approval, record, problem, now)),
  });
  if (decision === undefined || by === undefined) return open();
  const problem = decisionProblem(record, { decision, by, answer }, now);
  if (problem) return open(problem);
  const taken = { approved: decision === 'approved', by, at: now.getTime(), ...(answer !== undefined && { answer }) };
  return { do: 'take', decision: taken };
}

function isOurs(record: ApprovalRecord, { metadata }: Approval): boolean {
  return (metadata.ownerReferences ?? []).some(({ kind, uid }) => kind === 'Run' && uid === record.run.uid);
}

/**
 * Whoever made it was not Kadre, or Kadre had lost its history and asks something else now. The form and the deadline are
 * looked up in the record whenever they matter.
 */
function saysOtherwise(record: ApprovalRecord, { spec, status }: Approval): boolean {
  const asked = askedOf(record);
  const fields = [
    'run',
    'step',
    'attempt',
    'call',
    'question',
    'message',
    'groups',
    'users',
    'otherThanRequester',
    'requestedBy',
  ] as const;
  // Over without a decision, it would never take one.
  const isDead = isOver(status?.phase) && spec.decision === undefined;
  return isDead || fields.some((field) => !isEqual(asked[field], spec[field]));
}

// What an Approval's status says.
import type { Approval, ApprovalPhase, ApprovalStatus, Condition } from '@kadre/crds';
import type { ApprovalRecord } from '@kadre/store';
import { conditionsOf, news, type Fact } from '../build/readiness.ts';
import type { DecisionProblem } from './judge.ts';
import type { Health } from '../kube/conditions.ts';
import type { Plan, PlannedEvent } from '../kube/plan.ts';

export function isOver(phase: ApprovalPhase | undefined): boolean {
  return phase !== undefined && phase !== 'Pending';
}

/** Nobody has decided yet, or what was decided can't be taken. */
export function openStatus(
  approval: Approval,
  record: ApprovalRecord,
  problem: DecisionProblem | undefined,
  now: Date,
): ApprovalStatus {
  if (!problem) return statusOf(approval, { phase: 'Pending' }, waiting(record), [], now);
  const message = `The decision was not taken: ${problem.message}`;
  const accepted: Fact = { type: 'Accepted', status: 'False', reason: problem.reason, message };
  const health: Health = { state: 'progressing', reason: problem.reason, message };
  return statusOf(approval, { phase: 'Pending' }, health, [accepted], now);
}

function waiting({ policy: { groups = [], users = [] }, expiresAt }: ApprovalRecord): Health {
  const whom = [...groups.map((group) => `group ${group}`), ...users.map((user) => `user ${user}`)];
  const by = whom.length === 0 ? '' : ` by ${whom.join(' or ')}`;
  const until = expiresAt === undefined ? '' : ` until ${new Date(expiresAt).toISOString()}`;
  return { state: 'progressing', reason: 'Pending', message: `Waits for a decision${by}${until}.` };
}

/** @param record absent if its history was removed: whoever asked is over */
export function overStatus(approval: Approval, record: ApprovalRecord | undefined, now: Date): ApprovalStatus {
  const decision = record?.decision;
  if (!decision) {
    const phase = isExpired(record, now) ? 'Expired' : 'Withdrawn';
    const message =
      phase === 'Expired' ? 'Nobody decided in time.' : 'The run ended, or went on, without this decision.';
    return statusOf(approval, { phase }, { state: 'ready', reason: phase, message }, [], now);
  }
  const phase = decision.approved ? 'Approved' : 'Rejected';
  const message = `${decision.by} ${phase.toLowerCase()} this.`;
  const decidedAt = new Date(decision.at).toISOString();
  const accepted: Fact = { type: 'Accepted', status: 'True', reason: phase, message };
  const taken = { phase, decidedBy: decision.by, decidedAt } as const;
  return statusOf(approval, taken, { state: 'ready', reason: phase, message }, [accepted], now);
}

function isExpired(record: ApprovalRecord | undefined, now: Date): boolean {
  return record?.expiresAt !== undefined && record.expiresAt <= now.getTime();
}

function statusOf(
  approval: Approval,
  status: Omit<ApprovalStatus, 'conditions' | 'observedGeneration'>,
  health: Health,
  facts: Fact[],
  now: Date,
): ApprovalStatus {
  const conditions = conditionsOf(approval, health, facts, now);
  return { observedGeneration: approval.metadata.generation, ...status, conditions };
}

/** Writes the status, with an event for what is news in it. */
export function reported(approval: Approval, status: ApprovalStatus): Plan {
  const before = approval.status?.conditions;
  const after = status.conditions ?? [];
  const { events = [] } = news(before, after);
  const all = [...events, ...refusal(before, after)];
  return { status: { ...status }, ...(all.length > 0 && { events: all }) };
}

function refusal(before: Condition[] | undefined, after: Condition[]): PlannedEvent[] {
  const accepted = ({ type }: Condition) => type === 'Accepted';
  const [known, next] = [before?.find(accepted), after.find(accepted)];
  if (next?.status !== 'False' || known?.observedGeneration === next.observedGeneration) return [];
  return [{ type: 'Warning', reason: next.reason, action: 'Decide', note: next.message.slice(0, 1000) }];
}

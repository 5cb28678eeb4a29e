// What both databases keep in their tables, and what it means.
import type { Failure } from '@kadre/crds';
import type { Turn } from './conversations.ts';
import type { Decision } from './decisions.ts';
import type { JournalEntry } from './journal.ts';
import { optionalField } from './json.ts';
import type { Amount, Balance } from './ledger.ts';
import type { RunRequest, RunRequestRecord } from './run-requests.ts';
import type { SandboxClaim } from './sandboxes.ts';
import type {
  ApprovalDecision,
  ApprovalRecord,
  ApprovalRequest,
  CachedOutput,
  Fork,
  JobRecord,
  JobRequest,
  PublishedEvent,
  RunControls,
  RunProjection,
  RunSubmission,
  StoredEvent,
  UsageTotal,
} from './store.ts';

export interface RunRow {
  uid: string;
  namespace: string;
  name: string;
  subject: string;
  workflow: string;
  workflows: string | null;
  input: string;
  limits: string | null;
  requested_by: string | null;
  priority: number | null;
  fork: string | null;
}

export interface ControlsRow {
  suspended: number | boolean;
  cancellation: string | null;
}

export interface EventRow {
  seq: number;
  at: number;
  type: string;
  data: string;
}

export interface ProjectionRow {
  version: number;
  body: string;
}

export interface JobRow {
  key: string;
  request: string;
  state: 'requested' | 'created' | 'finished';
  uid: string | null;
  outcome: string | null;
  abandoned: number | boolean;
}

export interface ApprovalRow {
  request: string;
  state: 'open' | 'decided' | 'withdrawn';
  decision: string | null;
}

export interface PublishedRow {
  id: string;
  namespace: string;
  name: string;
  payload: string;
  at: number;
}

export interface CachedRow {
  output: string;
  run: string;
  expires_at: number;
}

export interface UsageRow {
  input_tokens: number;
  output_tokens: number;
  cost_nano_usd: number;
  unpriced: number;
}

export interface BalanceRow {
  account: string;
  period: string;
  spent_cost: number;
  spent_tokens: number;
  spent_requests: number;
  reserved_cost: number;
  reserved_tokens: number;
  reserved_requests: number;
  unpriced: number;
  refusals: number;
}

export interface JournalRow {
  run: string;
  step: string;
  attempt: number;
  call: number;
  hash: string;
  kind: 'model' | 'tool';
  answer: string;
  at: number;
}

export interface ClaimRow {
  id: string;
  namespace: string;
  spec: string;
}

export interface DecisionRow {
  id: string;
  at: number;
  kind: Decision['kind'];
  namespace: string;
  agent: string;
  run: string | null;
  step: string | null;
  attempt: number | null;
  call: string;
  subject: string;
  chosen: string | null;
  reason: string;
  alternatives: string;
  version: string;
}

type Outcome = NonNullable<JobRecord['outcome']>;

export function submissionOf(row: RunRow): RunSubmission {
  return {
    uid: row.uid,
    namespace: row.namespace,
    name: row.name,
    subject: row.subject,
    workflow: JSON.parse(row.workflow),
    ...optionalField<'workflows', Record<string, unknown>>('workflows', row.workflows),
    input: JSON.parse(row.input),
    ...optionalField('limits', row.limits),
    ...(row.requested_by !== null && { requestedBy: row.requested_by }),
    ...(row.priority !== null && { priority: row.priority }),
    ...optionalField<'fork', Fork>('fork', row.fork),
  };
}

export function controlsOf(row: ControlsRow | undefined): RunControls {
  const cancellation = row?.cancellation ?? undefined;
  return { suspended: Boolean(row?.suspended), ...(cancellation !== undefined && { cancellation }) };
}

export function eventOf(row: EventRow): StoredEvent {
  return { ...row, data: JSON.parse(row.data) };
}

export function projectionOf(row: ProjectionRow): RunProjection {
  return { ...(JSON.parse(row.body) as Omit<RunProjection, 'version'>), version: row.version };
}

export function jobOf(row: JobRow): JobRecord {
  return {
    ...(JSON.parse(row.request) as JobRequest),
    state: row.state,
    ...(row.uid !== null && { uid: row.uid }),
    ...optionalField<'outcome', Outcome>('outcome', row.outcome),
    abandoned: Boolean(row.abandoned),
  };
}

export function approvalOf(row: ApprovalRow): ApprovalRecord {
  return {
    ...(JSON.parse(row.request) as ApprovalRequest),
    state: row.state,
    ...optionalField<'decision', ApprovalDecision>('decision', row.decision),
  };
}

export function publishedOf(row: PublishedRow): PublishedEvent {
  return { ...row, payload: JSON.parse(row.payload) };
}

export function cachedOf(key: string, row: CachedRow): CachedOutput {
  return { key, output: JSON.parse(row.output), run: row.run, expiresAt: row.expires_at };
}

export function usageOf(row: UsageRow): UsageTotal {
  return {
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    costNanoUsd: row.cost_nano_usd,
    unpricedCalls: row.unpriced,
  };
}

/** @param expired what was set aside by reservations that nobody settled in time, and is spent by now */
export function balanceOf(row: BalanceRow, expired: readonly Amount[]): Balance {
  const late = expired.reduce<Amount>(
    (sum, { costNanoUsd, tokens }) => ({ costNanoUsd: sum.costNanoUsd + costNanoUsd, tokens: sum.tokens + tokens }),
    { costNanoUsd: 0, tokens: 0 },
  );
  const capped = (sum: number): number => Math.min(sum, Number.MAX_SAFE_INTEGER);
  return {
    account: row.account,
    period: row.period,
    spent: {
      costNanoUsd: capped(row.spent_cost + late.costNanoUsd),
      tokens: capped(row.spent_tokens + late.tokens),
      requests: row.spent_requests + expired.length,
    },
    reserved: {
      costNanoUsd: Math.max(0, row.reserved_cost - late.costNanoUsd),
      tokens: Math.max(0, row.reserved_tokens - late.tokens),
      requests: Math.max(0, row.reserved_requests - expired.length),
    },
    unpricedCalls: row.unpriced,
    refusals: row.refusals,
  };
}

/** The row of an account that was never charged. */
export const emptyBalance = (account: string, period: string): BalanceRow => ({
  account,
  period,
  spent_cost: 0,
  spent_tokens: 0,
  spent_requests: 0,
  reserved_cost: 0,
  reserved_tokens: 0,
  reserved_requests: 0,
  unpriced: 0,
  refusals: 0,
});

export function journalEntryOf(row: JournalRow): JournalEntry {
  return { ...row, answer: JSON.parse(row.answer) };
}

export function decisionOf({ run, step, attempt, chosen, alternatives, ...row }: DecisionRow): Decision {
  return {
    ...row,
    ...(run !== null && { run: { uid: run, step: step ?? '', attempt: attempt ?? 0 } }),
    ...(chosen !== null && { chosen }),
    alternatives: JSON.parse(alternatives),
  };
}

export const claimOf = ({ id, namespace, spec }: ClaimRow): SandboxClaim => ({
  id,
  namespace,
  spec: JSON.parse(spec) as SandboxClaim['spec'],
});

export interface TurnRow {
  id: string;
  seq: number;
  at: number;
  messages: string;
}

export const turnOf = ({ messages, ...row }: TurnRow): Turn => ({ ...row, messages: JSON.parse(messages) as unknown });

export interface RunRequestRow {
  request: string;
  state: RunRequestRecord['state'];
  uid: string | null;
  failure: string | null;
  cancelled: number | boolean;
}

export const runRequestOf = ({ request, state, uid, failure, cancelled }: RunRequestRow): RunRequestRecord => ({
  ...(JSON.parse(request) as RunRequest),
  state,
  ...(uid !== null && { uid }),
  ...(failure !== null && { failure: JSON.parse(failure) as Failure }),
  cancelled: Boolean(cancelled),
});

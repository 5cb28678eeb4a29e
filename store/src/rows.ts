// What both databases keep in their tables, and what it means.
import { optionalField } from './json.ts';
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

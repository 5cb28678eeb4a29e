import type { FailureReason, ToolCall } from '@kadre/crds';
import type { JournalKey } from '@kadre/store';
import type { Caller } from '../access/caller.ts';
import { createHash } from 'node:crypto';
import type { RequestRecord } from '../requests.ts';
import type { Offered } from './discovery.ts';
import type { ToolOutcome } from './metrics.ts';

export interface ToolRequest {
  /** Unique; no caller can choose it. */
  readonly id: string;
  readonly caller: Caller;
  /** Its place in the journal; absent outside of steps. */
  readonly key?: JournalKey;
  /** Headers of the HTTP request, in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly signal: AbortSignal;
  readonly record: RequestRecord;
  readonly asked: ToolCall;
  /** Is told what the tool prints while it is at work. */
  readonly progress?: ((text: string) => void) | undefined;
}

/** What is known of a call by now. */
export interface Observed {
  offered?: Offered;
  outcome: ToolOutcome;
  reason?: FailureReason;
  /** Which rule refused it. */
  rule?: string;
  why?: string;
}

/** The same when a step makes the call again, whoever answers it. */
export const idempotencyKey = ({ id, key }: Pick<ToolRequest, 'id' | 'key'>): string =>
  createHash('sha256')
    .update(key ? JSON.stringify([key.run, key.step, key.attempt, key.call]) : id)
    .digest('hex');

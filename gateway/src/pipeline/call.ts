// One call as it passes through the pipeline: what the parts of the pipeline see of it, and what they may add to it.
import type { Caller } from '../access/caller.ts';
import type { EmbeddingRequest } from '../conversation/embedding.ts';
import type { ModelRequest } from '../conversation/request.ts';
import type { RequestRecord } from '../requests.ts';

/** Header of answers: names of the Models that they are from. A route chooses among several. */
export const MODEL_HEADER = 'kadre-model';

interface CallBase {
  /** Unique; no caller can choose it. */
  readonly id: string;
  /** Which door it came through, such as chat-completions. */
  readonly door: string;
  readonly caller: Caller;
  /** Aborted when the client goes away, when time is up, or when the gateway closes; the reason is a GatewayError. */
  readonly signal: AbortSignal;
  /** Headers of the HTTP request, in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** What the log line and the metrics will say. */
  readonly record: RequestRecord;
  /** Headers that the answer is to carry; in a stream only those that are there before its first event. */
  readonly responseHeaders: Record<string, string>;
}

export interface ChatCall extends CallBase {
  readonly operation: 'chat';
  readonly request: ModelRequest;
  readonly streamed: boolean;
}

export interface EmbeddingCall extends CallBase {
  readonly operation: 'embeddings';
  readonly request: EmbeddingRequest;
  readonly streamed: false;
}

export type Call = ChatCall | EmbeddingCall;

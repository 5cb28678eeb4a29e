// The one shape in which the gateway talks to every provider.
import type { Model } from '@kadre/crds';
import type { ChatRequest } from '../chat/request.ts';

export interface Usage {
  /** All input, including what was read from or written to the provider's cache. */
  inputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  /** All output, including what the model thought and did not show. */
  outputTokens: number;
  reasoningTokens: number;
}

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** A piece of a tool call; pieces with the same index belong together, their arguments are joined. */
export interface ToolCallDelta {
  index: number;
  id?: string;
  name?: string;
  arguments?: string;
}

/** What a model says, in order: pieces of text and tool calls, one `finish`, and `usage` whenever it is known (better). */
export type ModelEvent =
  | { type: 'text'; text: string }
  | { type: 'refusal'; text: string }
  | { type: 'tool'; call: ToolCallDelta }
  | { type: 'finish'; reason: FinishReason }
  | { type: 'usage'; usage: Usage };

export interface Answer {
  text: string | null;
  refusal: string | null;
  toolCalls: { id: string; name: string; arguments: string }[];
  finish: FinishReason;
  /** Absent if the provider did not say. */
  usage?: Usage;
}

export interface ModelCall {
  model: Model;
  request: ChatRequest;
  apiKey: string | undefined;
  signal: AbortSignal;
}

export interface Provider {
  /** Throws a 400 that names what this provider cannot do, before anything is sent. */
  check(request: ChatRequest): void;
  /** Both throw {@link ProviderError}, or the signal's reason. */
  generate(call: ModelCall): Promise<Answer>;
  stream(call: ModelCall): AsyncIterable<ModelEvent>;
}

/**
 * - `status`: the provider answered with an HTTP error, so it did nothing and charges nothing;
 * - `unreachable`: nothing was sent;
 * - `refused`: the gateway would not connect to that address;
 * - `interrupted`, `malformed`: the answer broke off or made no sense; the provider may well charge for it.
 */
export type ProviderFault = 'status' | 'unreachable' | 'refused' | 'interrupted' | 'malformed';

interface ProviderErrorDetails {
  status?: number;
  retryAfter?: string | undefined;
  outOfQuota?: boolean;
  usage?: Usage;
  cause?: unknown;
}

export class ProviderError extends Error {
  override name = 'ProviderError';
  readonly fault: ProviderFault;
  readonly status: number | undefined;
  readonly retryAfter: string | undefined;
  /** The account has run dry: waiting does not help. */
  readonly outOfQuota: boolean;
  /** What the provider charges for its useless answer, if it said so. */
  readonly usage: Usage | undefined;

  constructor(fault: ProviderFault, message: string, details: ProviderErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.fault = fault;
    this.status = details.status;
    this.retryAfter = details.retryAfter;
    this.outOfQuota = details.outOfQuota ?? false;
    this.usage = details.usage;
  }
}

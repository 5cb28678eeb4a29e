// The one shape in which the gateway talks to every provider.
import type { ProviderModel } from '@kadre/crds';
import type { Answer, ModelEvent, Usage } from '../conversation/answer.ts';
import type { EmbeddingAnswer, EmbeddingRequest } from '../conversation/embedding.ts';
import type { ModelRequest } from '../conversation/request.ts';

interface CallTo<Request> {
  model: ProviderModel;
  request: Request;
  apiKey: string | undefined;
  signal: AbortSignal;
  /** To send along, such as traceparent. */
  headers: Readonly<Record<string, string>>;
}

export type ModelCall = CallTo<ModelRequest>;
export type EmbedCall = CallTo<EmbeddingRequest>;

/** How a provider keeps to a format. `instruction`: it cannot be held to it, so the gateway asks in words. */
export type FormatMode = 'native' | 'instruction';

export interface Provider {
  /** Throws a 400 that names what this provider cannot do, before anything is sent. */
  check(request: ModelRequest, model: ProviderModel): void;
  formatMode(request: ModelRequest, model: ProviderModel): FormatMode;
  /** All throw {@link ProviderError}, a {@link GatewayError} or the signal's reason. */
  generate(call: ModelCall): Promise<Answer>;
  stream(call: ModelCall): AsyncGenerator<ModelEvent, void>;
  /** Absent: this provider has no embeddings. */
  embed?(call: EmbedCall): Promise<EmbeddingAnswer>;
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
  usage?: Usage | undefined;
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

// From what went wrong with a provider to a typed failure, and from there to what the caller is told.
import type { ProviderModel } from '@kadre/crds';
import { AddressRefusedError } from '@kadre/tools';
import { GatewayError, invalidRequest, misconfigured, unavailable } from '../errors.ts';
import type { Usage } from '../conversation/answer.ts';
import type { Clock } from '../options.ts';
import { ProviderError } from './provider.ts';

/** Codes of Node and undici for a connection that never stood. */
const unreachableCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const silenceCodes = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT']);
const quotaCodes = new Set(['insufficient_quota', 'billing_hard_limit_reached', 'billing_error']);

interface SaidError {
  /** Absent in a stream, where the type or code stands for it. */
  status?: number;
  message: string;
  code?: string;
  type?: string;
  retryAfter?: string;
}

/** An error that carries the provider's own answer. */
export function fromAnswer(error: SaidError, usage?: Usage): ProviderError {
  const { status, message, code = '', type = '', retryAfter } = error;
  return new ProviderError('status', message, {
    status: status ?? statusOfType(type) ?? statusOfType(code) ?? 500,
    retryAfter: validRetryAfter(retryAfter),
    outOfQuota: quotaCodes.has(code) || quotaCodes.has(type),
    usage,
  });
}

/** Error events in a stream name a type in place of an HTTP status. */
const statusOfType = (type: string): number | undefined => statuses.get(type);

const statuses = new Map([
  ['invalid_request_error', 400],
  ['invalid_prompt', 400],
  ['authentication_error', 401],
  ['permission_error', 403],
  ['not_found_error', 404],
  ['request_too_large', 413],
  ['rate_limit_error', 429],
  ['rate_limit_exceeded', 429],
  ['insufficient_quota', 429],
  ['overloaded_error', 529],
]);

/** An error below HTTP. Such messages may quote answers, so none of their words are passed on. */
export function fromTransport(error: unknown): ProviderError {
  const chain = causes(error);
  const refused = chain.find((cause) => cause instanceof AddressRefusedError);
  if (refused) return new ProviderError('refused', refused.message);
  const codes = chain.map(({ code }) => code).filter((code) => typeof code === 'string');
  const unreachable = codes.find((code) => unreachableCodes.has(code) || /CERT|^ERR_TLS|^ERR_SSL/.test(code));
  if (unreachable !== undefined) return new ProviderError('unreachable', `cannot be reached (${unreachable})`);
  if (codes.some((code) => silenceCodes.has(code))) return new ProviderError('interrupted', 'fell silent for too long');
  if (codes.includes('UND_ERR_RES_EXCEEDED_MAX_SIZE')) {
    return new ProviderError('malformed', 'sent an answer that is too large');
  }
  if (chain.some(({ name }) => name === 'SyntaxError')) {
    return new ProviderError('malformed', 'sent an answer that is not JSON');
  }
  // The answer lacks what its protocol promises.
  if (chain.length === 1 && chain[0]?.name === 'TypeError') {
    return new ProviderError('malformed', 'sent an answer that makes no sense');
  }
  return new ProviderError('interrupted', `broke the connection off${codes[0] === undefined ? '' : ` (${codes[0]})`}`);
}

interface Cause {
  name?: unknown;
  message: string;
  code?: unknown;
  cause?: unknown;
}

/** By shape rather than by class: errors of Node itself may belong to another realm. */
function causes(error: unknown): Cause[] {
  const chain: Cause[] = [];
  const isCause = (value: unknown): value is Cause => typeof value === 'object' && value !== null && 'message' in value;
  for (let next = error; isCause(next) && chain.length < 8; next = next.cause) chain.push(next);
  return chain;
}

/** Seconds, or a date; anything else is not passed on. */
function validRetryAfter(value: string | undefined): string | undefined {
  if (value === undefined || value.length > 40) return undefined;
  return /^\d+(\.\d+)?$/.test(value) || !Number.isNaN(Date.parse(value)) ? value : undefined;
}

/** Milliseconds from now that a `retry-after` header asks for; 0 for a date that is past. */
export function retryAfterMs(value: string, clock: Clock): number {
  const seconds = Number(value);
  return Math.max(0, Number.isNaN(seconds) ? Date.parse(value) - clock.now() : seconds * 1000);
}

const MAX_MESSAGE = 1000;

/** What the caller is told. `apiKey` is taken out of the provider's words, should it repeat it. */
export function toGatewayError(error: unknown, model: ProviderModel, apiKey: string | undefined): GatewayError {
  if (error instanceof GatewayError) return error;
  const name = model.metadata.name;
  if (!(error instanceof ProviderError)) {
    return new GatewayError(500, 'InternalError', 'The gateway failed; its log says why.', {
      retry: false,
      cause: error,
    });
  }
  const said = (apiKey === undefined ? error.message : error.message.replaceAll(apiKey, '[redacted]')).slice(
    0,
    MAX_MESSAGE,
  );
  if (error.fault === 'status') return fromStatus(error, name, said);
  const message = `The provider of Model ${name} ${said}.`;
  if (error.fault === 'refused') return misconfigured('ModelFailed', `Model ${name} cannot be used: ${said}`);
  if (error.fault === 'malformed') {
    return new GatewayError(502, 'ModelFailed', message, { retry: false, cause: error });
  }
  return unavailable(message, undefined, error);
}

function fromStatus(error: ProviderError, name: string, said: string): GatewayError {
  const status = error.status ?? 500;
  if (status === 401 || status === 403) {
    // Providers repeat parts of the key here.
    return misconfigured('Unauthorized', `The provider refuses the API key of Model ${name} (HTTP ${status}).`);
  }
  const message = `Model ${name}: the provider answered ${status}: ${said}`;
  if (status === 429 && !error.outOfQuota) {
    const details = error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter };
    return new GatewayError(429, 'RateLimited', message, { ...details, cause: error });
  }
  if (status === 408 || status >= 500) return unavailable(message, error.retryAfter, error);
  if (status === 400 || status === 413 || status === 422) return invalidRequest(message);
  return misconfigured('ModelFailed', message);
}

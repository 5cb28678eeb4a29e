// Failures on the HTTP wire, in the shape that OpenAI clients understand.
import type { FailureReason } from '@kadre/crds';
import type { FastifyReply } from 'fastify';
import { AgentFailure } from '../failure.ts';

/** The error object of the OpenAI wire. `code` is a FailureReason, or a code of OpenAI's own. */
export interface WireError {
  error: { message: string; type: string; param: string | null; code: string };
}

/** 424, as the gateway says it: neither the caller's fault nor mended by waiting. */
const MISCONFIGURED = 424;

const statuses: Partial<Record<FailureReason, number>> = {
  ModelNotFound: MISCONFIGURED,
  SecretNotFound: MISCONFIGURED,
  Unauthorized: MISCONFIGURED,
  InvalidInput: 400,
  InvalidExpression: 400,
  RateLimited: 429,
  InternalError: 500,
  AgentUnavailable: 503,
  ModelUnavailable: 503,
  Cancelled: 503,
  TimedOut: 504,
};

/** Statuses of the gateway that speak of the caller's own request, so the caller shall see them. */
const CALLERS_FAULT = new Set([400, 413, 422]);

function failureStatus({ reason, details }: AgentFailure): number {
  if (details.status !== undefined && CALLERS_FAULT.has(details.status)) return details.status;
  return statuses[reason] ?? 502;
}

export function wireError(failure: AgentFailure): WireError {
  const status = failureStatus(failure);
  const type = status === 429 ? 'rate_limit_error' : status < 500 ? 'invalid_request_error' : 'server_error';
  return { error: { message: failure.message, type, param: null, code: failure.reason } };
}

export function invalid(message: string, param: string | null, code: string): WireError {
  return { error: { message, type: 'invalid_request_error', param, code } };
}

export function unknownModel(asked: string, name: string): WireError {
  const message = `The model ${JSON.stringify(asked)} does not exist; this agent answers as ${JSON.stringify(name)}.`;
  return invalid(message, 'model', 'model_not_found');
}

/** A request that is wrong in itself. */
export function badRequest(message: string): AgentFailure {
  return new AgentFailure('InvalidInput', message);
}

export function sendFailure(reply: FastifyReply, failure: AgentFailure): FastifyReply {
  const status = failureStatus(failure);
  const { retryAfter, shouldRetry } = failure.details;
  if (retryAfter !== undefined) reply.header('retry-after', String(Math.ceil(retryAfter)));
  // Clients of OpenAI repeat every 5xx by themselves; 502 stands for failures that would only happen again.
  if (shouldRetry === false || status === 502) reply.header('x-should-retry', 'false');
  return reply.code(status).send(wireError(failure));
}

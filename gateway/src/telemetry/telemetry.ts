// What is seen of a call while it passes through the pipeline: a span for it, one for each of its attempts, and a count
// of attempts. Nothing of what is said in a call is part of it.
import {
  attemptSpanId,
  attribute,
  formatTraceparent,
  operation,
  parseTraceparent,
  randomSpanId,
  randomTraceId,
  runTraceId,
  type Attributes,
  type Span,
  type Spans,
} from '@kadre/telemetry';
import type { Provider } from '@kadre/crds';
import { stepOfWorkflow } from '@kadre/store';
import type { Registry } from 'prom-client';
import type { Clock } from '../options.ts';
import type { Call } from '../pipeline/call.ts';
import type { Attempt, AttemptTrace, CallTrace, Outcome, Plan, Telemetry } from '../pipeline/hooks.ts';
import { createAttemptMetrics } from './metrics.ts';

export interface TelemetryOptions {
  /** Absent: there are no spans. */
  spans?: Spans | undefined;
  /** Absent: nothing is counted. */
  registry?: Registry | undefined;
  clock: Clock;
}

export function createTelemetry({ spans, registry, clock }: TelemetryOptions): Telemetry {
  const count = registry && createAttemptMetrics(registry);
  return {
    begin: (call) => {
      const traced = spans && new TracedCall(call, spans, clock);
      return {
        replayed: () => traced?.replayed(),
        planned: (plan) => traced?.planned(plan),
        attempt: (attempt) => {
          const trace = traced?.attempt(attempt);
          return {
            headers: () => trace?.headers() ?? {},
            firstContent: () => trace?.firstContent(),
            end: (outcome, costNanoUsd) => {
              count?.(attempt, outcome);
              trace?.end(outcome, costNanoUsd);
            },
          };
        },
        end: (result) => traced?.end(result),
      };
    },
  };
}

export interface Place {
  traceId: string;
  parentSpanId?: string;
  sampled: boolean;
}

/**
 * A step's calls belong to the trace of its run, whatever a header says: so no pod gets into the trace of a run that is
 * not its own. A header that is right may name a span of the agent's as the parent. Without a step, a caller may bring a
 * trace of its own; that it wants it sampled is a wish.
 */
export function placeOf({ caller, headers }: Pick<Call, 'caller' | 'headers'>, spans: Spans): Place {
  const given = parseTraceparent(headers['traceparent']);
  const { step } = caller;
  if (step) {
    const traceId = runTraceId(step.run);
    const own = given?.traceId === traceId ? given.spanId : attemptSpanId(step.run, stepOfWorkflow(step), step.attempt);
    return { traceId, parentSpanId: own, sampled: spans.sampled(traceId) };
  }
  if (given)
    return {
      traceId: given.traceId,
      parentSpanId: given.spanId,
      sampled: given.sampled && spans.sampled(given.traceId),
    };
  const traceId = randomTraceId();
  return { traceId, sampled: spans.sampled(traceId) };
}

/** As the conventions know them. */
const providerNames: Record<Provider, string> = {
  openai: 'openai',
  anthropic: 'anthropic',
  google: 'gcp.gemini',
  openaiCompatible: 'openai_compatible',
  simulated: 'simulated',
};

const nameOf = (provider: string | undefined): string | undefined => providerNames[provider as Provider];

const NANO_PER_USD = 1e9;
const inUsd = (nanoUsd: number | null | undefined): number | undefined =>
  nanoUsd == null ? undefined : nanoUsd / NANO_PER_USD;

class TracedCall implements CallTrace {
  readonly #call: Call;
  readonly #spans: Spans;
  readonly #clock: Clock;
  readonly #place: Place;
  readonly #spanId = randomSpanId();
  #candidates: string[] | undefined;

  constructor(call: Call, spans: Spans, clock: Clock) {
    this.#call = call;
    this.#spans = spans;
    this.#clock = clock;
    this.#place = placeOf(call, spans);
    if (this.#place.sampled) call.record.traceId = this.#place.traceId;
  }

  replayed(): void {
    // The record of the request says so too; the span is written from it.
  }

  planned({ candidates }: Plan): void {
    if (this.#place.sampled) this.#candidates = candidates.map(({ model }) => model.metadata.name);
  }

  attempt(attempt: Attempt): AttemptTrace {
    const { traceId, sampled } = this.#place;
    const spanId = randomSpanId();
    const startedAt = this.#clock.now();
    let firstContentAt: number | undefined;
    return {
      headers: () => ({ traceparent: formatTraceparent({ traceId, spanId, sampled }) }),
      firstContent: () => (firstContentAt = this.#clock.now()),
      end: (outcome, costNanoUsd) => {
        if (!sampled) return;
        this.#spans.add({
          name: `attempt ${attempt.candidate.model.metadata.name}`,
          kind: 'client',
          traceId,
          spanId,
          parentSpanId: this.#spanId,
          startedAt,
          endedAt: this.#clock.now(),
          attributes: attributesOf(attempt, outcome, costNanoUsd),
          ...(firstContentAt !== undefined && { events: [{ name: 'first_content', at: firstContentAt }] }),
          error: outcome.error?.code,
        });
      },
    };
  }

  end({ answered, usage, error }: Parameters<CallTrace['end']>[0]): void {
    const { traceId, parentSpanId, sampled } = this.#place;
    if (!sampled) return;
    const { operation: kind, request, record } = this.#call;
    // Names that nobody has checked may be of any number, and say anything.
    const known = this.#candidates !== undefined || record.replayed === true;
    const span: Span = {
      name: known ? `${operation[kind]} ${request.model}` : operation[kind],
      kind: 'client',
      traceId,
      spanId: this.#spanId,
      startedAt: record.startedAt,
      endedAt: this.#clock.now(),
      attributes: {
        ...this.#whose(),
        ...this.#whatWasAsked(),
        [attribute.requestModel]: known ? request.model : undefined,
        [attribute.responseModel]: answered && 'chat' in answered ? answered.chat.model : undefined,
        [attribute.finishReasons]: answered && 'chat' in answered ? [answered.chat.finish] : undefined,
        [attribute.firstChunk]: record.firstTokenMs === undefined ? undefined : record.firstTokenMs / 1000,
        [attribute.inputTokens]: usage.inputTokens,
        [attribute.outputTokens]: usage.outputTokens,
        [attribute.cachedTokens]: usage.cachedInputTokens,
        [attribute.cacheWriteTokens]: usage.cacheWriteTokens,
        [attribute.reasoningTokens]: usage.reasoningTokens,
        [attribute.costUsd]: inUsd(record.charge?.costNanoUsd),
        [attribute.replayed]: record.replayed,
      },
      error: error?.code,
    };
    this.#spans.add(parentSpanId === undefined ? span : { ...span, parentSpanId });
  }

  #whose(): Attributes {
    const { caller, id, door } = this.#call;
    return {
      [attribute.requestId]: id,
      [attribute.door]: door,
      [attribute.namespace]: caller.namespace,
      [attribute.callingAgent]: caller.agent,
      [attribute.run]: caller.step?.run,
      [attribute.step]: caller.step?.step,
      [attribute.attempt]: caller.step?.attempt,
    };
  }

  #whatWasAsked(): Attributes {
    const { operation: kind, request, record, streamed } = this.#call;
    return {
      [attribute.operation]: operation[kind],
      [attribute.requestStream]: streamed,
      [attribute.maxTokens]: 'sampling' in request ? request.sampling.maxTokens : undefined,
      [attribute.provider]: nameOf(record.provider),
      [attribute.model]: record.model,
      [attribute.candidates]: this.#candidates,
    };
  }
}

function attributesOf(
  { candidate, number }: Attempt,
  { status, usage }: Outcome,
  costNanoUsd: number | null | undefined,
): Attributes {
  const { metadata, spec } = candidate.model;
  return {
    [attribute.number]: number,
    [attribute.model]: metadata.name,
    [attribute.provider]: nameOf(spec.provider),
    [attribute.requestModel]: spec.model,
    [attribute.httpStatus]: status === 0 ? undefined : status,
    [attribute.attemptInputTokens]: usage?.inputTokens,
    [attribute.attemptOutputTokens]: usage?.outputTokens,
    [attribute.attemptCostUsd]: inUsd(costNanoUsd),
  };
}

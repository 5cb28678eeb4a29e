// What becomes of a step when its work has ended: the event that says so.
import type { Citation, Failure } from '@kadre/crds';
import type { UsageTotal } from '@kadre/store';
import type { EngineEvent, Outcome, Source } from './events.ts';
import { ExpressionError } from './expression/errors.ts';
import { TemplateError, type Template } from './expression/template.ts';
import type { Json } from './expression/values.ts';
import { outputInside } from './evolve.ts';
import type { RetryPolicy } from './plan.ts';
import { afterWork, aroundStep, valuesAt, withinUnit, type Place } from './sight.ts';
import { isOver, type Attempt, type RunState, type Unit } from './state.ts';

/** The most that all outputs of a run, or its result, may come to as JSON. They are held in memory while it runs. */
export const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Of an output, in characters of JSON. */
export const sizeOf = (output: Json): number => JSON.stringify(output).length;

export const noUsage: UsageTotal = { inputTokens: 0, outputTokens: 0, costNanoUsd: 0, unpricedCalls: 0 };

/**
 * The event for the end of an attempt that was in somebody's hands; undefined if it is over already, so that whoever
 * reports twice, or too late, changes nothing.
 */
export function settle(
  state: RunState,
  id: string,
  attempt: number,
  outcome: Outcome,
  usage: UsageTotal,
  now: number,
): EngineEvent | undefined {
  const active = state.active.get(id);
  if (active?.attempt !== attempt || isOver(state)) return undefined;
  const { unit, stopping, doomed } = active;
  if (outcome !== 'stopped' && 'output' in outcome && !stopping)
    return succeeded(state, unit, attempt, outcome, now, usage);
  if (doomed) return { at: now, type: 'StepCancelled', data: { step: id, attempt, usage } };
  if (stopping) return failed(state, unit, attempt, stopping, now, { usage });
  if (outcome !== 'stopped' && 'failure' in outcome)
    return failed(state, unit, attempt, outcome.failure, now, { usage });
  // Nobody asked for that: the agent's side gave the task up.
  const failure: Failure = { reason: 'AgentFailed', message: 'the task was cancelled at the agent' };
  return failed(state, unit, attempt, failure, now, { usage });
}

interface Result {
  /** Absent: that of the last step inside. */
  output?: Json;
  bytes: number;
  citations?: Citation[];
  source?: Source;
}

/** The unit has done its work for this round. */
export function succeeded(
  state: RunState,
  unit: Unit,
  attempt: number,
  { output, bytes, citations, source }: Result,
  now: number,
  usage = noUsage,
): EngineEvent {
  if (state.outputBytes + bytes > MAX_OUTPUT_BYTES) {
    const message = `the outputs of the run come to more than ${MAX_OUTPUT_BYTES} bytes: let steps answer more briefly`;
    return failed(state, unit, attempt, { reason: 'InvalidOutput', message }, now, { usage, final: true });
  }
  const next = attemptTo(() => whatNext(state, unit, output === undefined ? outputInside(unit) : output));
  if ('failure' in next) return failed(state, unit, attempt, next.failure, now, { usage, final: true });
  const data = { step: unit.id, attempt, usage, bytes, ...(output !== undefined && { output }), ...next.value };
  return {
    at: now,
    type: 'StepSucceeded',
    data: { ...data, ...(citations && { citations }), ...(source && { source }) },
  };
}

/** Whether another round follows, and whether the other elements of a forEach are waited for. */
function whatNext(state: RunState, unit: Unit, output: Json): { again?: true; enough?: true } {
  const { fan, plan } = unit.step;
  const { repeat, forEach, path } = plan;
  if (isDoomed(unit)) return {};
  if (repeat && !unit.fallback) {
    const done = repeat.until
      ? isTrue(state, repeat.until, { ...afterWork(unit), extra: { output } }, `${path}.repeat.until`)
      : unit.round >= repeat.max;
    if (!done && unit.round < repeat.max) return { again: true };
    if (!done && repeat.onMax === 'fail') throw new LimitError(`until is still false after ${repeat.max} rounds`);
  }
  if (!forEach?.until || !fan) return {};
  const outputs = fan.items.flatMap((_, index) =>
    index === unit.index ? [output] : fan.succeeded.has(index) ? [fan.outputs[index] ?? null] : [],
  );
  const place = { ...aroundStep(unit.step), extra: { outputs } };
  return isTrue(state, forEach.until, place, `${path}.forEach.until`) ? { enough: true } : {};
}

/** Nobody waits for the unit any more: what is around it ends, or the elements that are over are enough. */
export function isDoomed({ step }: Unit): boolean {
  return step.scope.ending !== undefined || step.fan?.enough === true;
}

/** A bound is reached. */
class LimitError extends Error {}

export interface FailureOptions {
  usage?: UsageTotal;
  /** Trying again would come to the same. */
  final?: boolean;
}

/** The unit's attempt has failed: again, or what onError says, or for good. */
export function failed(
  state: RunState,
  unit: Unit,
  attempt: number,
  failure: Failure,
  now: number,
  { usage = noUsage, final = false }: FailureOptions = {},
): EngineEvent {
  const { scope, plan } = unit.step;
  const { retry, onError } = plan;
  const data = { step: unit.id, attempt, failure, usage };
  const hopeless = isDoomed(unit) || unit.fallback !== undefined || unit.step.phase === 'Failed';
  if (!hopeless && !final && mayRetry(retry, failure, attempt)) {
    const wait = Math.min(retry.max, retry.initial * retry.factor ** (attempt - 1));
    const spread = wait * SPREAD * share(`${state.run.uid}/${unit.id}/${attempt}`);
    return { at: now, type: 'StepFailed', data: { ...data, retryAt: Math.ceil(now + wait - spread) } };
  }
  if (scope.ending || onError === undefined) return { at: now, type: 'StepFailed', data };
  if (onError === 'continue') return { at: now, type: 'StepFailed', data: { ...data, then: 'continue' } };
  return { at: now, type: 'StepFailed', data: { ...data, ...(!hopeless && { then: 'fallback' as const }) } };
}

/** By how much of it a wait is shortened at the most, so that many that failed together don't come back together. */
const SPREAD = 0.2;

/** A number from 0 to 1 that is always the same for a text, and another one for almost every other: FNV-1a, well mixed. */
function share(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0xffffffff;
}

function mayRetry({ limit, reasons }: RetryPolicy, { reason }: Failure, attempt: number): boolean {
  return attempt <= limit && (reasons?.has(reason) ?? true);
}

/** The value, or what an expression has to complain about. */
export function attemptTo<T>(evaluate: () => T): { value: T } | { failure: Failure } {
  try {
    return { value: evaluate() };
  } catch (error) {
    if (error instanceof LimitError) return { failure: { reason: 'LimitExceeded', message: error.message } };
    if (!(error instanceof TemplateError)) throw error;
    return { failure: { reason: 'InvalidExpression', message: error.message } };
  }
}

/** Whether a published event is the one that an attempt waits for. */
export function takes(state: RunState, { unit }: Attempt, event: Json): { value: boolean } | { failure: Failure } {
  const { action, path } = unit.step.plan;
  const filter = action.kind === 'event' ? action.filter : undefined;
  if (!filter) return { value: true };
  const place = { ...withinUnit(unit), extra: { event } };
  return attemptTo(() => isTrue(state, filter, place, `${path}.wait.event.filter`));
}

export function isTrue(state: RunState, condition: Template, place: Place, path: string): boolean {
  const value = condition.evaluate(valuesAt(state, place));
  if (typeof value === 'boolean') return value;
  throw new TemplateError(path, new ExpressionError('takes an expression that is true or false'));
}

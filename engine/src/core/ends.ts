// How what has nothing left to do ends: a group, a race, a called workflow, the run itself.
import type { Failure } from '@kadre/crds';
import type { EngineEvent } from './events.ts';
import type { Json } from './expression/values.ts';
import { attemptTo, failed, isDoomed, MAX_OUTPUT_BYTES, noUsage, sizeOf, succeeded } from './settle.ts';
import { valuesAt } from './sight.ts';
import type { Frame, RunState, Scope, Unit } from './state.ts';
import { bounded } from './work.ts';

/** What to record of a scope in which nothing is left to do. */
export function endOf(state: RunState, scope: Scope, now: number): EngineEvent[] {
  const { kind, frame, unit } = scope;
  if (kind === 'main' && frame.plan.finally && !frame.finally)
    return [{ at: now, type: 'FinallyStarted', data: { step: frame.unit?.id ?? '' } }];
  if (kind === 'main' || kind === 'finally')
    return [frame.unit ? callEnd(state, frame, frame.unit, now) : runEnd(state, now)];
  return unit ? [insideEnd(state, scope, unit, now)] : [];
}

function insideEnd(state: RunState, scope: Scope, unit: Unit, now: number): EngineEvent {
  const { attempt } = unit;
  const { ending, kind } = scope;
  if (ending?.kind === 'stopped' || isDoomed(unit)) return stopped(state, unit, now);
  if (ending?.kind === 'failed') return failed(state, unit, attempt, ending.failure, now);
  if (kind === 'race' && ending?.kind !== 'won') {
    const none: Failure = { reason: 'AgentFailed', message: 'no step of the race was run' };
    return failed(state, unit, attempt, scope.lost ?? none, now);
  }
  const { action, path } = unit.step.plan;
  if (action.kind !== 'steps' || !action.output || kind === 'fallback')
    return succeeded(state, unit, attempt, { bytes: 0 }, now);
  const template = action.output;
  const output = attemptTo(() =>
    bounded(template, `${path}.output`, valuesAt(state, { scope, unit }), MAX_OUTPUT_BYTES),
  );
  if ('failure' in output) return failed(state, unit, attempt, output.failure, now, { final: true });
  return succeeded(state, unit, attempt, { output: output.value, bytes: sizeOf(output.value) }, now);
}

/** What was inside has been stopped: because its time was up, or because what is around it ends. */
function stopped(state: RunState, unit: Unit, now: number): EngineEvent {
  const { id, attempt, stopping } = unit;
  if (stopping && !isDoomed(unit)) return failed(state, unit, attempt, stopping, now);
  return { at: now, type: 'StepCancelled', data: { step: id, attempt, usage: noUsage } };
}

function callEnd(state: RunState, frame: Frame, unit: Unit, now: number): EngineEvent {
  const { attempt } = unit;
  const end = frameEnd(state, frame);
  if ('output' in end)
    return succeeded(state, unit, attempt, { ...end, bytes: frame.plan.output ? sizeOf(end.output) : 0 }, now);
  return frame.main.ending?.kind === 'stopped' || isDoomed(unit)
    ? stopped(state, unit, now)
    : failed(state, unit, attempt, end.failure, now);
}

function runEnd(state: RunState, now: number): EngineEvent {
  const end = frameEnd(state, state.frame);
  if (state.cancelled && state.frame.main.ending?.kind !== 'failed')
    return { at: now, type: 'RunCancelled', data: { failure: state.cancelled } };
  if ('output' in end) return { at: now, type: 'RunSucceeded', data: end };
  const failure = end.failure.reason === 'RunLimitExceeded' ? (state.exhausted ?? end.failure) : end.failure;
  return { at: now, type: 'RunFailed', data: { failure } };
}

function frameEnd(state: RunState, frame: Frame): { output: Json } | { failure: Failure } {
  const { main, plan } = frame;
  for (const scope of [main, frame.finally])
    if (scope?.ending && scope.ending.kind !== 'won') return { failure: scope.ending.failure };
  const template = plan.output;
  if (!template) return { output: main.steps.at(-1)?.output ?? null };
  const output = attemptTo(() => bounded(template, 'output', valuesAt(state, { scope: main }), MAX_OUTPUT_BYTES));
  return 'failure' in output ? output : { output: output.value };
}

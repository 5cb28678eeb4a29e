// What each event of the history means for what is known of the run.
import type { UsageTotal } from '@kadre/store';
import { isAtWork, type EngineEvent, type EventOf } from './events.ts';
import type { Json } from './expression/values.ts';
import { elementId, fallbackOf, insideOf, placeOf, SOLE, unitId } from './ids.ts';
import { delegationStatus, elementStatus } from './project.ts';
import { askPeople } from './people.ts';
import { itemsOf, valuesAt, withinUnit } from './sight.ts';
import {
  newUnit,
  openFrame,
  openScope,
  type Attempt,
  type RunState,
  type StepState,
  type Timer,
  type Unit,
} from './state.ts';
import {
  closeInside,
  closeScope,
  dropUnit,
  endStep,
  finish,
  grow,
  markFresh,
  note,
  stopScope,
  stopUnit,
} from './tree.ts';

/** Changes the state by one event and returns it. The same events in the same order always give the same state. */
export function evolve(state: RunState, event: EngineEvent): RunState {
  state.bornAt ??= event.at;
  apply(state, event);
  state.timers.dropWhile((timer) => isStale(state, timer));
  return state;
}

function apply(state: RunState, event: EngineEvent): void {
  switch (event.type) {
    case 'RunQueued':
      state.phase = 'Queued';
      state.queue = event.data.queue;
      return;
    case 'RunStarted':
      state.phase = 'Running';
      state.startedAt = event.at;
      if (Number.isFinite(state.limits.duration))
        state.timers.push({ at: event.at + (state.limits.duration ?? 0), kind: 'run', id: '', attempt: 0 });
      return;
    case 'RunSuspended':
    case 'RunResumed':
      state.suspended = event.type === 'RunSuspended';
      return;
    case 'CancelRequested':
      state.cancelled = { reason: 'Cancelled', message: event.data.message };
      // What cleans up goes on.
      if (!state.frame.finally) stopScope(state, state.frame.main, { kind: 'stopped', failure: state.cancelled });
      return;
    case 'LimitReached':
      stopScope(state, state.frame.main, { kind: 'failed', failure: event.data.failure });
      return;
    case 'FinallyStarted':
      startFinally(state, event);
      return;
    case 'RunSucceeded':
      state.output = event.data.output;
      endRun(state, 'Succeeded', event.at);
      return;
    case 'RunFailed':
    case 'RunCancelled':
      state.failure = event.data.failure;
      endRun(state, event.type === 'RunFailed' ? 'Failed' : 'Cancelled', event.at);
      return;
    default:
      applyToStep(state, event);
  }
}

type StepEvent = Exclude<Extract<EngineEvent, { data: { step: string } }>, { type: 'FinallyStarted' }>;
type UnitEvent = Exclude<StepEvent, { type: 'StepSkipped' | 'StepFannedOut' }>;

function applyToStep(state: RunState, event: StepEvent): void {
  const place = find(state, event.data.step);
  if (event.type === 'StepSkipped') endStep(state, place.step, 'Skipped', event.at);
  else if (event.type === 'StepFannedOut') fanOut(state, place.step, event);
  else applyToUnit(state, place, event);
}

function applyToUnit(state: RunState, { step, index, round }: ReturnType<typeof find>, event: UnitEvent): void {
  const { step: id, attempt } = event.data;
  const unit = step.units.get(index);
  const active = state.active.get(id);
  if (unit && unit.round !== round) throw new Error(`the log speaks of ${id}, which is in round ${unit.round}`);
  if (event.type === 'StepStarted') {
    start(state, unit ?? begin(state, step, index, event.at), event);
    return;
  }
  if (active && active.attempt !== attempt)
    throw new Error(`the log settles attempt ${attempt} of ${id}, which is not at work`);
  if (event.type === 'StepDelegated') {
    delegate(state, active, event);
    return;
  }
  if (event.type === 'StepAsked' || event.type === 'StepAnswered') {
    if (unit && active) askPeople(unit, active, event);
    return;
  }
  if (event.type === 'StepAccepted' || event.type === 'StepStopping') {
    remark(state, unit, active, event);
    return;
  }
  state.active.delete(id);
  addUsage(state.usage, event.data.usage);
  if (event.type === 'StepSucceeded') succeed(state, unit ?? begin(state, step, index, event.at), event);
  else if (event.type === 'StepFailed') fail(state, unit ?? begin(state, step, index, event.at), event);
  else if (unit) cancel(state, unit, event.at);
}

function find(state: RunState, id: string) {
  const place = placeOf(id);
  const step = state.steps.get(place.step);
  if (!step) throw new Error(`the log names a step ${id} that the run does not have`);
  return { ...place, step };
}

function fanOut(state: RunState, step: StepState, { at, data }: EventOf<'StepFannedOut'>): void {
  const items = itemsOf(state, step);
  if (items.length !== data.count)
    throw new Error(`the log has ${data.count} elements of ${step.id}, not ${items.length}`);
  const outputs = new Array<Json>(items.length).fill(null);
  step.fan = { items, next: 0, outputs, over: 0, succeeded: new Set(), enough: false };
  step.phase = 'Running';
  step.startedAt = at;
  // The elements stand in the place of the step; an empty list counts as one that is over.
  grow(state, step, (Math.max(items.length, 1) - 1) * step.plan.weight);
  if (items.length === 0) endStep(state, step, 'Succeeded', at, { output: [] });
}

/** A unit that was not there before. */
function begin(state: RunState, step: StepState, index: number, at: number): Unit {
  const unit = newUnit(step, index, at);
  step.units.set(index, unit);
  step.scope.live++;
  step.phase = 'Running';
  step.startedAt ??= at;
  state.live.add(step);
  if (step.fan) step.fan.next = Math.max(step.fan.next, index + 1);
  return unit;
}

function start(state: RunState, unit: Unit, { at, data }: EventOf<'StepStarted'>): void {
  const { step } = unit;
  const { attempt, route } = data;
  Object.assign(unit, {
    phase: isAtWork(route) || route.kind === 'inline' ? 'Running' : 'Waiting',
    attempt,
    attemptStartedAt: at,
  });
  delete unit.retryAt;
  step.attempt = attempt;
  step.due.delete(unit);
  state.started++;
  if (route.kind === 'job') unit.job = route.job;
  if (route.kind === 'job' && unit.index === SOLE) step.job = route.job;
  if (route.kind === 'inline') enter(state, unit);
  else {
    state.active.set(unit.id, {
      id: unit.id,
      unit,
      attempt,
      route,
      delegations: new Map(),
      asks: new Map(),
      questions: new Map(),
    });
    markFresh(unit);
  }
  const timer = { id: unit.id, attempt };
  const alarm = route.kind === 'timer' ? route.until : route.kind === 'approval' ? route.expiresAt : undefined;
  if (alarm !== undefined) state.timers.push({ ...timer, kind: 'alarm', at: alarm });
  if (step.plan.timeout !== undefined) state.timers.push({ ...timer, kind: 'deadline', at: at + step.plan.timeout });
  settleReadiness(state, step);
  // What is around it has ended in the same breath.
  if (step.scope.ending || step.fan?.enough) stopUnit(state, unit, { reason: 'Cancelled', message: 'the run ends' });
}

/** The steps inside begin. */
function enter(state: RunState, unit: Unit): void {
  const { scope, plan } = unit.step;
  const { action } = plan;
  const prefix = insideOf(unit);
  if (action.kind === 'steps' || action.kind === 'race')
    unit.inside = openScope(state, { kind: action.kind, prefix, block: action.block, frame: scope.frame, unit });
  if (action.kind !== 'workflow') return;
  const called = state.plans.get(action.name);
  if (!called) throw new Error(`the workflow ${action.name} is not pinned`);
  const input = action.input?.evaluate(valuesAt(state, withinUnit(unit))) ?? null;
  unit.frame = openFrame(state, called, input, prefix, unit);
  grow(state, unit.step, called.steps.weight + (called.finally?.weight ?? 0) - plan.weight);
}

function startFinally(state: RunState, { data }: EventOf<'FinallyStarted'>): void {
  const place = data.step === '' ? undefined : find(state, data.step);
  const unit = place?.step.units.get(place.index);
  const frame = place ? unit?.frame : state.frame;
  const block = frame?.plan.finally;
  if (!frame || !block) throw new Error(`the log begins a finally of ${data.step} that the workflow does not have`);
  state.ended.delete(frame.main);
  const { prefix } = frame.main;
  frame.finally = openScope(state, { kind: 'finally', prefix, block, frame, ...(unit && { unit }) });
}

function remark(
  state: RunState,
  unit: Unit | undefined,
  attempt: Attempt | undefined,
  event: EventOf<'StepAccepted' | 'StepStopping'>,
): void {
  if (event.type === 'StepAccepted') {
    const { taskId, instance } = event.data;
    if (attempt) attempt.accepted = { taskId, ...(instance !== undefined && { instance }) };
  } else if (attempt) {
    attempt.stopping = event.data.failure;
    state.stops.push(attempt);
  } else if (unit) {
    unit.stopping = event.data.failure;
    stopUnit(state, unit, event.data.failure);
  }
}

function delegate(state: RunState, attempt: Attempt | undefined, { at, data }: EventOf<'StepDelegated'>): void {
  const { delegation } = data;
  if (!attempt) return;
  attempt.delegations.set(delegation.id, delegation);
  if (delegation.phase !== 'Running') note(state, delegationStatus(attempt, delegation, at));
}

function succeed(state: RunState, unit: Unit, { at, data }: EventOf<'StepSucceeded'>): void {
  const { step } = unit;
  const output = 'output' in data ? data.output : outputInside(unit);
  state.outputBytes += data.bytes;
  // What is computed has no start of its own, and counts all the same.
  if (unit.attempt === 0) state.started++;
  unit.attempt = Math.max(unit.attempt, data.attempt);
  step.attempt = unit.attempt;
  if (data.source) step.source = data.source;
  if (unit.inside?.ending?.kind === 'won') step.winner = unit.inside.ending.winner;
  // What the fallback has mended can still be asked for.
  if (unit.fallback && unit.failure) step.failure ??= unit.failure;
  if (data.source?.kind === 'event') state.consumed.add(data.source.id);
  if (data.source?.kind !== 'fork' && isLeaf(unit)) markFresh(unit);
  if (data.again) {
    nextRound(state, unit, output);
    return;
  }
  if (!step.fan) {
    dropUnit(state, unit, 'Succeeded');
    endStep(state, step, 'Succeeded', at, { output });
    return;
  }
  step.fan.outputs[unit.index] = output;
  step.fan.succeeded.add(unit.index);
  endElement(state, unit, { phase: 'Succeeded', at });
  if (data.enough) stopFan(state, step);
  endFan(state, step, at);
}

/** Of a group without an output of its own, a race, a called workflow, or a fallback. */
export function outputInside({ fallback, inside, frame }: Unit): Json {
  const scope = fallback ?? inside ?? frame?.main;
  if (scope?.ending?.kind === 'won') return scope.ending.output;
  return scope?.steps.at(-1)?.output ?? null;
}

function nextRound(state: RunState, unit: Unit, output: Json): void {
  const { step } = unit;
  if (isLeaf(unit)) finish(state, step, step.plan.weight);
  closeInside(state, unit);
  grow(state, step, step.plan.weight);
  Object.assign(unit, {
    previous: output,
    round: unit.round + 1,
    attempt: 0,
    phase: 'Running',
  } satisfies Partial<Unit>);
  unit.id = unitId(step.id, unit.index, unit.round);
  step.due.add(unit);
  if (step.scope.ending) dropUnit(state, unit, 'Cancelled');
  else state.ready.add(step);
}

function fail(state: RunState, unit: Unit, { at, data }: EventOf<'StepFailed'>): void {
  const { step } = unit;
  const { failure, then, retryAt } = data;
  unit.failure = failure;
  if (failure.reason === 'RunLimitExceeded') state.exhausted ??= { ...failure, reason: 'LimitExceeded' };
  if (retryAt !== undefined && step.phase !== 'Failed' && !step.scope.ending) {
    waitForRetry(state, unit, retryAt);
    return;
  }
  if (then === 'fallback') {
    fallBack(state, unit);
    return;
  }
  step.failure ??= { reason: failure.reason, message: located(failure.message, data.step) };
  if (!step.fan) {
    dropUnit(state, unit, 'Failed');
    endStep(state, step, 'Failed', at, { tolerated: then === 'continue' });
    return;
  }
  endElement(state, unit, { phase: 'Failed', at, failure });
  if (then !== 'continue') {
    step.phase = 'Failed';
    dropWaiting(state, step);
  }
  endFan(state, step, at);
}

/** What a step inside has said already needs no further name. */
function located(message: string, id: string): string {
  return message.startsWith('step ') ? message : `step ${id}: ${message}`;
}

function waitForRetry(state: RunState, unit: Unit, retryAt: number): void {
  closeInside(state, unit);
  Object.assign(unit, { phase: 'Waiting', retryAt } satisfies Partial<Unit>);
  delete unit.stopping;
  state.timers.push({ at: retryAt, kind: 'retry', id: unit.id, attempt: unit.attempt });
}

function fallBack(state: RunState, unit: Unit): void {
  const { step } = unit;
  const { onError } = step.plan;
  if (typeof onError !== 'object')
    throw new Error(`the log takes a fallback of ${unit.id} that the workflow does not have`);
  closeInside(state, unit);
  const head = {
    kind: 'fallback',
    prefix: fallbackOf(unit),
    block: onError.fallback,
    frame: step.scope.frame,
  } as const;
  unit.fallback = openScope(state, { ...head, unit });
  unit.phase = 'Running';
  grow(state, step, onError.fallback.weight);
  settleReadiness(state, step);
}

/** Elements that wait for another attempt or round don't get one any more; none starts. */
function dropWaiting(state: RunState, step: StepState): void {
  state.ready.delete(step);
  for (const unit of step.units.values()) {
    if (!state.active.has(unit.id) && isLeaf(unit)) dropUnit(state, unit, 'Cancelled');
  }
}

function stopFan(state: RunState, step: StepState): void {
  if (step.fan) step.fan.enough = true;
  state.ready.delete(step);
  for (const unit of step.units.values())
    stopUnit(state, unit, { reason: 'Cancelled', message: 'the elements that are over are enough' });
}

function endElement(
  state: RunState,
  unit: Unit,
  end: { phase: 'Succeeded' | 'Failed' | 'Cancelled'; at: number; failure?: Unit['failure'] },
): void {
  const { step, index } = unit;
  note(state, elementStatus(elementId(step.id, index), unit, end));
  // The steps inside have counted for themselves.
  if (isLeaf(unit)) finish(state, step, step.plan.weight);
  dropUnit(state, unit, end.phase);
  if (step.fan) step.fan.over++;
}

function isLeaf({ inside, frame, fallback }: Unit): boolean {
  return !inside && !frame && !fallback;
}

/** A forEach ends when all its elements are over, or when it fails or has enough and none is at work any more. */
function endFan(state: RunState, step: StepState, at: number): void {
  const { fan } = step;
  if (!fan || step.finishedAt !== undefined) return;
  const idle = step.units.size === 0;
  if (step.phase === 'Failed') {
    if (idle) endStep(state, step, 'Failed', at);
  } else if (fan.over === fan.items.length || (fan.enough && idle)) {
    endStep(state, step, 'Succeeded', at, { output: fan.outputs });
  } else settleReadiness(state, step);
}

function cancel(state: RunState, unit: Unit, at: number): void {
  const { step } = unit;
  if (unit.index !== SOLE) endElement(state, unit, { phase: 'Cancelled', at });
  else dropUnit(state, unit, 'Cancelled');
  endFan(state, step, at);
}

/** Whether the step has more to start. */
function settleReadiness(state: RunState, step: StepState): void {
  const { fan, plan, scope, due } = step;
  const room = fan && fan.next < fan.items.length && step.units.size < (plan.forEach?.parallelism ?? Infinity);
  if (!scope.ending && (due.size > 0 || (room && !fan.enough && step.phase !== 'Failed'))) state.ready.add(step);
  else state.ready.delete(step);
}

function endRun(state: RunState, phase: 'Succeeded' | 'Failed' | 'Cancelled', at: number): void {
  state.phase = phase;
  state.finishedAt = at;
  for (const scope of [state.frame.main, state.frame.finally]) {
    if (!scope) continue;
    closeScope(state, scope);
    for (const step of scope.steps)
      if (step.finishedAt === undefined && step.startedAt !== undefined) step.finishedAt = at;
  }
}

function isStale(state: RunState, { kind, id, attempt, at }: Timer): boolean {
  if (kind === 'run') return state.frame.main.ending !== undefined || state.frame.finally !== undefined;
  const place = placeOf(id);
  const unit = state.steps.get(place.step)?.units.get(place.index);
  if (unit?.round !== place.round || unit.attempt !== attempt) return true;
  if (kind === 'retry') return unit.retryAt !== at;
  const active = state.active.get(id);
  if (kind === 'alarm') return active === undefined;
  return active ? active.stopping !== undefined : unit.stopping !== undefined || !(unit.inside ?? unit.frame);
}

function addUsage(sum: UsageTotal, more: UsageTotal): void {
  sum.inputTokens += more.inputTokens;
  sum.outputTokens += more.outputTokens;
  sum.costNanoUsd += more.costNanoUsd;
  sum.unpricedCalls += more.unpricedCalls;
}

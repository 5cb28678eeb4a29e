// What each event of the history means for what is known of the run.
import type { Failure, StepStatus } from '@kadre/crds';
import type { UsageTotal } from '@kadre/store';
import type { EngineEvent } from './events.ts';
import type { Json } from './expression/values.ts';
import { elementStatus } from './project.ts';
import { itemsOf, SOLE, unitId, unitOf, type Attempt, type RunState, type StepState, type Unit } from './state.ts';

/** How many elements that are over are kept for the status. */
const LATEST_ELEMENTS = 8;

/** Changes the state by one event and returns it. The same events in the same order always give the same state. */
export function evolve(state: RunState, event: EngineEvent): RunState {
  apply(state, event);
  state.deadlines.dropWhile(({ id, attempt }) => {
    const active = state.active.get(id);
    return active?.attempt !== attempt || active.stopping !== undefined;
  });
  return state;
}

function apply(state: RunState, event: EngineEvent): void {
  switch (event.type) {
    case 'RunStarted':
      state.phase = 'Running';
      state.startedAt = event.at;
      return;
    case 'CancelRequested':
      state.ending ??= { failure: { reason: 'Cancelled', message: event.data.message }, cancelled: true };
      return;
    case 'StepSkipped':
      endStep(state, unitOf(state.plan, event.data.step).step, 'Skipped', event.at);
      return;
    case 'StepFannedOut':
      fanOut(state, event);
      return;
    case 'StepStarted':
      start(state, event);
      return;
    case 'StepAccepted':
    case 'StepStopping':
    case 'StepSucceeded':
    case 'StepFailed':
    case 'StepCancelled':
      applyToAttempt(state, event);
      return;
    case 'RunSucceeded':
      state.output = event.data.output;
      endRun(state, 'Succeeded', event.at);
      return;
    case 'RunFailed':
      state.failure = event.data.failure;
      endRun(state, 'Failed', event.at);
      return;
    case 'RunCancelled':
      state.failure = event.data.failure;
      endRun(state, 'Cancelled', event.at);
      return;
  }
}

type EventOf<Type extends EngineEvent['type']> = Extract<EngineEvent, { type: Type }>;

function fanOut(state: RunState, { at, data }: EventOf<'StepFannedOut'>): void {
  const { step } = unitOf(state.plan, data.step);
  const [planned, known] = lookUp(state, step);
  const items = itemsOf(state, planned);
  known.fan = { items, next: 0, outputs: new Array<Json>(items.length).fill(null), succeeded: 0 };
  known.phase = 'Running';
  known.startedAt = at;
  // The elements stand in the place of the step; an empty list counts as one that is over.
  state.progress.all += Math.max(items.length, 1) - 1;
  if (items.length === 0) endStep(state, step, 'Succeeded', at, []);
}

function start(state: RunState, { at, data }: EventOf<'StepStarted'>): void {
  const { step, unit } = unitOf(state.plan, data.step);
  const [planned, known] = lookUp(state, step);
  const { attempt, route } = data;
  const job = route.kind === 'job' ? { job: route.job } : {};
  const before = known.units.get(unit);
  known.units.set(unit, { phase: 'Running', attempt, startedAt: before?.startedAt ?? at, ...job });
  known.phase = 'Running';
  known.startedAt ??= at;
  known.attempt = attempt;
  if (unit === SOLE) Object.assign(known, job);
  if (known.fan) known.fan.next = Math.max(known.fan.next, unit + 1);
  dropStaleRetries(known);
  state.active.set(data.step, { id: data.step, step, unit, attempt, route });
  if (planned.timeout !== undefined) state.deadlines.push({ at: at + planned.timeout, id: data.step, attempt });
}

function applyToAttempt(
  state: RunState,
  event: EventOf<'StepAccepted' | 'StepStopping' | 'StepSucceeded' | 'StepFailed' | 'StepCancelled'>,
): void {
  const { step: id, attempt } = event.data;
  const active = state.active.get(id);
  if (attempt > 0 && active?.attempt !== attempt)
    throw new Error(`the log settles attempt ${attempt} of ${id}, which is not at work`);
  if (event.type === 'StepAccepted' || event.type === 'StepStopping') {
    if (active) note(active, event);
    return;
  }
  state.active.delete(id);
  addUsage(state.usage, event.data.usage);
  const place = unitOf(state.plan, id);
  if (event.type === 'StepSucceeded') succeed(state, place, event);
  else if (event.type === 'StepFailed') fail(state, place, event);
  else stop(state, place);
}

function note(active: Attempt, event: EventOf<'StepAccepted' | 'StepStopping'>): void {
  if (event.type === 'StepStopping') active.stopping = event.data.failure;
  else
    active.accepted = {
      taskId: event.data.taskId,
      ...(event.data.instance !== undefined && { instance: event.data.instance }),
    };
}

interface Place {
  step: number;
  unit: number;
}

function succeed(state: RunState, { step, unit }: Place, { at, data }: EventOf<'StepSucceeded'>): void {
  const [, known] = lookUp(state, step);
  state.outputBytes += data.bytes;
  const { fan } = known;
  if (!fan) {
    endStep(state, step, 'Succeeded', at, data.output);
    return;
  }
  endElement(state, step, unit, { phase: 'Succeeded', at });
  fan.outputs[unit] = data.output;
  fan.succeeded++;
  if (fan.succeeded === fan.items.length) endStep(state, step, 'Succeeded', at, fan.outputs);
  else endFailedStep(state, step, at);
}

function fail(state: RunState, { step, unit }: Place, { at, data }: EventOf<'StepFailed'>): void {
  const [, known] = lookUp(state, step);
  const live = known.units.get(unit);
  if (data.retryAt !== undefined && live && !known.failure) {
    Object.assign(live, { phase: 'Waiting', retryAt: data.retryAt, failure: data.failure } satisfies Partial<Unit>);
    known.retries.push({ at: data.retryAt, unit });
    return;
  }
  if (known.fan) endElement(state, step, unit, { phase: 'Failed', at, failure: data.failure });
  else known.units.delete(unit);
  if (!known.failure) {
    known.failure = { reason: data.failure.reason, message: `step ${data.step}: ${data.failure.message}` };
    dropWaiting(known);
  }
  endFailedStep(state, step, at);
}

function stop(state: RunState, { step, unit }: Place): void {
  lookUp(state, step)[1].units.delete(unit);
}

/** Elements that wait for another attempt don't get one any more. */
function dropWaiting(known: StepState): void {
  for (const [unit, { phase }] of known.units) if (phase === 'Waiting') known.units.delete(unit);
  dropStaleRetries(known);
}

/** A step that has failed ends once nothing of it is at work any more. */
function endFailedStep(state: RunState, step: number, at: number): void {
  const [, known] = lookUp(state, step);
  if (!known.failure || known.units.size > 0) return;
  endStep(state, step, 'Failed', at);
  state.ending ??= { failure: known.failure, cancelled: false };
}

function endElement(
  state: RunState,
  step: number,
  unit: number,
  end: { phase: 'Succeeded' | 'Failed'; at: number; failure?: Failure },
): void {
  const [planned, known] = lookUp(state, step);
  const status: StepStatus = elementStatus(unitId(planned, unit), known.units.get(unit), end);
  state.latestElements.push(status);
  if (state.latestElements.length > LATEST_ELEMENTS) state.latestElements.shift();
  known.units.delete(unit);
  state.progress.over++;
}

function endStep(
  state: RunState,
  step: number,
  phase: 'Succeeded' | 'Failed' | 'Skipped',
  at: number,
  output: Json = null,
): void {
  const [planned, known] = lookUp(state, step);
  Object.assign(known, { phase, finishedAt: at, output });
  known.units.clear();
  state.frontier.delete(step);
  state.over.push(step);
  if (!known.fan || known.fan.items.length === 0) state.progress.over++;
  if (phase === 'Failed') return;
  for (const dependent of planned.dependents) {
    const [, waiting] = lookUp(state, dependent);
    if (--waiting.waitingFor === 0) state.frontier.add(dependent);
  }
}

function endRun(state: RunState, phase: 'Succeeded' | 'Failed' | 'Cancelled', at: number): void {
  state.phase = phase;
  state.finishedAt = at;
  state.frontier.clear();
  for (const step of state.steps) {
    if (step.finishedAt !== undefined) continue;
    step.phase = 'Cancelled';
    step.units.clear();
    if (step.startedAt !== undefined) step.finishedAt = at;
  }
}

/** A retry is stale once its element is at work again, or is over. */
function dropStaleRetries(known: StepState): void {
  known.retries.dropWhile(({ at, unit }) => known.units.get(unit)?.retryAt !== at);
}

function addUsage(sum: UsageTotal, more: UsageTotal): void {
  sum.inputTokens += more.inputTokens;
  sum.outputTokens += more.outputTokens;
  sum.costNanoUsd += more.costNanoUsd;
  sum.unpricedCalls += more.unpricedCalls;
}

function lookUp(state: RunState, step: number) {
  const planned = state.plan.steps[step];
  const known = state.steps[step];
  if (!planned || !known) throw new Error(`there is no step ${step}`);
  return [planned, known] as const;
}

// What a run needs next. Looks only at what can move: steps that wait for others or are over cost nothing.
import type { Failure } from '@kadre/crds';
import type { UsageTotal } from '@kadre/store';
import type { EngineEvent, Outcome, Route } from './events.ts';
import { checkSize, TemplateError } from './expression/template.ts';
import { ExpressionError } from './expression/errors.ts';
import type { Json } from './expression/values.ts';
import type { PlannedStep, RetryPolicy } from './plan.ts';
import {
  isOver,
  itemsOf,
  SOLE,
  unitId,
  valuesFor,
  type Attempt,
  type RunState,
  type StepState,
  type Unit,
} from './state.ts';
import { evaluateTask, type Work } from './task.ts';

export interface Decision {
  /** To be recorded, in this order, before anything is done about them. */
  events: EngineEvent[];
  /** When to decide again if nothing happens before; Infinity: never. */
  wakeAt: number;
}

/** Says how an attempt may be carried out now, or undefined if it must wait for its turn. */
export type Admit = (step: PlannedStep, id: string, attempt: number) => Route | undefined;

/** The most that all outputs of a run, or its result, may come to as JSON. They are held in memory while it runs. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

const noUsage: UsageTotal = { inputTokens: 0, outputTokens: 0, costNanoUsd: 0, unpricedCalls: 0 };

/** Decides until nothing is left is the caller's loop: apply the events, then ask again, until there are none. */
export function decide(state: RunState, now: number, admit: Admit): Decision {
  if (isOver(state)) return { events: [], wakeAt: Infinity };
  if (state.phase === 'Pending') return { events: [{ at: now, type: 'RunStarted', data: {} }], wakeAt: Infinity };
  const end = runEnd(state, now);
  if (end) return { events: [end], wakeAt: Infinity };
  const events: EngineEvent[] = [];
  let wakeAt = state.deadlines.visitDue(now, ({ id, attempt }) => {
    const active = state.active.get(id);
    if (active?.attempt === attempt && !active.stopping)
      events.push({ at: now, type: 'StepStopping', data: { step: id, attempt, failure: timedOut } });
    return true;
  });
  if (state.ending) return { events, wakeAt };
  for (const index of state.frontier) {
    const step = new StepDecision(state, index, now, admit);
    wakeAt = Math.min(wakeAt, step.decide());
    events.push(...step.events);
  }
  return { events, wakeAt };
}

const timedOut: Failure = { reason: 'TimedOut', message: "the attempt took longer than the step's timeout" };

/**
 * The event for the end of an attempt; undefined if the attempt is over already, so that whoever reports twice, or too
 * late, changes nothing.
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
  const ref = { step: id, attempt, usage };
  if (active.stopping) return failed(state, active, active.stopping, usage, now);
  if (outcome === 'stopped') {
    // Nobody asked for that: the agent's side gave the task up.
    if (!state.ending)
      return failed(
        state,
        active,
        { reason: 'AgentFailed', message: 'the task was cancelled at the agent' },
        usage,
        now,
      );
    return { at: now, type: 'StepCancelled', data: ref };
  }
  if ('failure' in outcome) return failed(state, active, outcome.failure, usage, now);
  if (state.outputBytes + outcome.bytes > MAX_OUTPUT_BYTES) {
    const message = `the outputs of the run come to more than ${MAX_OUTPUT_BYTES} bytes: let steps answer more briefly`;
    return failed(state, active, { reason: 'InvalidOutput', message }, usage, now, false);
  }
  return { at: now, type: 'StepSucceeded', data: { ...ref, output: outcome.output, bytes: outcome.bytes } };
}

function failed(
  state: RunState,
  { id, step, attempt }: Attempt,
  failure: Failure,
  usage: UsageTotal,
  now: number,
  again = true,
): EngineEvent {
  const policy = state.plan.steps[step]?.retry;
  const retry = again && !state.ending && policy && mayRetry(policy, failure, attempt);
  const wait = policy ? Math.min(policy.max, policy.initial * policy.factor ** (attempt - 1)) : 0;
  return {
    at: now,
    type: 'StepFailed',
    data: { step: id, attempt, failure, usage, ...(retry && { retryAt: now + wait }) },
  };
}

function mayRetry(policy: RetryPolicy, { reason }: Failure, attempt: number): boolean {
  return attempt <= policy.limit && (policy.reasons?.has(reason) ?? true);
}

/** What an attempt at work is doing; the same each time it is asked. */
export function workOf(state: RunState, { step, unit }: Pick<Attempt, 'step' | 'unit'>): Work {
  const planned = state.plan.steps[step];
  if (!planned) throw new Error(`there is no step ${step}`);
  return evaluateTask(planned.task, valuesFor(state, planned, unit));
}

function runEnd(state: RunState, now: number): EngineEvent | undefined {
  if (state.rejection) return { at: now, type: 'RunFailed', data: { failure: state.rejection } };
  if (state.ending) {
    const { cancelled, failure } = state.ending;
    if (state.active.size > 0) return undefined;
    return { at: now, type: cancelled ? 'RunCancelled' : 'RunFailed', data: { failure } };
  }
  if (state.over.length < state.steps.length) return undefined;
  const output = attemptTo(() => runOutput(state));
  if ('failure' in output) return { at: now, type: 'RunFailed', data: output };
  return { at: now, type: 'RunSucceeded', data: { output: output.value } };
}

function runOutput({ plan, steps, ...state }: RunState): Json {
  if (!plan.output) return steps.at(-1)?.output ?? null;
  const value = plan.output.evaluate(valuesFor({ ...state, plan, steps }));
  try {
    checkSize(value, MAX_OUTPUT_BYTES);
  } catch (error) {
    throw error instanceof ExpressionError ? new TemplateError('output', error) : error;
  }
  return value;
}

/** The value, or what an expression has to complain about. */
function attemptTo<T>(evaluate: () => T): { value: T } | { failure: Failure } {
  try {
    return { value: evaluate() };
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return { failure: { reason: 'InvalidExpression', message: error.message } };
  }
}

/** What one step of the frontier needs. */
class StepDecision {
  readonly events: EngineEvent[] = [];
  readonly #state: RunState;
  readonly #step: PlannedStep;
  readonly #known: StepState;
  readonly #now: number;
  readonly #admit: Admit;

  constructor(state: RunState, index: number, now: number, admit: Admit) {
    const [step, known] = [state.plan.steps[index], state.steps[index]];
    if (!step || !known) throw new Error(`there is no step ${index}`);
    this.#state = state;
    this.#step = step;
    this.#known = known;
    this.#now = now;
    this.#admit = admit;
  }

  /** Returns when to look again. */
  decide(): number {
    const { phase, failure } = this.#known;
    if (failure || (phase === 'Pending' && !this.#begins())) return Infinity;
    const wakeAt = this.#retryDue();
    if (this.#known.fan) this.#startElements();
    else if (phase === 'Pending') this.#start(SOLE, 1);
    return wakeAt;
  }

  /** Whether a pending step goes on to start: it does if it isn't skipped and isn't a forEach, which must fan out first. */
  #begins(): boolean {
    const { when, forEach } = this.#step;
    const values = valuesFor(this.#state, this.#step);
    const condition = when ? this.#try(() => isTrue(when.evaluate(values), this.#step)) : true;
    if (condition === undefined) return false;
    if (!condition) this.#record({ at: this.#now, type: 'StepSkipped', data: { step: this.#step.name } });
    if (!condition || !forEach) return condition;
    const items = this.#try(() => itemsOf(this.#state, this.#step));
    if (items)
      this.#record({ at: this.#now, type: 'StepFannedOut', data: { step: this.#step.name, count: items.length } });
    return false;
  }

  #retryDue(): number {
    return this.#known.retries.visitDue(this.#now, ({ at, unit }) => {
      const waiting = this.#known.units.get(unit);
      return waiting?.retryAt === at ? this.#startAgain(unit, waiting) : true;
    });
  }

  #startAgain(unit: number, { attempt }: Unit): boolean {
    return this.#start(unit, attempt + 1);
  }

  #startElements(): void {
    const { fan, units } = this.#known;
    if (!fan) return;
    const parallelism = this.#step.forEach?.parallelism ?? Infinity;
    const last = Math.min(fan.items.length, fan.next + parallelism - units.size);
    for (let unit = fan.next; unit < last; unit++) if (!this.#start(unit, 1)) return;
  }

  /** False if it must wait for its turn, or failed. */
  #start(unit: number, attempt: number): boolean {
    const id = unitId(this.#step, unit);
    const route = this.#admit(this.#step, id, attempt);
    if (!route) return false;
    const work = this.#try(() => workOf(this.#state, { step: this.#step.index, unit }), id);
    if (!work) return false;
    this.#record({ at: this.#now, type: 'StepStarted', data: { step: id, attempt, route } });
    return true;
  }

  /** The value; or undefined, and the step has failed for good: the same expression on the same values fails again. */
  #try<T>(evaluate: () => T, id = this.#step.name): T | undefined {
    const result = attemptTo(evaluate);
    if ('value' in result) return result.value;
    this.#record({
      at: this.#now,
      type: 'StepFailed',
      data: { step: id, attempt: 0, failure: result.failure, usage: noUsage },
    });
    return undefined;
  }

  #record(event: EngineEvent): void {
    this.events.push(event);
  }
}

function isTrue(value: Json, { index }: PlannedStep): boolean {
  if (typeof value === 'boolean') return value;
  throw new TemplateError(`steps[${index}].when`, new ExpressionError('takes an expression that is true or false'));
}

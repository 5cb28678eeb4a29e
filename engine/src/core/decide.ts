// What a run needs next. Looks only at what can move: steps that wait for others or are over cost nothing.
import { usdText, type Failure } from '@kadre/crds';
import type { CachedOutput } from '@kadre/store';
import { endOf } from './ends.ts';
import type { EngineEvent, Route } from './events.ts';
import type { Json } from './expression/values.ts';
import { firstAttempt, placeOf, SOLE } from './ids.ts';
import type { Plan } from './plan.ts';
import { attemptTo, failed, isTrue, sizeOf, succeeded } from './settle.ts';
import { aroundStep, itemsOf, valuesAt, withinUnit } from './sight.ts';
import { isOver, newUnit, type Fan, type RunState, type StepState, type Timer, type Unit } from './state.ts';
import { bounded, workOf } from './work.ts';

export interface Decision {
  /** To be recorded, in this order, before anything is done about them. */
  events: EngineEvent[];
  /** When to decide again if nothing happens before; Infinity: never. */
  wakeAt: number;
  /** Keys whose recorded outputs must be looked up before their steps can start. */
  lookups: string[];
}

/** What the core must be told from outside. */
export interface Surroundings {
  /** How an attempt may be carried out now, or undefined if it must wait for its turn. */
  admit: (unit: Unit, attempt: number) => Route | undefined;
  /** What is wrong with the input of a called workflow. */
  inputProblem: (plan: Plan, input: Json) => string | undefined;
  /** Name of the Approval for an attempt. */
  approvalName: (id: string, attempt: number) => string;
  /** The key of a step's output in the cache of its namespace. */
  cacheKey: (parts: readonly string[]) => string;
  /** What was found under a key: null if nothing; undefined if nobody has looked yet. */
  cached: (key: string) => CachedOutput | null | undefined;
}

/** How deep workflows may call each other. */
const MAX_DEPTH = 16;
/** For how many elements at once the cache is asked. */
const LOOK_AHEAD = 256;

/** Deciding until nothing is left is the caller's loop: apply the events, then ask again, until there are none. */
export function decide(state: RunState, now: number, surroundings: Surroundings): Decision {
  const nothing: Decision = { events: [], wakeAt: Infinity, lookups: [] };
  if (isOver(state)) return nothing;
  if (state.startedAt === undefined) return { ...nothing, events: beginning(state, now) };
  const ends = [...state.ended].flatMap((scope) => endOf(state, scope, now));
  if (ends.length > 0) return { ...nothing, events: ends };
  const limit = reachedLimit(state);
  if (limit) return { ...nothing, events: [{ at: now, type: 'LimitReached', data: { failure: limit } }] };
  return new Round(state, now, surroundings).decide();
}

function beginning(state: RunState, now: number): EngineEvent[] {
  if (state.rejection) return [{ at: now, type: 'RunFailed', data: { failure: state.rejection } }];
  if (state.cancelled) return [{ at: now, type: 'RunCancelled', data: { failure: state.cancelled } }];
  return state.suspended ? [] : [{ at: now, type: 'RunStarted', data: {} }];
}

function reachedLimit({ limits, usage, frame, exhausted }: RunState): Failure | undefined {
  if (frame.main.ending || frame.finally) return undefined;
  if (exhausted) return exhausted;
  const { costNanoUsd = Infinity, tokens = Infinity } = limits;
  const used = usage.inputTokens + usage.outputTokens;
  if (usage.costNanoUsd > costNanoUsd)
    return limitExceeded(`the model calls of the run cost more than ${usdText(costNanoUsd)} USD: see limits.costUsd`);
  return used > tokens ? limitExceeded(`the run used more than ${tokens} tokens: see limits.tokens`) : undefined;
}

function limitExceeded(message: string): Failure {
  return { reason: 'LimitExceeded', message };
}

/** One look at all that can move. */
class Round {
  readonly #state: RunState;
  readonly #now: number;
  readonly #around: Surroundings;
  readonly #events: EngineEvent[] = [];
  readonly #lookups: string[] = [];
  /** How many attempts have begun in this round. */
  #started = 0;
  /** Only what costs nothing is started. */
  #free = false;

  constructor(state: RunState, now: number, around: Surroundings) {
    this.#state = state;
    this.#now = now;
    this.#around = around;
  }

  decide(): Decision {
    const { timers, suspended, ready } = this.#state;
    const wakeAt = timers.visitDue(this.#now, (timer) => this.#ring(timer));
    if (!suspended && !ready.empty) {
      // What is known already goes first, so that no agent is asked in a race that is won.
      for (this.#free = true; ; this.#free = false) {
        this.#goOn();
        if (!this.#free || this.#events.length > 0) break;
      }
    }
    return { events: this.#events, wakeAt, lookups: this.#lookups };
  }

  #record(event: EngineEvent): true {
    this.#events.push(event);
    return true;
  }

  /** Always true: the other timers want to ring, too. */
  #ring({ kind, id, attempt }: Timer): true {
    if (kind === 'run') {
      const message = 'the run took longer than its limits.duration';
      if (!this.#state.frame.main.ending && !this.#state.frame.finally)
        this.#record({ at: this.#now, type: 'LimitReached', data: { failure: { reason: 'TimedOut', message } } });
      return true;
    }
    const { step, index, round } = placeOf(id);
    const unit = this.#state.steps.get(step)?.units.get(index);
    if (unit?.attempt !== attempt || unit.round !== round) return true;
    if (kind === 'retry') {
      if (unit.phase === 'Waiting' && !this.#state.suspended) this.#begin(unit, attempt + 1);
    } else if (kind === 'deadline') this.#stopLate(unit);
    else this.#alarm(unit);
    return true;
  }

  #stopLate(unit: Unit): void {
    const { id, attempt } = unit;
    const active = this.#state.active.get(id);
    if (active ? active.stopping : (unit.stopping ?? !(unit.inside ?? unit.frame))) return;
    const failure: Failure = { reason: 'TimedOut', message: "the attempt took longer than the step's timeout" };
    this.#record({ at: this.#now, type: 'StepStopping', data: { step: id, attempt, failure } });
  }

  /** The end of a wait, or of the time for an approval. */
  #alarm(unit: Unit): void {
    const active = this.#state.active.get(unit.id);
    if (!active || active.stopping || active.doomed) return;
    const { action } = unit.step.plan;
    if (action.kind !== 'approval') {
      this.#record(succeeded(this.#state, unit, unit.attempt, { output: null, bytes: 4 }, this.#now));
      return;
    }
    if (action.approval.onTimeout === 'approve') {
      const output = { approved: true, answer: null, by: null, at: new Date(this.#now).toISOString() };
      this.#record(
        succeeded(
          this.#state,
          unit,
          unit.attempt,
          { output, bytes: sizeOf(output), source: { kind: 'approval' } },
          this.#now,
        ),
      );
      return;
    }
    const failure: Failure = { reason: 'ApprovalRejected', message: 'nobody decided in time' };
    this.#record(failed(this.#state, unit, unit.attempt, failure, this.#now));
  }

  #goOn(): void {
    for (const lane of this.#state.ready.lanes) {
      for (const step of lane) if (!this.#continue(step)) break;
    }
  }

  /** False if the lane must wait for its turn. */
  #continue(step: StepState): boolean {
    for (const unit of step.due) if (!this.#start(unit)) return false;
    if (step.fan) return this.#continueFan(step, step.fan);
    if (step.units.size > 0 || step.phase !== 'Pending') return true;
    const condition = this.#condition(step);
    if (condition === undefined) return true;
    if (!condition) return this.#record({ at: this.#now, type: 'StepSkipped', data: { step: step.id } });
    return step.plan.forEach ? this.#fanOut(step) : this.#start(newUnit(step, SOLE, this.#now));
  }

  /** Elements start in order: where one cannot, those after it wait. */
  #continueFan(step: StepState, { next, items }: Fan): boolean {
    const { parallelism = Infinity, until } = step.plan.forEach ?? {};
    const last = Math.min(items.length, next + parallelism - step.units.size);
    for (let index = next; index < last; index++) {
      const before = this.#events.length;
      if (!this.#start(newUnit(step, index, this.#now))) return false;
      if (this.#events.length === before) {
        if (!this.#free) this.#lookAhead(step, index + 1, last);
        return true;
      }
      // What follows depends on how this one went.
      const { type } = this.#events.at(-1) ?? {};
      if (type === 'StepFailed' || (until && type === 'StepSucceeded')) return true;
    }
    return true;
  }

  /** Asks for what the cache has for the next elements, too. */
  #lookAhead(step: StepState, from: number, end: number): void {
    if (!step.plan.cache || this.#lookups.length === 0) return;
    for (let index = from; index < Math.min(end, from + LOOK_AHEAD); index++)
      this.#cached(newUnit(step, index, this.#now));
  }

  #condition(step: StepState): boolean | undefined {
    const { when, path } = step.plan;
    if (!when) return true;
    return this.#try(newUnit(step, SOLE, this.#now), () => isTrue(this.#state, when, aroundStep(step), `${path}.when`));
  }

  #fanOut(step: StepState): boolean {
    const items = this.#try(newUnit(step, SOLE, this.#now), () => itemsOf(this.#state, step));
    return items
      ? this.#record({ at: this.#now, type: 'StepFannedOut', data: { step: step.id, count: items.length } })
      : true;
  }

  /** The value; or undefined, and the step has failed for good: the same expression on the same values fails again. */
  #try<T>(unit: Unit, evaluate: () => T): T | undefined {
    const result = attemptTo(evaluate);
    if ('value' in result) return result.value;
    this.#fail(unit, result.failure);
    return undefined;
  }

  #fail(unit: Unit, failure: Failure): boolean {
    return this.#record(failed(this.#state, unit, unit.attempt, failure, this.#now, { final: true }));
  }

  /** False if the lane must wait for its turn. */
  #start(unit: Unit): boolean {
    const known = this.#takenOver(unit);
    if (known) return this.#succeed(unit, { ...known, source: { kind: 'fork', run: this.#state.reuse?.run ?? '' } });
    const { action, path } = unit.step.plan;
    if (action.kind === 'fail') {
      const message = this.#try(unit, () => action.message.evaluate(valuesAt(this.#state, withinUnit(unit))));
      return message === undefined || this.#fail(unit, { reason: 'Refused', message });
    }
    if (action.kind !== 'value') return this.#free || this.#begin(unit, 1);
    if (this.#isTooMuch()) return true;
    const value = this.#try(unit, () =>
      bounded(action.value, `${path}.value`, valuesAt(this.#state, withinUnit(unit))),
    );
    return value === undefined || this.#succeed(unit, { output: value, bytes: sizeOf(value) });
  }

  #succeed(unit: Unit, result: Parameters<typeof succeeded>[3]): true {
    this.#started++;
    return this.#record(succeeded(this.#state, unit, 1, result, this.#now));
  }

  /** The output that the run which is forked has recorded, if it may be taken over. */
  #takenOver(unit: Unit): { output: Json; bytes: number } | undefined {
    const { reuse } = this.#state;
    const known = reuse?.outputs.get(firstAttempt(unit.id));
    return known && !reuse?.anew(unit.id) && !restsOnNews(unit) ? known : undefined;
  }

  /** False if the lane must wait for its turn. */
  #begin(unit: Unit, attempt: number): boolean {
    if (this.#isTooMuch()) return true;
    if (attempt === 1 && unit.step.plan.cache) {
      const cached = this.#cached(unit);
      if (cached === undefined) return true;
      if (cached) {
        const { output, run } = cached;
        return this.#succeed(unit, {
          output: output as Json,
          bytes: sizeOf(output as Json),
          source: { kind: 'cache', run },
        });
      }
    }
    const route = this.#route(unit, attempt);
    if (route === undefined) return false;
    if (route === 'failed') return true;
    this.#started++;
    return this.#record({ at: this.#now, type: 'StepStarted', data: { step: unit.id, attempt, route } });
  }

  #isTooMuch(): boolean {
    const { started, limits, frame } = this.#state;
    const most = limits.steps ?? Infinity;
    if (started + this.#started < most || frame.finally) return false;
    const failure = limitExceeded(`the run started more than ${most} steps: see limits.steps`);
    if (!frame.main.ending && !this.#events.some(({ type }) => type === 'LimitReached'))
      this.#record({ at: this.#now, type: 'LimitReached', data: { failure } });
    return true;
  }

  /** null: there is nothing; undefined: it is being looked up, or the key cannot be had. */
  #cached(unit: Unit): CachedOutput | null | undefined {
    const { cache } = unit.step.plan;
    const key = this.#try(unit, () => cacheKeyOf(this.#state, unit, this.#around));
    if (!cache || key === undefined) return undefined;
    const found = this.#around.cached(key);
    if (found === undefined) this.#lookups.push(key);
    return found;
  }

  #route(unit: Unit, attempt: number): Route | 'failed' | undefined {
    const { action, path } = unit.step.plan;
    const values = valuesAt(this.#state, withinUnit(unit));
    switch (action.kind) {
      case 'agent':
      case 'tool':
      case 'code':
      case 'container': {
        const route = this.#around.admit(unit, attempt);
        return route && this.#try(unit, () => workOf(this.#state, { unit })) ? route : route && 'failed';
      }
      case 'timer': {
        if ('duration' in action) return { kind: 'timer', until: this.#now + action.duration };
        const text = this.#try(unit, () => action.until.evaluate(values));
        if (text === undefined) return 'failed';
        const until = Date.parse(text);
        if (!Number.isNaN(until)) return { kind: 'timer', until };
        const message = `${path}.wait.until: ${text.slice(0, 100)} is not a time such as 2030-01-31T09:00:00Z`;
        this.#fail(unit, { reason: 'InvalidExpression', message });
        return 'failed';
      }
      case 'event':
        return { kind: 'event', name: action.name };
      case 'approval': {
        if (!this.#try(unit, () => workOf(this.#state, { unit }))) return 'failed';
        const { timeout, approval } = action;
        if (approval.otherThanRequester && this.#state.requestedBy === undefined) {
          const message =
            'somebody else than the requester must decide, but the Run does not say who that is: set spec.requestedBy';
          this.#fail(unit, { reason: 'InvalidInput', message });
          return 'failed';
        }
        const name = this.#around.approvalName(unit.id, attempt);
        return { kind: 'approval', approval: name, ...(timeout !== undefined && { expiresAt: this.#now + timeout }) };
      }
      case 'workflow':
        return this.#call(unit, action.name, () => action.input?.evaluate(values) ?? null);
      default:
        return { kind: 'inline' };
    }
  }

  #call(unit: Unit, name: string, evaluate: () => Json): Route | 'failed' {
    const refuse = (failure: Failure): 'failed' => {
      this.#fail(unit, failure);
      return 'failed';
    };
    const called = this.#state.plans.get(name);
    if (!called)
      return refuse({ reason: 'WorkflowNotFound', message: `there was no Workflow ${name} when the run began` });
    if (unit.step.scope.frame.depth >= MAX_DEPTH)
      return refuse(limitExceeded(`workflows call each other more than ${MAX_DEPTH} levels deep`));
    const input = this.#try(unit, evaluate);
    if (input === undefined) return 'failed';
    const problem = this.#around.inputProblem(called, input);
    return problem === undefined
      ? { kind: 'inline' }
      : refuse({ reason: 'InvalidInput', message: `workflow ${name}: ${problem}` });
  }
}

/** Whether something that the unit waits for was done anew in this run, or an earlier round of it. */
function restsOnNews(unit: Unit): boolean {
  for (let one: Unit | undefined = unit; one; one = one.step.scope.unit) {
    const { step, round } = one;
    if (round > 1 && one.fresh) return true;
    if (step.plan.needs.some((need) => step.scope.steps[need]?.fresh)) return true;
    if (step.scope.kind === 'finally' || step.scope.kind === 'fallback') return true;
  }
  return false;
}

/** Names what the output depends on: the workflow, the step in it, and what its key says. Throws TemplateError. */
export function cacheKeyOf(state: RunState, unit: Unit, { cacheKey }: Pick<Surroundings, 'cacheKey'>): string {
  const { cache, path } = unit.step.plan;
  const { frame } = unit.step.scope;
  const key = cache?.key.evaluate(valuesAt(state, withinUnit(unit))) ?? '';
  return cacheKey([state.run.namespace, frame.plan.name, path, key]);
}

// Plays a run against the pure core alone: attempts end in whatever order a test wants, time is a number.
import type { FailureReason } from '@kadre/crds';
import { decide, settle, workOf, type Admit } from '../core/decide.ts';
import type { EngineEvent, Outcome } from '../core/events.ts';
import { evolve } from '../core/evolve.ts';
import type { Json } from '../core/expression/values.ts';
import { planOf, type Plan } from '../core/plan.ts';
import { project } from '../core/project.ts';
import { initialState, isOver, type RunState } from '../core/state.ts';
import type { Work } from '../core/task.ts';

export const noUsage = { inputTokens: 0, outputTokens: 0, costNanoUsd: 0, unpricedCalls: 0 };
/** A step that asks an agent. */
export const ask = (name: string, more: object = {}) => ({ name, agent: { name: 'writer', prompt: 'x' }, ...more });

export function fail(reason: FailureReason, message = 'no'): Outcome {
  return { failure: { reason, message } };
}

const run = { uid: 'u1', namespace: 'team', name: 'run' };

export interface Script {
  workflow: unknown;
  input?: Json;
  /** How an attempt ends. */
  behave?: (id: string, attempt: number, work: Work) => Outcome;
  /** How many attempts may be at work at once; absent: any number. */
  capacity?: number;
}

/** By default every attempt succeeds with its own id. */
const succeed = (id: string): Outcome => ok(id);

export function ok(output: Json): Outcome {
  return { output, bytes: JSON.stringify(output).length };
}

export class Simulation {
  readonly log: EngineEvent[] = [];
  readonly plan: Plan;
  state: RunState;
  now = 1000;
  /** How often the core asked whether an attempt may start. */
  questions = 0;
  readonly #script: Script;
  /** When the core wants to be asked again. */
  #wakeAt = Infinity;
  readonly #ended: { id: string; attempt: number; outcome: Outcome }[] = [];

  constructor(script: Script) {
    const planned = planOf(script.workflow);
    if ('problems' in planned) throw new Error(JSON.stringify(planned.problems));
    this.plan = planned.plan;
    this.#script = script;
    this.state = this.#fresh();
    this.advance();
  }

  get over(): boolean {
    return isOver(this.state);
  }

  /** Ids of attempts at work, such as `a/1`. */
  get atWork(): string[] {
    return [...this.state.active.values()].map(({ id, attempt }) => `${id}/${attempt}`);
  }

  /** What a user sees of the run, without times. */
  get summary() {
    const { failure, output } = this.state;
    const { phase, progress, steps } = project(this.state);
    const lines = steps?.map(
      (step) => `${step.name} ${step.phase}${step.attempt === undefined ? '' : ` ${step.attempt}`}`,
    );
    return { phase, progress, steps: lines, failure, output };
  }

  /** Ids of the steps in all events of that type, in order. */
  recorded(type: EngineEvent['type']): string[] {
    return this.log.filter((event) => event.type === type).map(({ data }) => ('step' in data ? data.step : ''));
  }

  /** Decides until nothing is left to decide. */
  advance(): void {
    const free = (): boolean => this.state.active.size + admitted < (this.#script.capacity ?? Infinity);
    let admitted = 0;
    const admit: Admit = () => {
      this.questions++;
      if (!free()) return undefined;
      admitted++;
      return { kind: 'service' };
    };
    for (;;) {
      const { events, wakeAt } = decide(this.state, this.now, admit);
      this.#wakeAt = wakeAt;
      for (const event of events) this.#record(event);
      admitted = 0;
      if (events.length === 0) return;
    }
  }

  /** Lets the attempt at this place of the queue end as the script says. */
  end(place: number): void {
    const attempts = [...this.state.active.values()];
    const attempt = attempts[place % attempts.length];
    if (!attempt) return;
    const outcome = (this.#script.behave ?? succeed)(attempt.id, attempt.attempt, workOf(this.state, attempt));
    this.#ended.push({ id: attempt.id, attempt: attempt.attempt, outcome });
    this.report(attempt.id, attempt.attempt, this.state.ending ? 'stopped' : outcome);
  }

  report(id: string, attempt: number, outcome: Outcome): void {
    const event = settle(this.state, id, attempt, outcome, noUsage, this.now);
    if (event) this.#record(event);
    this.advance();
  }

  /** Reports an end that was reported before. */
  endAgain(place: number): void {
    const ended = this.#ended[place % this.#ended.length];
    if (ended) this.report(ended.id, ended.attempt, ended.outcome);
  }

  cancel(message: string): void {
    this.#record({ at: this.now, type: 'CancelRequested', data: { message } });
    this.advance();
  }

  /** Moves time to when the core wants to be asked again. */
  wait(): void {
    if (this.#wakeAt !== Infinity) this.now = this.#wakeAt;
    this.advance();
  }

  /** Forgets everything but the log. */
  crash(): void {
    this.state = this.replayed();
    this.advance();
  }

  /** The state as the log alone tells it, after a trip through JSON. */
  replayed(): RunState {
    const events = JSON.parse(JSON.stringify(this.log)) as EngineEvent[];
    return events.reduce(evolve, this.#fresh());
  }

  /** Plays to the end, the oldest attempt first. */
  finish(): this {
    while (!this.over) {
      if (this.state.active.size > 0) this.end(0);
      else if (this.#wakeAt === Infinity) throw new Error(`the run is stuck: ${JSON.stringify(this.log.at(-1))}`);
      else this.wait();
    }
    return this;
  }

  #fresh(): RunState {
    return initialState(run, this.plan, this.#script.input ?? null);
  }

  #record(event: EngineEvent): void {
    evolve(this.state, event);
    this.log.push(event);
  }
}

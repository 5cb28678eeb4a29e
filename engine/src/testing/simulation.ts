// Plays a run against the pure core alone: attempts end in whatever order a test wants, time is a number.
import type { FailureReason } from '@kadre/crds';
import type { CachedOutput } from '@kadre/store';
import { compileWorkflow } from '../core/compile/compile-workflow.ts';
import { decide, type Surroundings } from '../core/decide.ts';
import type { EngineEvent, Outcome } from '../core/events.ts';
import { evolve } from '../core/evolve.ts';
import type { Json } from '../core/expression/values.ts';
import type { Limits, Plan } from '../core/plan.ts';
import { project } from '../core/project.ts';
import { settle } from '../core/settle.ts';
import { initialState, isOver, type Attempt, type Reuse, type RunState } from '../core/state.ts';
import { workOf, type Work } from '../core/work.ts';

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
  /** The workflows that its steps call. */
  workflows?: Record<string, unknown>;
  limits?: Limits;
  requestedBy?: string;
  reuse?: Reuse;
  cache?: ReadonlyMap<string, CachedOutput>;
  /** How an attempt ends. */
  behave?: (id: string, attempt: number, work: Work) => Outcome;
  /** How many attempts may be at work at once; absent: any number. */
  capacity?: number;
}

/** By default every attempt succeeds with its own id. */
const succeed = (id: string): Outcome => ok(id);

export function ok(output: Json): { output: Json; bytes: number } {
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
  readonly #plans: ReadonlyMap<string, Plan>;
  /** When the core wants to be asked again. */
  #wakeAt = Infinity;
  readonly #ended: { id: string; attempt: number; outcome: Outcome }[] = [];

  constructor(script: Script) {
    this.plan = compiled(script.workflow, 'main');
    this.#plans = new Map(Object.entries(script.workflows ?? {}).map(([name, spec]) => [name, compiled(spec, name)]));
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

  /** Ids of the steps that agents were asked, in order. */
  get asked(): string[] {
    return this.log.flatMap((event) =>
      event.type === 'StepStarted' && event.data.route.kind === 'service' ? [event.data.step] : [],
    );
  }

  /** Decides until nothing is left to decide. */
  advance(): void {
    for (;;) {
      const { events, wakeAt } = decide(this.state, this.now, this.surroundings());
      this.#wakeAt = wakeAt;
      for (const event of events) this.#record(event);
      if (events.length === 0) break;
    }
    // Whoever has the attempt hears of it at once, and reports in its own time.
    this.state.stops.length = 0;
  }

  /** What the core is told; `room`: how many more attempts may be at work. */
  surroundings(room = (this.#script.capacity ?? Infinity) - this.handedOut.length): Surroundings {
    let left = room;
    return {
      admit: () => {
        this.questions++;
        return left-- > 0 ? { kind: 'service' } : undefined;
      },
      inputProblem: () => undefined,
      approvalName: (id, attempt) => `${id}-${attempt}`,
      cacheKey: (parts) => parts.join('/'),
      cached: (key) => this.#script.cache?.get(key) ?? null,
    };
  }

  /** Attempts that agents have, or that are told to stop. */
  get handedOut(): Attempt[] {
    return [...this.state.active.values()].filter(({ route, doomed, stopping }) => {
      return route.kind === 'service' || doomed === true || stopping !== undefined;
    });
  }

  /** Lets the attempt at this place of the queue end as the script says. */
  end(place: number): void {
    const attempts = this.handedOut;
    const attempt = attempts[place % attempts.length];
    if (!attempt) return;
    const outcome = (this.#script.behave ?? succeed)(attempt.id, attempt.attempt, workOf(this.state, attempt));
    this.#ended.push({ id: attempt.id, attempt: attempt.attempt, outcome });
    this.report(attempt.id, attempt.attempt, attempt.doomed || attempt.stopping ? 'stopped' : outcome);
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

  suspend(suspended: boolean): void {
    this.#record({ at: this.now, type: suspended ? 'RunSuspended' : 'RunResumed', data: {} });
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
    const state = events.reduce(evolve, this.#fresh());
    state.stops.length = 0;
    return state;
  }

  /** Plays to the end, the oldest attempt first. */
  finish(): this {
    while (!this.over) {
      if (this.handedOut.length > 0) this.end(0);
      else if (this.#wakeAt === Infinity) throw new Error(`the run is stuck: ${JSON.stringify(this.log.at(-1))}`);
      else this.wait();
    }
    return this;
  }

  #fresh(): RunState {
    const { input = null, limits, requestedBy, reuse } = this.#script;
    return initialState({
      run,
      plan: this.plan,
      plans: this.#plans,
      input,
      ...(limits && { limits }),
      ...(requestedBy !== undefined && { requestedBy }),
      ...(reuse && { reuse }),
    });
  }

  #record(event: EngineEvent): void {
    evolve(this.state, event);
    this.log.push(event);
  }
}

function compiled(spec: unknown, name: string): Plan {
  const result = compileWorkflow(spec, name);
  if ('problems' in result) throw new Error(JSON.stringify(result.problems));
  return result.plan;
}

// Carries one run from its log to its end: replay, decide, record, and only then act.
import type { Failure } from '@kadre/crds';
import { StaleWriteError, type JobRequest, type NewEvent, type RunSubmission, type Store } from '@kadre/store';
import type { Logger } from 'pino';
import { decide, settle, workOf } from '../core/decide.ts';
import type { EngineEvent, Route } from '../core/events.ts';
import { evolve } from '../core/evolve.ts';
import type { Json } from '../core/expression/values.ts';
import { emptyPlan, planOf, type PlannedStep } from '../core/plan.ts';
import { project } from '../core/project.ts';
import { initialState, isOver, type Attempt, type RunState } from '../core/state.ts';
import { isRecord } from '../core/expression/types.ts';
import { Attempts, type Listener, type Report } from './attempts.ts';
import { pause } from './clock.ts';
import { inputProblem } from './input.ts';
import { attemptKey, jobRequest } from './jobs.ts';
import type { Accepted } from './a2a/follow.ts';
import type { World } from './world.ts';

/** Milliseconds between tries after the store failed: doubled from the first to the last. */
const FIRST_PAUSE = 50;
const LAST_PAUSE = 30_000;

export class Runner implements Listener {
  readonly #world: World;
  readonly #uid: string;
  readonly #logger: Logger;
  #inbox: Report[] = [];
  /** Jobs that may have ended; after a restart, and now and then, all. */
  #jobs: Set<string> | 'all' = 'all';
  #poked = false;
  #wake: (() => void) | undefined;

  constructor(world: World, uid: string) {
    this.#world = world;
    this.#uid = uid;
    this.#logger = world.logger.child({ run: uid });
  }

  /** Something may have changed: look again. */
  poke(): void {
    this.#poked = true;
    this.#wake?.();
  }

  /** The job of that key has an outcome. */
  jobFinished(key: string): void {
    if (this.#jobs !== 'all') this.#jobs.add(key);
    this.poke();
  }

  lookAtAllJobs(): void {
    this.#jobs = 'all';
    this.poke();
  }

  report(report: Report): void {
    this.#inbox.push(report);
    this.poke();
  }

  /** Resolves when the run is over, or when the engine stops. Never rejects. */
  async run(): Promise<void> {
    const { clock, signal } = this.#world;
    for (let wait = FIRST_PAUSE; !signal.aborted; wait = Math.min(wait * 2, LAST_PAUSE)) {
      try {
        await this.#live();
        return;
      } catch (error) {
        // What was decided but perhaps not recorded is worth nothing: begin again from the log.
        const level = error instanceof StaleWriteError ? 'info' : 'error';
        this.#logger[level]({ err: error }, 'the run is loaded again from its log');
      }
      await pause(clock, wait, signal);
    }
  }

  async #live(): Promise<void> {
    const loaded = await load(this.#world.store, this.#uid);
    if (!loaded) return;
    this.#inbox = [];
    this.#jobs = 'all';
    const life = new Life(this.#world, this, loaded);
    const poke = (): void => this.poke();
    this.#world.signal.addEventListener('abort', poke);
    try {
      life.resume();
      while (!isOver(loaded.state) && !this.#world.signal.aborted) {
        this.#poked = false;
        const jobs = this.#jobs === 'all' ? undefined : this.#jobs;
        this.#jobs = new Set();
        const wakeAt = await life.turn(this.#inbox.splice(0), jobs);
        if (!isOver(loaded.state)) await this.#sleep(wakeAt);
      }
    } finally {
      this.#world.signal.removeEventListener('abort', poke);
      life.end();
    }
  }

  async #sleep(until: number): Promise<void> {
    if (this.#poked || this.#world.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const callOff = until === Infinity ? () => undefined : this.#world.clock.at(until, () => this.poke());
      this.#wake = () => {
        callOff();
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

interface Loaded {
  state: RunState;
  seq: number;
  submission: RunSubmission;
}

async function load(store: Store, uid: string): Promise<Loaded | undefined> {
  const submission = await store.submission(uid);
  if (!submission) return undefined;
  const events = await store.events(uid);
  const state = freshState(submission, events.length <= 1);
  for (const event of events) evolve(state, event as unknown as EngineEvent);
  return { state, seq: events.length, submission };
}

/** `starting`: nothing was done yet, so that a run which cannot work may still be rejected. */
function freshState({ uid, namespace, name, workflow, input }: RunSubmission, starting: boolean): RunState {
  const run = { uid, namespace, name };
  const json = (input ?? null) as Json;
  const planned = planOf(workflow);
  if ('problems' in planned) {
    const message = planned.problems.map(({ path, message: text }) => `${path}: ${text}`).join('; ');
    return initialState(run, emptyPlan, json, { reason: 'InvalidExpression', message: message.slice(0, 4096) });
  }
  const rejection = starting ? inputFailure(workflow, json) : undefined;
  return initialState(run, planned.plan, json, rejection);
}

function inputFailure(workflow: unknown, input: Json): Failure | undefined {
  const schema = isRecord(workflow) && isRecord(workflow.input) ? workflow.input.schema : undefined;
  if (!isRecord(schema)) return undefined;
  try {
    const message = inputProblem(schema, input);
    return message === undefined ? undefined : { reason: 'InvalidInput', message };
  } catch (error) {
    return { reason: 'InvalidInput', message: `the workflow's input.schema is not a JSON Schema: ${String(error)}` };
  }
}

/** A run from one loading of its log to the next. */
class Life {
  readonly #world: World;
  readonly #runner: Runner;
  readonly #state: RunState;
  readonly #attempts: Attempts;
  #seq: number;
  /** What the current turn has to record. */
  #events: EngineEvent[] = [];
  #jobs: JobRequest[] = [];
  #abandoned: string[] = [];
  #started: Attempt[] = [];

  constructor(world: World, runner: Runner, { state, seq }: Loaded) {
    this.#world = world;
    this.#runner = runner;
    this.#state = state;
    this.#seq = seq;
    this.#attempts = new Attempts(world, runner, state.run);
  }

  /** Takes up what was at work when the log was left. */
  resume(): void {
    for (const attempt of this.#state.active.values())
      this.#attempts.start(attempt, workOf(this.#state, attempt), { resumed: true });
    this.#stopWhatMust();
  }

  /** Lets go of what is at work; it goes on without this engine. */
  end(): void {
    this.#attempts.letGo();
    this.#world.admission.withdraw(this.#runner);
  }

  /**
   * Records what was reported and what follows from it, then does it. Returns when to look again by itself. `jobs`: keys
   * of those that may have ended; absent: any.
   */
  async turn(reports: Report[], jobs: ReadonlySet<string> | undefined): Promise<number> {
    const { clock, admission } = this.#world;
    await this.#takeIn([...reports, ...(await this.#attempts.finishedJobs(jobs))]);
    let wakeAt = Infinity;
    for (let more = true; more;) {
      const decision = decide(this.#state, clock.now(), this.#admit);
      for (const event of decision.events) this.#record(event);
      wakeAt = decision.wakeAt;
      more = decision.events.length > 0;
    }
    this.#attempts.giveBackUnused(this.#state.active);
    admission.settle(this.#runner);
    await this.#commit();
    for (const attempt of this.#started.splice(0))
      this.#attempts.start(attempt, workOf(this.#state, attempt), { resumed: false });
    this.#stopWhatMust();
    return wakeAt;
  }

  async #takeIn(reports: Report[]): Promise<void> {
    const { store, clock } = this.#world;
    const { uid } = this.#state.run;
    const message = await store.cancellation(uid);
    if (message !== undefined && !this.#state.ending)
      this.#record({ at: clock.now(), type: 'CancelRequested', data: { message } });
    for (const report of reports) {
      if ('accepted' in report) this.#accept(report.id, report.attempt, report.accepted);
      else {
        const usage = await store.usage(uid, report.id, report.attempt);
        const event = settle(this.#state, report.id, report.attempt, report.outcome, usage, clock.now());
        if (event) this.#record(event);
      }
    }
  }

  #accept(id: string, attempt: number, accepted: Accepted): void {
    const active = this.#state.active.get(id);
    if (active?.attempt !== attempt) return;
    const { taskId, instance } = active.accepted ?? {};
    if (taskId === accepted.taskId && instance === accepted.instance) return;
    this.#record({ at: this.#world.clock.now(), type: 'StepAccepted', data: { step: id, attempt, ...accepted } });
  }

  readonly #admit = (step: PlannedStep, id: string, attempt: number): Route | undefined =>
    this.#attempts.admit(step, id, attempt);

  #record(event: EngineEvent): void {
    const before = 'step' in event.data ? this.#state.active.get(event.data.step) : undefined;
    evolve(this.#state, event);
    this.#events.push(event);
    if (event.type === 'StepStarted') this.#onStarted(event.data.step);
    if (!before || this.#state.active.has(before.id)) return;
    this.#attempts.forget(before);
    if (before.route.kind === 'job')
      this.#abandoned.push(attemptKey({ run: this.#state.run, step: before.id, attempt: before.attempt }));
  }

  #onStarted(id: string): void {
    const attempt = this.#state.active.get(id);
    if (!attempt) return;
    this.#started.push(attempt);
    if (attempt.route.kind !== 'job') return;
    const { run, plan } = this.#state;
    const name = { run, step: id, attempt: attempt.attempt };
    const timeout = plan.steps[attempt.step]?.timeout;
    const work = workOf(this.#state, attempt);
    const token = work.kind === 'agent' ? this.#world.mint(name, work.agent, timeout, attempt.route.job) : '';
    this.#jobs.push(jobRequest(name, work, token, timeout));
  }

  async #commit(): Promise<void> {
    if (this.#events.length === 0) return;
    const { run, failure } = this.#state;
    const events: NewEvent[] = this.#events.splice(0);
    const projection = { ...run, status: project(this.#state), ...(failure && { failure }) };
    await this.#world.store.append(run.uid, this.#seq, events, {
      projection,
      jobs: this.#jobs.splice(0),
      abandon: this.#abandoned.splice(0),
      closed: isOver(this.#state),
    });
    this.#seq += events.length;
  }

  #stopWhatMust(): void {
    for (const attempt of this.#state.active.values()) {
      if (this.#state.ending || attempt.stopping) this.#attempts.stop(attempt);
    }
  }
}

// A run from one loading of its log to the next: what is reported is recorded, then what follows from it, and only then
// is anything done about it.
import { createHash } from 'node:crypto';
import type { Accepted } from '@kadre/a2a';
import type { Delegation } from '@kadre/crds';
import type { AppendEffects, CachedOutput, NewEvent } from '@kadre/store';
import { runTraceId, type Span, type Spans } from '@kadre/telemetry';
import { cacheKeyOf, decide, type Surroundings } from '../core/decide.ts';
import { isAtWork, type EngineEvent, type EventOf } from '../core/events.ts';
import { evolve, outputInside } from '../core/evolve.ts';
import type { Json } from '../core/expression/values.ts';
import { placeOf } from '../core/ids.ts';
import { project } from '../core/project.ts';
import { noUsage, settle } from '../core/settle.ts';
import { isOver, type Attempt, type RunState, type Unit } from '../core/state.ts';
import { workOf } from '../core/work.ts';
import { AskedRuns } from './asked-runs.ts';
import { Attempts, type Listener, type Report } from './attempts.ts';
import { Entrance } from './entrance.ts';
import { OWN_CALL } from './gateway/connection.ts';
import { attemptKey, jobName, jobRequest } from './jobs.ts';
import { calledInputProblem, type Loaded } from './load.ts';
import { People } from './people.ts';
import { spanOf } from './spans.ts';
import { Waits } from './waits.ts';
import type { World } from './world.ts';

/** What may have changed in the store since the last look; absent: anything. */
export interface News {
  /** Not empty: what people ask of the run may have changed. */
  controls?: ReadonlySet<string>;
  /** Keys of jobs that may have ended. */
  jobs?: ReadonlySet<string>;
  /** Keys of approvals that may be decided. */
  approvals?: ReadonlySet<string>;
  /** Names of events that may have been published. */
  events?: ReadonlySet<string>;
  /** Keys of approvals that the gateway has asked for, and of which there may be news. */
  asks: ReadonlySet<string>;
  /** Keys of requests for runs that attempts have made, and of which there may be news. */
  requests: ReadonlySet<string>;
}

/** How many parts of one attempt at other agents are recorded. */
const MAX_DELEGATIONS = 1000;
/**
 * Milliseconds that the word of an agent which has taken a task waits for other news to be written with. If it is lost,
 * the agent is asked again, under the same message id.
 */
const ACCEPTED_DELAY = 50;

type Effects = Required<Pick<AppendEffects, 'jobs' | 'abandon' | 'approvals' | 'withdraw' | 'cache'>>;

export class Life {
  readonly state: RunState;
  readonly #world: World;
  readonly #runner: Listener;
  readonly #epoch: number;
  readonly #attempts: Attempts;
  readonly #waits: Waits;
  readonly #people: People;
  readonly #asked: AskedRuns;
  readonly #entrance: Entrance;
  readonly #surroundings: Surroundings;
  /** Undefined: nobody keeps the run's trace. */
  readonly #spans: Spans | undefined;
  /** What was looked up in the cache. */
  readonly #cached = new Map<string, CachedOutput | null>();
  #seq: number;
  /** What the current turn has to record. */
  #events: EngineEvent[] = [];
  /** What ends with them, if the run is traced. */
  #ended: Span[] = [];
  #effects: Effects = noEffects();
  /** When that waits which may wait; Infinity: nothing does. */
  #acceptedAt = Infinity;
  #started: Attempt[] = [];

  constructor(world: World, runner: Listener, epoch: number, { state, seq, submission }: Loaded) {
    this.state = state;
    this.#world = world;
    this.#runner = runner;
    this.#epoch = epoch;
    this.#seq = seq;
    if (world.spans?.sampled(runTraceId(state.run.uid))) this.#spans = world.spans;
    this.#attempts = new Attempts(world, runner, state.run);
    this.#waits = new Waits(world, state);
    this.#people = new People(world, state, (attempt, question, reply) =>
      this.#attempts.reply(attempt, question, reply),
    );
    this.#asked = new AskedRuns(world.store, state);
    this.#entrance = new Entrance(world, runner, state, submission);
    this.#surroundings = {
      admit: (unit, attempt) => this.#attempts.admit(unit, attempt),
      inputProblem: calledInputProblem,
      approvalName: (step, attempt) => jobName({ run: state.run, step, attempt }),
      cacheKey: (parts) => createHash('sha256').update(JSON.stringify(parts)).digest('hex'),
      cached: (key) => this.#cached.get(key),
    };
  }

  /** Takes up what was at work when the log was left. */
  resume(): void {
    for (const attempt of this.state.active.values()) this.#handOut(attempt, true);
    this.#stopWhatMust();
  }

  /** Lets go of what is at work; it goes on without this engine. */
  end(): void {
    this.#attempts.letGo();
    this.#world.admission.withdraw(this.#runner);
  }

  /** Records what was reported and what follows from it, then does it. Returns when to look again by itself. */
  async turn(reports: Report[], news: News): Promise<number> {
    await this.#asked.learn(news.requests);
    if (news.controls?.size !== 0) await this.#obey();
    await this.#takeIn([
      ...reports,
      ...(await this.#attempts.finishedJobs(news.jobs)),
      ...(await this.#waits.reports(news.approvals, news.events)),
    ]);
    for (const event of await this.#people.news(news.asks, { known: !news.approvals })) this.#record(event);
    if (!(await this.#mayBegin())) {
      await this.#commit();
      return Infinity;
    }
    const wakeAt = await this.#decideAll();
    this.#attempts.giveBackUnused(this.state.active);
    this.#world.admission.settle(this.#runner);
    if (this.#mayWait()) return Math.min(wakeAt, this.#acceptedAt + ACCEPTED_DELAY);
    await this.#commit();
    await this.#asked.takeBack();
    for (const attempt of this.#started.splice(0)) {
      // It may have ended in the same breath.
      if (this.state.active.get(attempt.id) === attempt) this.#handOut(attempt, false);
    }
    this.#stopWhatMust();
    return wakeAt;
  }

  /** Records what may have waited. */
  async leave(): Promise<void> {
    await this.#commit();
  }

  #mayWait(): boolean {
    const now = this.#world.clock.now();
    if (this.#events.length === 0 || this.#events.some(({ type }) => type !== 'StepAccepted')) return false;
    this.#acceptedAt = Math.min(this.#acceptedAt, now);
    return now < this.#acceptedAt + ACCEPTED_DELAY;
  }

  /** Whether a step waits for an event of that name, in that namespace. */
  waitsFor(namespace: string, event: string): boolean {
    return namespace === this.state.run.namespace && this.#waits.expects(event);
  }

  async #decideAll(): Promise<number> {
    const { store, clock } = this.#world;
    for (;;) {
      const { events, wakeAt, lookups } = decide(this.state, clock.now(), this.#surroundings);
      for (const event of events) this.#record(event);
      for (const key of lookups) this.#cached.set(key, (await store.cachedOutput(key, clock.now())) ?? null);
      if (events.length === 0 && lookups.length === 0) return wakeAt;
    }
  }

  /** What people ask of the run. */
  async #obey(): Promise<void> {
    const { store, clock } = this.#world;
    const { cancellation, suspended } = await store.controls(this.state.run.uid);
    const at = clock.now();
    if (cancellation !== undefined && !this.state.cancelled)
      this.#record({ at, type: 'CancelRequested', data: { message: cancellation } });
    if (suspended !== this.state.suspended)
      this.#record({ at, type: suspended ? 'RunSuspended' : 'RunResumed', data: {} });
  }

  async #takeIn(reports: Report[]): Promise<void> {
    for (const report of reports) {
      if ('accepted' in report) this.#accept(report.id, report.attempt, report.accepted);
      else if ('delegation' in report) this.#delegate(report.id, report.attempt, report.delegation);
      else if ('question' in report) await this.#askPeople(report);
      else await this.#settle(report);
    }
  }

  async #settle({ id, attempt, outcome }: Extract<Report, { outcome: unknown }>): Promise<void> {
    const { route } = this.state.active.get(id) ?? {};
    const usage = route && isAtWork(route) ? await this.#world.store.usage(this.state.run.uid, id, attempt) : noUsage;
    const event = settle(this.state, id, attempt, outcome, usage, this.#world.clock.now());
    if (event) this.#record(event);
  }

  #accept(id: string, attempt: number, accepted: Accepted): void {
    const active = this.state.active.get(id);
    if (active?.attempt !== attempt) return;
    const { taskId, instance } = active.accepted ?? {};
    if (taskId === accepted.taskId && instance === accepted.instance) return;
    this.#record({ at: this.#world.clock.now(), type: 'StepAccepted', data: { step: id, attempt, ...accepted } });
  }

  async #askPeople({ id, attempt, question }: Extract<Report, { question: unknown }>): Promise<void> {
    const active = this.state.active.get(id);
    const asked = active?.attempt === attempt ? await this.#people.ask(active, question) : undefined;
    if (!asked) return;
    this.#effects.approvals.push(asked.request);
    this.#record(asked.event);
  }

  /** Whoever subscribes to a task anew hears some of it again. */
  #delegate(id: string, attempt: number, delegation: Delegation): void {
    const active = this.state.active.get(id);
    const known = active?.delegations.get(delegation.id);
    if (active?.attempt !== attempt || known?.phase === delegation.phase) return;
    if (!known && active.delegations.size >= MAX_DELEGATIONS) return;
    this.#record({ at: this.#world.clock.now(), type: 'StepDelegated', data: { step: id, attempt, delegation } });
  }

  /** Whether the run has its places among those that share them, if its workflow or a budget wants that. */
  async #mayBegin(): Promise<boolean> {
    const { startedAt, cancelled, rejection, suspended, queue } = this.state;
    if (startedAt !== undefined || cancelled || rejection || suspended) return true;
    const passage = await this.#entrance.pass();
    if (passage === 'open') return true;
    const at = this.#world.clock.now();
    if ('refused' in passage) this.#record({ at, type: 'RunFailed', data: { failure: passage.refused } });
    else if (passage.waitsIn !== queue) this.#record({ at, type: 'RunQueued', data: { queue: passage.waitsIn } });
    return false;
  }

  #record(event: EngineEvent): void {
    const before = 'step' in event.data ? this.state.active.get(event.data.step) : undefined;
    if (event.type === 'StepSucceeded') this.#keepInCache(event);
    const span = this.#spans && spanOf(this.state, event);
    if (span) this.#ended.push(span);
    evolve(this.state, event);
    this.#events.push(event);
    if (event.type === 'StepStarted') this.#onStarted(event.data.step);
    if (before && this.state.active.get(before.id) !== before) this.#onEnded(before, event);
  }

  #onStarted(id: string): void {
    const attempt = this.state.active.get(id);
    if (!attempt) return;
    this.#started.push(attempt);
    const request = attempt.route.kind === 'approval' ? this.#waits.request(attempt) : undefined;
    if (request) this.#effects.approvals.push(request);
    if (attempt.route.kind !== 'job') return;
    const name = { run: this.state.run, step: id, attempt: attempt.attempt };
    const { timeout } = attempt.unit.step.plan;
    const work = workOf(this.state, attempt);
    if (work.kind !== 'agent' && work.kind !== 'container') return;
    const token = work.kind === 'agent' ? this.#world.mint(name, work.agent, timeout, attempt.route.job) : '';
    this.#effects.jobs.push(jobRequest(name, work, token, timeout));
  }

  #onEnded(attempt: Attempt, { type, data }: EngineEvent): void {
    this.#attempts.forget(attempt);
    this.#waits.forget(attempt);
    const key = attemptKey({ run: this.state.run, step: attempt.id, attempt: attempt.attempt });
    if (attempt.route.kind === 'job') this.#effects.abandon.push(key);
    this.#effects.withdraw.push(...attempt.asks.keys());
    const decided = type === 'StepSucceeded' && data.source?.kind === 'approval' && data.source.by !== undefined;
    if (attempt.route.kind === 'approval' && !decided) this.#effects.withdraw.push(key);
    // What the gateway asked people about on behalf of the step.
    if (attempt.route.kind === 'gateway' && type !== 'StepSucceeded') this.#effects.withdraw.push(`${key}/${OWN_CALL}`);
  }

  /** Before the event is applied: the unit is gone afterwards. */
  #keepInCache({ at, data }: EventOf<'StepSucceeded'>): void {
    const { step, index } = placeOf(data.step);
    const known = this.state.steps.get(step);
    const unit: Unit | undefined = known?.units.get(index);
    const { cache } = known?.plan ?? {};
    if (!cache || !unit || data.again || data.source) return;
    const output: Json = data.output === undefined ? outputInside(unit) : data.output;
    const key = cacheKeyOf(this.state, unit, this.#surroundings);
    this.#effects.cache.push({ key, output, run: this.state.run.uid, expiresAt: at + cache.ttl });
  }

  async #commit(): Promise<void> {
    if (this.#events.length === 0) return;
    const { run, failure } = this.state;
    const events: NewEvent[] = this.#events.splice(0);
    this.#acceptedAt = Infinity;
    const projection = { ...run, status: project(this.state), ...(failure && { failure }) };
    const effects = this.#effects;
    this.#effects = noEffects();
    const closed = isOver(this.state);
    await this.#world.store.append(run.uid, this.#seq, events, { ...effects, projection, closed, epoch: this.#epoch });
    this.#seq += events.length;
    // Only now has it happened, and a log that is read again does not come past here.
    for (const span of this.#ended.splice(0)) this.#spans?.add(span);
  }

  #handOut(attempt: Attempt, resumed: boolean): void {
    if (isAtWork(attempt.route)) this.#attempts.start(attempt, workOf(this.state, attempt), { resumed });
    else {
      this.#waits.start(attempt);
      // What it waits for may be there already.
      if (attempt.route.kind === 'event') this.#runner.hint('events', attempt.route.name);
    }
  }

  #stopWhatMust(): void {
    for (const attempt of this.state.stops.splice(0)) {
      if (this.state.active.get(attempt.id) !== attempt) continue;
      if (isAtWork(attempt.route)) this.#attempts.stop(attempt);
      else this.#runner.report({ id: attempt.id, attempt: attempt.attempt, outcome: 'stopped' });
    }
  }
}

function noEffects(): Effects {
  return { jobs: [], abandon: [], approvals: [], withdraw: [], cache: [] };
}

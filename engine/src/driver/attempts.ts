// The attempts of one run that are at work: those at agents' services, those in Jobs, and those that the gateway carries out.
import { a2aMetadata, TRACE_HEADER, type Delegation, type Failure, type StepOutcome } from '@kadre/crds';
import {
  followTask,
  LET_GO,
  messageParts,
  sizedOutput,
  withCitations,
  type Accepted,
  type Question,
  type Reply,
} from '@kadre/a2a';
import { attemptTraceparent } from '@kadre/telemetry';
import type { Outcome, Route } from '../core/events.ts';
import type { Json } from '../core/expression/values.ts';
import type { Action } from '../core/plan.ts';
import type { Attempt, RunIdentity, Unit } from '../core/state.ts';
import type { CodeWork, ToolWork, Work } from '../core/work.ts';
import type { Applicant } from './admission.ts';
import { runErrand } from './gateway/errand.ts';
import { attemptKey, jobName } from './jobs.ts';
import type { World } from './world.ts';

/** What an attempt has to tell. */
export type Report = { id: string; attempt: number } & News;
export type News = { accepted: Accepted } | { delegation: Delegation } | { question: Question } | { outcome: Outcome };

/** The run that the attempts are part of. */
export interface Listener extends Applicant {
  report(report: Report): void;
  /** What is known by that name may have changed. */
  hint(kind: 'jobs' | 'approvals' | 'events', key: string): void;
}

interface Handle {
  attempt: number;
  /** Under which the place was taken. Undefined: it was given back, because people have the next word. */
  place: string | undefined;
  detach: AbortController;
  stop: AbortController;
  /** Key of the job in the store. */
  job?: string;
  /** The agent wants to know something before it goes on. */
  question?: { id: string; reply: (reply: Reply) => void };
}

const JOBS = 'jobs';
export const GATEWAY = 'gateway';

export class Attempts {
  readonly #world: World;
  readonly #runner: Listener;
  readonly #run: RunIdentity;
  readonly #handles = new Map<string, Handle>();
  /** By their key in the store. */
  readonly #jobs = new Map<string, Attempt>();
  /** Places taken for attempts that are not started yet, by step id. */
  readonly #places = new Map<string, string>();

  constructor(world: World, runner: Listener, run: RunIdentity) {
    this.#world = world;
    this.#runner = runner;
    this.#run = run;
  }

  /** How the attempt may be carried out, if there is a place for it now. */
  admit({ id, step }: Unit, attempt: number): Route | undefined {
    const { action } = step.plan;
    const agent =
      action.kind === 'agent' && !action.agent.gpu && !action.agent.isolation ? action.agent.name : undefined;
    const route = this.#routeOf(action, agent, () => jobName({ run: this.#run, step: id, attempt }));
    const place = this.#placeAt(route, agent);
    if (this.#places.has(id)) return undefined;
    if (!this.#world.admission.acquire(place, this.#runner)) return undefined;
    this.#places.set(id, place);
    return route;
  }

  #routeOf({ kind }: Action, agent: string | undefined, job: () => string): Route {
    if (kind === 'tool' || kind === 'code') return { kind: 'gateway' };
    return agent !== undefined && this.#isServed(agent) ? { kind: 'service' } : { kind: 'job', job: job() };
  }

  #placeAt({ kind }: Route, agent = ''): string {
    if (kind === 'gateway') return GATEWAY;
    return kind === 'service' ? `agent ${this.#run.namespace}/${agent}` : JOBS;
  }

  /** An agent that is not there at all is asked for like a served one, which fails the step with AgentNotFound. */
  #isServed(agent: string): boolean {
    const { found, serving } = this.#world.agents.resolve(this.#run.namespace, agent);
    return serving || !found;
  }

  /** Gives back places that were taken for steps which then didn't start. */
  giveBackUnused(active: ReadonlyMap<string, Attempt>): void {
    for (const [id, place] of this.#places) {
      if (active.has(id)) continue;
      this.#places.delete(id);
      this.#world.admission.release(place);
    }
  }

  start(attempt: Attempt, work: Work, { resumed }: { resumed: boolean }): void {
    const place = this.#places.get(attempt.id) ?? this.#placeAt(attempt.route, agentOf(work));
    this.#places.delete(attempt.id);
    if (resumed) this.#world.admission.reclaim(place);
    const handle: Handle = {
      attempt: attempt.attempt,
      place,
      detach: new AbortController(),
      stop: new AbortController(),
    };
    this.#handles.set(attempt.id, handle);
    if (work.kind === 'agent' && attempt.route.kind === 'service') void this.#follow(attempt, work, handle);
    else if (work.kind === 'tool' || work.kind === 'code') void this.#ask(attempt, work, handle);
    else this.#watch(attempt, handle);
  }

  #watch(attempt: Attempt, handle: Handle): void {
    handle.job = attemptKey({ run: this.#run, step: attempt.id, attempt: attempt.attempt });
    this.#jobs.set(handle.job, attempt);
  }

  /** Idempotent. A job needs no stopping: it is abandoned together with the record of its end. */
  stop({ id, attempt }: Attempt): void {
    const handle = this.#handles.get(id);
    if (handle?.attempt !== attempt || handle.stop.signal.aborted) return;
    handle.stop.abort(LET_GO);
    if (handle.job !== undefined) this.#runner.report({ id, attempt, outcome: 'stopped' });
  }

  /** What people say to the question of that id, if the agent waits for it here. */
  reply({ id, attempt }: Attempt, question: string, reply: Reply): void {
    const handle = this.#handles.get(id);
    if (handle?.attempt === attempt && handle.question?.id === question) handle.question.reply(reply);
  }

  /** The attempt is over. */
  forget({ id, attempt }: Attempt): void {
    const handle = this.#handles.get(id);
    if (handle?.attempt !== attempt) return;
    this.#handles.delete(id);
    if (handle.job !== undefined) this.#jobs.delete(handle.job);
    handle.detach.abort(LET_GO);
    this.#givePlaceBack(handle);
  }

  #givePlaceBack(handle: Handle): void {
    if (handle.place !== undefined) this.#world.admission.release(handle.place);
    handle.place = undefined;
  }

  letGo(): void {
    for (const [id, { attempt }] of this.#handles) this.forget({ id, attempt } as Attempt);
    for (const place of this.#places.values()) this.#world.admission.release(place);
    this.#places.clear();
  }

  /** Reports of those jobs that have ended; `keys`: which to look at, absent: all. */
  async finishedJobs(keys: Iterable<string> = this.#jobs.keys()): Promise<Report[]> {
    const reports: Report[] = [];
    for (const key of [...keys]) {
      const found = this.#jobs.get(key);
      if (!found) continue;
      const { id, attempt } = found;
      const outcome = (await this.#world.store.job(key))?.outcome;
      if (outcome) reports.push({ id, attempt, outcome: jobOutcome(outcome) });
    }
    return reports;
  }

  async #follow(attempt: Attempt, work: Extract<Work, { kind: 'agent' }>, handle: Handle): Promise<void> {
    const { detach, stop } = handle;
    const { connection, clock, limits, agents, mint } = this.#world;
    const { id, accepted } = attempt;
    const name = { run: this.#run, step: id, attempt: attempt.attempt };
    const report = (news: News): void => {
      if (!detach.signal.aborted) this.#runner.report({ id, attempt: attempt.attempt, ...news });
    };
    const order = {
      messageId: attemptKey(name),
      agent: work.agent,
      parts: messageParts(work),
      metadata: () => ({ [a2aMetadata.stepToken]: mint(name, work.agent) }),
      headers: this.#trace(id, attempt.attempt),
      place: () => {
        const { found, serving, url } = agents.resolve(this.#run.namespace, work.agent);
        return { found, ...(serving && url !== undefined && { url }) };
      },
    };
    try {
      const { agentPatience, stopGrace } = limits;
      const onAccepted = (taken: Accepted): void => report({ accepted: taken });
      const onDelegation = (delegation: Delegation): void => report({ delegation });
      const askPeople = (question: Question): Promise<Reply> =>
        new Promise((reply) => {
          handle.question = { id: question.id, reply };
          report({ question });
        });
      const options = {
        connection,
        clock,
        agentPatience,
        stopGrace,
        onAccepted,
        onDelegation,
        askPeople,
        detach: detach.signal,
        stop: stop.signal,
      };
      report({ outcome: await followTask(order, accepted, options) });
    } catch (error) {
      this.#world.logger.error({ err: error, run: this.#run.uid, step: id }, 'a task could not be followed');
      report({ outcome: { failure: { reason: 'InternalError', message: 'the engine failed at following the task' } } });
    }
  }

  async #ask({ id, attempt }: Attempt, work: ToolWork | CodeWork, handle: Handle): Promise<void> {
    const { gateway, clock, limits, mintOwn, logger } = this.#world;
    const name = { run: this.#run, step: id, attempt };
    const { detach, stop } = handle;
    const errand = { work, stepToken: () => mintOwn(name), headers: this.#trace(id, attempt) };
    const report = (outcome: Outcome): void => {
      if (!detach.signal.aborted) this.#runner.report({ id, attempt, outcome });
    };
    if (!gateway) {
      report({ failure: noGateway });
      return;
    }
    try {
      const signal = AbortSignal.any([detach.signal, stop.signal]);
      const { gatewayPatience } = limits;
      // Others may call while people think.
      const onPending = (): void => this.#givePlaceBack(handle);
      report(await runErrand(errand, { connection: gateway, clock, gatewayPatience, onPending, signal }));
    } catch (error) {
      logger.error({ err: error, run: this.#run.uid, step: id }, 'the gateway could not be asked');
      report({ failure: { reason: 'InternalError', message: 'the engine failed at asking the gateway' } });
    }
  }

  #trace(id: string, attempt: number): Record<string, string> {
    const { spans } = this.#world;
    return spans ? { [TRACE_HEADER]: attemptTraceparent(spans, this.#run.uid, id, attempt) } : {};
  }
}

const noGateway: Failure = {
  reason: 'InternalError',
  message: 'this engine knows no gateway to call tools and run code: set KADRE_GATEWAY_URL for it',
};

function jobOutcome(outcome: StepOutcome) {
  if ('failure' in outcome) return outcome;
  const { output = null, citations } = outcome;
  return withCitations(sizedOutput(output as Json), citations);
}

function agentOf(work: Work): string {
  return work.kind === 'agent' ? work.agent : '';
}

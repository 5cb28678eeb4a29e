// The attempts of one run that are at work: those at agents' services, and those in Jobs.
import { a2aMetadata, type Delegation, type StepOutcome } from '@kadre/crds';
import { followTask, LET_GO, messageParts, sizedOutput, type Accepted } from '@kadre/a2a';
import { attemptTraceparent } from '@kadre/telemetry';
import type { Outcome, Route } from '../core/events.ts';
import type { Json } from '../core/expression/values.ts';
import type { Attempt, RunIdentity, Unit } from '../core/state.ts';
import type { Work } from '../core/work.ts';
import type { Applicant } from './admission.ts';
import { attemptKey, jobName } from './jobs.ts';
import type { World } from './world.ts';

/** What an attempt has to tell. */
export type Report = { id: string; attempt: number } & News;
export type News = { accepted: Accepted } | { delegation: Delegation } | { outcome: Outcome };

/** The run that the attempts are part of. */
export interface Listener extends Applicant {
  report(report: Report): void;
  /** What is known by that name may have changed. */
  hint(kind: 'jobs' | 'approvals' | 'events', key: string): void;
}

interface Handle {
  attempt: number;
  /** Under which the place was taken. */
  place: string;
  detach: AbortController;
  stop: AbortController;
  /** Key of the job in the store. */
  job?: string;
}

const JOBS = 'jobs';

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
    const served = agent !== undefined && this.#isServed(agent);
    const place = served ? `agent ${this.#run.namespace}/${agent}` : JOBS;
    if (this.#places.has(id)) return undefined;
    if (!this.#world.admission.acquire(place, this.#runner)) return undefined;
    this.#places.set(id, place);
    return served ? { kind: 'service' } : { kind: 'job', job: jobName({ run: this.#run, step: id, attempt }) };
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
    const place =
      this.#places.get(attempt.id) ??
      (attempt.route.kind === 'job' ? JOBS : `agent ${this.#run.namespace}/${agentOf(work)}`);
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

  /** The attempt is over. */
  forget({ id, attempt }: Attempt): void {
    const handle = this.#handles.get(id);
    if (handle?.attempt !== attempt) return;
    this.#handles.delete(id);
    if (handle.job !== undefined) this.#jobs.delete(handle.job);
    handle.detach.abort(LET_GO);
    this.#world.admission.release(handle.place);
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

  async #follow(attempt: Attempt, work: Extract<Work, { kind: 'agent' }>, { detach, stop }: Handle): Promise<void> {
    const { connection, clock, limits, agents, mint, spans } = this.#world;
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
      headers: spans ? { traceparent: attemptTraceparent(spans, this.#run.uid, id, attempt.attempt) } : {},
      place: () => {
        const { found, serving, url } = agents.resolve(this.#run.namespace, work.agent);
        return { found, ...(serving && url !== undefined && { url }) };
      },
    };
    try {
      const { agentPatience, stopGrace } = limits;
      const onAccepted = (taken: Accepted): void => report({ accepted: taken });
      const onDelegation = (delegation: Delegation): void => report({ delegation });
      const options = {
        connection,
        clock,
        agentPatience,
        stopGrace,
        onAccepted,
        onDelegation,
        detach: detach.signal,
        stop: stop.signal,
      };
      report({ outcome: await followTask(order, accepted, options) });
    } catch (error) {
      this.#world.logger.error({ err: error, run: this.#run.uid, step: id }, 'a task could not be followed');
      report({ outcome: { failure: { reason: 'InternalError', message: 'the engine failed at following the task' } } });
    }
  }
}

function jobOutcome(outcome: StepOutcome) {
  return 'failure' in outcome ? outcome : sizedOutput((outcome.output ?? null) as Json);
}

function agentOf(work: Work): string {
  return work.kind === 'agent' ? work.agent : '';
}

// The attempts of one run that are in nobody's hands but people's, or the world's: approvals and events. What they wait
// for is in the store; time is the core's own.
import type { ApprovalDecision, ApprovalRequest, PublishedEvent } from '@kadre/store';
import type { Outcome } from '../core/events.ts';
import type { Json } from '../core/expression/values.ts';
import { sizeOf, takes } from '../core/settle.ts';
import type { Attempt, RunState } from '../core/state.ts';
import { workOf } from '../core/work.ts';
import type { Report } from './attempts.ts';
import { attemptKey } from './jobs.ts';
import type { World } from './world.ts';

export class Waits {
  readonly #world: World;
  readonly #state: RunState;
  /** By their key in the store. */
  readonly #approvals = new Map<string, Attempt>();
  /** By the name of the event. */
  readonly #events = new Map<string, Set<Attempt>>();

  constructor(world: World, state: RunState) {
    this.#world = world;
    this.#state = state;
  }

  start(attempt: Attempt): void {
    const { route } = attempt;
    if (route.kind === 'approval') this.#approvals.set(this.#key(attempt), attempt);
    if (route.kind !== 'event') return;
    const others = this.#events.get(route.name);
    if (others) others.add(attempt);
    else this.#events.set(route.name, new Set([attempt]));
  }

  expects(event: string): boolean {
    return this.#events.has(event);
  }

  /** The attempt is over. */
  forget(attempt: Attempt): void {
    const { route } = attempt;
    if (route.kind === 'approval') this.#approvals.delete(this.#key(attempt));
    if (route.kind !== 'event') return;
    const others = this.#events.get(route.name);
    others?.delete(attempt);
    if (others?.size === 0) this.#events.delete(route.name);
  }

  /** What people are to be asked for. */
  request(attempt: Attempt): ApprovalRequest | undefined {
    const { run, requestedBy } = this.#state;
    const { action } = attempt.unit.step.plan;
    const work = workOf(this.#state, attempt);
    if (attempt.route.kind !== 'approval' || action.kind !== 'approval' || work.kind !== 'approval') return undefined;
    const { groups, users, otherThanRequester, form } = action.approval;
    const { approval: name, expiresAt } = attempt.route;
    return {
      key: this.#key(attempt),
      run: { ...run },
      step: attempt.id,
      attempt: attempt.attempt,
      name,
      message: work.message,
      policy: {
        ...(groups && { groups }),
        ...(users && { users }),
        ...(otherThanRequester !== undefined && { otherThanRequester }),
        ...(form && { form }),
      },
      ...(requestedBy !== undefined && { requestedBy }),
      ...(expiresAt !== undefined && { expiresAt }),
    };
  }

  /** What has come since; of all that is waited for, or of what the keys and names say. */
  async reports(keys?: ReadonlySet<string>, names?: ReadonlySet<string>): Promise<Report[]> {
    const reports: Report[] = [];
    for (const key of keys ?? [...this.#approvals.keys()]) {
      const attempt = this.#approvals.get(key);
      const decision = attempt && (await this.#world.store.approval(key))?.decision;
      if (decision) reports.push({ id: attempt.id, attempt: attempt.attempt, outcome: decided(decision) });
    }
    for (const name of names ?? [...this.#events.keys()]) reports.push(...(await this.#arrivals(name)));
    return reports;
  }

  /** Each event ends one wait. */
  async #arrivals(name: string): Promise<Report[]> {
    const waiting = this.#events.get(name);
    if (!waiting) return [];
    const { run, bornAt = 0, consumed } = this.#state;
    const published = await this.#world.store.publishedEvents(run.namespace, name, bornAt);
    const left = published.filter(({ id }) => !consumed.has(id));
    const reports: Report[] = [];
    for (const attempt of waiting) {
      const outcome = this.#firstOf(left, attempt);
      if (outcome) reports.push({ id: attempt.id, attempt: attempt.attempt, outcome });
    }
    return reports;
  }

  #firstOf(events: PublishedEvent[], attempt: Attempt): Outcome | undefined {
    for (const [position, { id, payload }] of events.entries()) {
      const output = (payload ?? null) as Json;
      const taken = takes(this.#state, attempt, output);
      if ('failure' in taken) return taken;
      if (!taken.value) continue;
      events.splice(position, 1);
      return { output, bytes: sizeOf(output), source: { kind: 'event', id } };
    }
    return undefined;
  }

  #key({ id, attempt }: Attempt): string {
    return attemptKey({ run: this.#state.run, step: id, attempt });
  }
}

function decided({ approved, answer, by, at }: ApprovalDecision): Outcome {
  if (!approved) return { failure: { reason: 'ApprovalRejected', message: `${by} rejected it` } };
  const output: Json = { approved, answer: (answer ?? null) as Json, by, at: new Date(at).toISOString() };
  return { output, bytes: sizeOf(output), source: { kind: 'approval', by } };
}

// Carries out the runs in the store.
import { A2AConnection } from '@kadre/a2a';
import { runQueuesOf } from '@kadre/crds';
import { mintStepToken, type RunRequestRecord, type Store, type Topic } from '@kadre/store';
import { Agent } from 'undici';
import { Admission } from './admission.ts';
import { systemClock, pause } from './clock.ts';
import { GATEWAY } from './attempts.ts';
import { GatewayConnection } from './gateway/connection.ts';
import { defaultLimits, type EngineLimits, type EngineOptions } from './options.ts';
import { Queues } from './queues.ts';
import { Runner } from './runner.ts';
import type { World } from './world.ts';

export interface Engine {
  /** Resolves when the engine has stopped after its signal aborted. Close the store only then. */
  stopped: Promise<void>;
}

/**
 * Takes up all open runs that no other engine has, and every new one. Several engines may share a store that allows for
 * it: each has its seat, its runs, and takes over those of engines that died. Rejects if the store cannot be read.
 */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { store, agents, budgets, logger, spans, signal, clock = systemClock } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const secret = await store.secret('step-token');
  const dispatcher = new Agent({ connect: { timeout: limits.agentResponse } });
  const { gateway } = options;
  const world: World = {
    store,
    agents,
    logger,
    spans,
    clock,
    limits,
    signal,
    admission: new Admission((place) => placesOf(place, limits)),
    queues: new Queues(),
    budgetQueues: (namespace, subject) => runQueuesOf(budgets?.list(namespace) ?? [], namespace, subject),
    connection: new A2AConnection({ dispatcher, ...limits }),
    gateway: gateway && new GatewayConnection(dispatcher, gateway),
    mint: ({ run, step, attempt }, agent, timeout = 0, job) => {
      const claims = {
        run: run.uid,
        step,
        attempt,
        namespace: run.namespace,
        agent,
        ...(job !== undefined && { job }),
      };
      return mintStepToken(secret, claims, clock.now() + timeout + limits.tokenLife);
    },
    mintOwn: ({ run, step, attempt }) => {
      const claims = { run: run.uid, step, attempt, namespace: run.namespace, agent: '', engine: true as const };
      return mintStepToken(secret, claims, clock.now() + OWN_TOKEN_LIFE);
    },
  };
  const intake = new Intake(world);
  await intake.sitDown();
  const stopped = intake.work().finally(() => dispatcher.destroy());
  return { stopped };
}

/** Milliseconds. It is shown at once, to a machine whose clock may differ. */
const OWN_TOKEN_LIFE = 300_000;

function placesOf(place: string, { tasksPerAgent, gatewayCalls, jobs }: EngineLimits): number {
  if (place === GATEWAY) return gatewayCalls;
  return place.startsWith('agent ') ? tasksPerAgent : jobs;
}

/** How many runs are claimed at once, so that several engines that start together share what there is. */
const CLAIM = 500;

/** Whether the gateway has asked for the approval, on behalf of an agent: it knows the call, too. */
const isAgents = (key: string): boolean => key.split('/').length > 3;

/** An engine's seat in the store, and the runs that it has. */
class Intake {
  readonly #world: World;
  readonly #runners = new Map<string, Runner>();
  readonly #work = new Set<Promise<void>>();
  #seat: { epoch: number; lost: AbortController } | undefined;
  /** At most one claim at a time, and one more if something came meanwhile. */
  #claiming: Promise<void> | undefined;
  #claimAgain = false;

  constructor(world: World) {
    this.#world = world;
  }

  async sitDown(): Promise<void> {
    const { store, limits } = this.#world;
    this.#seat = { epoch: await store.joinEngines(limits.seat), lost: new AbortController() };
    await this.#claim();
  }

  /** Resolves when the engine is told to stop and has let go of all runs. */
  async work(): Promise<void> {
    const { signal, clock, limits } = this.#world;
    const subscriptions = this.#listen(this.#world.store);
    this.#claimSoon();
    const renewing = this.#keepSeat();
    for (;;) {
      await pause(clock, limits.poll, signal);
      if (signal.aborted) break;
      this.#lookAtAll();
    }
    for (const stop of subscriptions) stop();
    await Promise.all([renewing, this.#claiming]);
    await this.#getUp();
  }

  #listen(store: Store): (() => void)[] {
    const runnerOf = (key: string): Runner | undefined => this.#runners.get(key.slice(0, key.indexOf('/')));
    const listeners: Partial<Record<Topic, (key: string) => void>> = {
      submissions: () => this.#claimSoon(),
      controls: (uid) => this.#runners.get(uid)?.hint('controls', uid),
      'job-outcomes': (key) => runnerOf(key)?.hint('jobs', key),
      decisions: (key) => runnerOf(key)?.hint(isAgents(key) ? 'asks' : 'approvals', key),
      // What steps ask by themselves, their run has asked for.
      approvals: (key) => {
        if (isAgents(key)) runnerOf(key)?.hint('asks', key);
      },
      events: (key) => {
        const [namespace = '', name = ''] = key.split(/\/(.*)/s);
        for (const runner of this.#runners.values()) runner.eventPublished(namespace, name);
      },
      'run-requests': (key) => this.#lookAt('requests of its runs', () => this.#hearOfRequest(key)),
      queues: (queue) => this.#world.queues.wake(queue),
    };
    return Object.entries(listeners).map(([topic, heard]) =>
      // An empty key: hints were lost.
      store.subscribe(topic as Topic, (key) => (key === '' ? this.#lookAtAll() : heard(key))),
    );
  }

  #lookAtAll(): void {
    this.#claimSoon();
    for (const runner of this.#runners.values()) runner.lookAtAll();
    this.#lookAt('what agents ask people', () => this.#lookAtPeople());
    this.#lookAt('requests of its runs', () => this.#lookAtRequests());
  }

  #lookAt(what: string, look: () => Promise<void>): void {
    look().catch((error: unknown) => {
      this.#world.logger.error({ err: error }, `${what} cannot be read`);
    });
  }

  async #lookAtPeople(): Promise<void> {
    for (const { key, run } of await this.#world.store.openApprovals()) {
      if (isAgents(key)) this.#runners.get(run.uid)?.hint('asks', key);
    }
  }

  async #hearOfRequest(key: string): Promise<void> {
    this.#hintOf(await this.#world.store.runRequest(key));
  }

  async #lookAtRequests(): Promise<void> {
    for (const record of await this.#world.store.openRunRequests()) this.#hintOf(record);
  }

  #hintOf(record: RunRequestRecord | undefined): void {
    if (record?.parent) this.#runners.get(record.parent.run)?.hint('requests', record.key);
  }

  /** Shows the others that this engine lives. Without its seat it must not write: it lets go of all and sits down again. */
  async #keepSeat(): Promise<void> {
    const { signal, clock, limits, store, logger } = this.#world;
    let renewedAt = clock.now();
    while (!signal.aborted) {
      await pause(clock, limits.seat / 3, signal);
      if (!this.#seat) return;
      try {
        const { epoch } = this.#seat;
        if (await store.renewEngine(epoch, limits.seat)) {
          renewedAt = clock.now();
          continue;
        }
        logger.warn({ epoch }, 'the seat of this engine is lost; its runs are left to others');
      } catch (error) {
        logger.error({ err: error }, 'the seat of this engine cannot be renewed');
        if (clock.now() - renewedAt < limits.seat) continue;
      }
      await this.#sitDownAgain();
      renewedAt = clock.now();
    }
  }

  async #sitDownAgain(): Promise<void> {
    const { signal, clock, limits, logger } = this.#world;
    this.#seat?.lost.abort();
    await Promise.all(this.#work);
    while (!signal.aborted) {
      try {
        await this.sitDown();
        return;
      } catch (error) {
        logger.error({ err: error }, 'this engine cannot take a seat');
        await pause(clock, limits.seat / 3, signal);
      }
    }
  }

  async #getUp(): Promise<void> {
    const { store, logger } = this.#world;
    await Promise.all(this.#work);
    try {
      if (this.#seat) await store.leaveEngines(this.#seat.epoch);
    } catch (error) {
      logger.warn({ err: error }, 'the seat of this engine could not be given back; it falls free by itself');
    }
  }

  /** Hints may get lost, so this is called now and then without one. */
  #claimSoon(): void {
    if (this.#claiming) {
      this.#claimAgain = true;
      return;
    }
    this.#claiming = this.#claim()
      .catch((error: unknown) => {
        this.#world.logger.error({ err: error }, 'the open runs cannot be read');
      })
      .finally(() => {
        this.#claiming = undefined;
        if (this.#claimAgain) {
          this.#claimAgain = false;
          this.#claimSoon();
        }
      });
  }

  async #claim(): Promise<void> {
    const { store, limits, signal } = this.#world;
    for (;;) {
      const seat = this.#seat;
      const room = Math.min(CLAIM, limits.runs - this.#runners.size);
      if (!seat || signal.aborted || room <= 0) return;
      const claimed = await store.claimRuns(seat.epoch, room);
      for (const uid of claimed) this.#adopt(uid, seat);
      if (claimed.length < room) return;
    }
  }

  #adopt(uid: string, { epoch, lost }: { epoch: number; lost: AbortController }): void {
    const signal = AbortSignal.any([this.#world.signal, lost.signal]);
    if (this.#runners.has(uid) || signal.aborted) return;
    const runner = new Runner(this.#world, { epoch, signal }, uid);
    this.#runners.set(uid, runner);
    const work = runner.run().finally(() => {
      this.#runners.delete(uid);
      this.#work.delete(work);
      if (this.#runners.size === this.#world.limits.runs - 1) this.#claimSoon();
    });
    this.#work.add(work);
  }
}

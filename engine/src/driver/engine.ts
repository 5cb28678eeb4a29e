// Carries out the runs in the store.
import { mintStepToken, type Store } from '@kadre/store';
import { Agent } from 'undici';
import { A2AConnection } from './a2a/connection.ts';
import { Admission } from './admission.ts';
import { systemClock, pause } from './clock.ts';
import { defaultLimits, type EngineOptions } from './options.ts';
import { Runner } from './runner.ts';
import type { World } from './world.ts';

export interface Engine {
  /** Resolves when the engine has stopped after its signal aborted. Close the store only then. */
  stopped: Promise<void>;
}

/**
 * Takes up all open runs and every new one. One engine per store: a second one would do no harm to the log, but would
 * ask agents twice. Rejects if the store cannot be read.
 */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { store, agents, logger, signal, clock = systemClock } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const secret = await store.secret('step-token');
  const dispatcher = new Agent({ connect: { timeout: limits.agentResponse } });
  const admission = new Admission((place) => (place.startsWith('agent ') ? limits.tasksPerAgent : limits.jobs));
  const world: World = {
    store,
    agents,
    logger,
    clock,
    limits,
    signal,
    admission,
    connection: new A2AConnection({ dispatcher, ...limits }),
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
  };
  const intake = new Intake(world);
  await intake.adoptOpenRuns();
  const stopped = intake.work().then(() => dispatcher.destroy());
  return { stopped };
}

class Intake {
  readonly #world: World;
  readonly #runners = new Map<string, Runner>();
  readonly #work = new Set<Promise<void>>();
  readonly #subscriptions: (() => void)[];

  /** Listens before it looks, so that no run falls between the two. */
  constructor(world: World) {
    this.#world = world;
    this.#subscriptions = this.#listen(world.store);
  }

  async adoptOpenRuns(): Promise<void> {
    for (const uid of await this.#world.store.openRuns()) this.#adopt(uid);
  }

  /** Resolves when the engine is told to stop and has let go of all runs. */
  async work(): Promise<void> {
    const { signal, clock, limits } = this.#world;
    for (;;) {
      await pause(clock, limits.poll, signal);
      if (signal.aborted) break;
      await this.#poll();
    }
    for (const stop of this.#subscriptions) stop();
    await Promise.all(this.#work);
  }

  #listen(store: Store): (() => void)[] {
    const poke = (uid: string): void => this.#runners.get(uid)?.poke();
    return [
      store.subscribe('submissions', (uid) => this.#adopt(uid)),
      store.subscribe('cancellations', poke),
      store.subscribe('job-outcomes', (key) => this.#runners.get(key.slice(0, key.indexOf('/')))?.jobFinished(key)),
    ];
  }

  /** Hints may get lost. */
  async #poll(): Promise<void> {
    try {
      await this.adoptOpenRuns();
    } catch (error) {
      this.#world.logger.error({ err: error }, 'the open runs cannot be read');
    }
    for (const runner of this.#runners.values()) runner.lookAtAllJobs();
  }

  #adopt(uid: string): void {
    if (this.#runners.has(uid) || this.#world.signal.aborted) return;
    const runner = new Runner(this.#world, uid);
    this.#runners.set(uid, runner);
    const work = runner.run().finally(() => {
      this.#runners.delete(uid);
      this.#work.delete(work);
    });
    this.#work.add(work);
  }
}

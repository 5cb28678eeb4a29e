// Keeps one run alive from its log to its end: loads it, gives it turns, and begins again from the log after a failure.
import { StaleWriteError } from '@kadre/store';
import type { Logger } from 'pino';
import { isOver } from '../core/state.ts';
import type { Listener, Report } from './attempts.ts';
import { pause } from './clock.ts';
import { Life, type News } from './life.ts';
import { load } from './load.ts';
import type { World } from './world.ts';

/** Milliseconds between tries after the store failed: doubled from the first to the last. */
const FIRST_PAUSE = 50;
const LAST_PAUSE = 30_000;

/** What hints have said since the last turn. */
class Hints {
  controls = new Set<string>();
  jobs = new Set<string>();
  approvals = new Set<string>();
  events = new Set<string>();
  asks = new Set<string>();
  requests = new Set<string>();
  /** After a restart, and now and then, everything is looked at. */
  all = true;

  take(): News {
    const { controls, jobs, approvals, events, asks, requests, all } = this;
    Object.assign(this, new Hints(), { all: false });
    return all ? { asks, requests } : { controls, jobs, approvals, events, asks, requests };
  }
}

export interface Seat {
  epoch: number;
  /** Aborts when the seat is lost or the engine stops. */
  signal: AbortSignal;
}

export class Runner implements Listener {
  readonly #world: World;
  readonly #seat: Seat;
  readonly #uid: string;
  readonly #logger: Logger;
  readonly #hints = new Hints();
  #inbox: Report[] = [];
  #poked = false;
  #wake: (() => void) | undefined;
  #life: Life | undefined;

  constructor(world: World, seat: Seat, uid: string) {
    this.#world = world;
    this.#seat = seat;
    this.#uid = uid;
    this.#logger = world.logger.child({ run: uid });
  }

  /** Something may have changed: look again. */
  poke(): void {
    this.#poked = true;
    this.#wake?.();
  }

  /** What the key or name stands for may have changed. */
  hint(kind: keyof News, key: string): void {
    this.#hints[kind].add(key);
    this.poke();
  }

  /** An event was published. */
  eventPublished(namespace: string, name: string): void {
    if (this.#life?.waitsFor(namespace, name)) this.hint('events', name);
  }

  lookAtAll(): void {
    this.#hints.all = true;
    this.poke();
  }

  report(report: Report): void {
    this.#inbox.push(report);
    this.poke();
  }

  /** Resolves when the run is over, or when the engine stops or loses its seat. Never rejects. */
  async run(): Promise<void> {
    const { clock } = this.#world;
    const { signal } = this.#seat;
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
    const { signal, epoch } = this.#seat;
    const loaded = await load(this.#world.store, this.#uid);
    if (!loaded) return;
    const { state } = loaded;
    this.#inbox = [];
    this.#hints.all = true;
    const life = new Life(this.#world, this, epoch, loaded);
    this.#life = life;
    const poke = (): void => this.poke();
    signal.addEventListener('abort', poke);
    try {
      life.resume();
      while (!isOver(state) && !signal.aborted) {
        this.#poked = false;
        const wakeAt = await life.turn(this.#inbox.splice(0), this.#hints.take());
        if (!isOver(state)) await this.#sleep(wakeAt);
      }
      await life.leave();
    } finally {
      signal.removeEventListener('abort', poke);
      this.#world.queues.leave(this);
      life.end();
    }
  }

  async #sleep(until: number): Promise<void> {
    if (this.#poked || this.#seat.signal.aborted) return;
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

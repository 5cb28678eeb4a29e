// Keeps the store small: runs that are no longer kept leave it, into the archive if there is one; old events, cached
// outputs and conversations go; so do blobs to which nothing refers. Each of these may fail without keeping the others from their work, and
// goes on from there the next time.
import { setTimeout as delay } from 'node:timers/promises';
import {
  collectBlobs,
  enforceRetention,
  type ArchiveOptions,
  type Blobs,
  type RetentionStore,
  type Store,
} from '@kadre/store';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Housekeeping } from './config.ts';
import { janitorMetrics, type Chore, type JanitorMetrics } from './janitor-metrics.ts';

export interface JanitorOptions {
  store: Store;
  /** The same without blobs. */
  rows: Store;
  blobs: Blobs;
  settings: Pick<Housekeeping, 'keep' | 'eventDays' | 'conversationDays' | 'intervalMs'>;
  archive?: ArchiveOptions;
  /** Whether this replica still leads; asked before each deletion. */
  mayAct: () => boolean;
  logger: Logger;
  registry: Registry;
  /** Milliseconds since 1970. */
  now?: () => number;
}

const DAY_MS = 86_400_000;

export class Janitor {
  readonly #options: JanitorOptions;
  readonly #metrics: JanitorMetrics;
  readonly #now: () => number;
  readonly #stopping = new AbortController();
  #working: Promise<void> | undefined;
  #blobsCollectedAt = -Infinity;

  constructor(options: JanitorOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#metrics = janitorMetrics(options.registry);
  }

  start(): void {
    this.#working ??= this.#work();
  }

  /** Resolves when what is in hand has come to an end at which it can be left. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#working;
  }

  /** Everything that is due, once. Never rejects. */
  async pass(): Promise<void> {
    const { store, rows, blobs, settings } = this.#options;
    const { keepDays, keepRuns } = settings.keep;
    if (keepDays !== undefined || keepRuns !== undefined) await this.#attempt('runs', () => this.#retire());
    const daysAgo = (days: number): number => this.#now() - days * DAY_MS;
    await this.#attempt('events', () => store.prune(daysAgo(settings.eventDays)));
    await this.#attempt('conversations', () => store.pruneConversations(daysAgo(settings.conversationDays)));
    // Looking at every blob there is takes longer, and what is forgotten there costs little.
    if (this.#now() - this.#blobsCollectedAt < DAY_MS) return;
    await this.#attempt('blobs', async () => {
      const guarded: Blobs = { ...blobs, delete: (owner, ref) => this.#acting(() => blobs.delete(owner, ref)) };
      this.#metrics.blobs.inc(await collectBlobs(rows, guarded, this.#now()));
      this.#blobsCollectedAt = this.#now();
    });
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    const { intervalMs } = this.#options.settings;
    // Replicas that start together don't all ask at once, nor does one that starts again and again ask each time.
    await pause(0.1 * Math.random() * intervalMs, signal);
    while (!signal.aborted) {
      await this.pass();
      await pause((0.9 + 0.2 * Math.random()) * intervalMs, signal);
    }
  }

  async #retire(): Promise<void> {
    const { store, settings, archive, logger } = this.#options;
    const guarded: RetentionStore = {
      closedRuns: (before, limit) => this.#acting(() => store.closedRuns(before, limit)),
      submission: (uid) => this.#acting(() => store.submission(uid)),
      events: (uid, afterSeq) => this.#acting(() => store.events(uid, afterSeq)),
      decisions: (filter) => this.#acting(() => store.decisions(filter)),
      deleteRun: (uid) => this.#acting(() => store.deleteRun(uid)),
    };
    const { runs, failures } = await enforceRetention(guarded, settings.keep, this.#now(), archive);
    this.#metrics.runs.inc({ to: archive ? 'archive' : 'nowhere' }, runs);
    this.#metrics.stuck.set(failures.length);
    if (runs > 0)
      logger.info({ runs, archived: archive !== undefined }, 'Runs that are no longer kept left the store.');
    for (const { uid, error } of failures)
      logger.warn({ run: uid, err: error }, 'A run cannot be archived, and stays.');
  }

  async #attempt(chore: Chore, work: () => Promise<void>): Promise<void> {
    if (!this.#mayAct()) return;
    try {
      await work();
      this.#metrics.succeeded.set({ chore }, this.#now() / 1000);
    } catch (error) {
      if (error instanceof NoLongerLeading) return;
      this.#metrics.failures.inc({ chore });
      this.#options.logger.error({ err: error, chore }, 'Housekeeping failed; it is tried again at the next round.');
    }
  }

  #mayAct(): boolean {
    return !this.#stopping.signal.aborted && this.#options.mayAct();
  }

  #acting<T>(call: () => Promise<T>): Promise<T> {
    return this.#mayAct() ? call() : Promise.reject(new NoLongerLeading());
  }
}

class NoLongerLeading extends Error {
  override name = 'NoLongerLeading';
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}

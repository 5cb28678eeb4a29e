// All writes of one turn of the event loop share one transaction, and so one fsync.
import type { DatabaseSync } from 'node:sqlite';
import { StoreClosedError } from '../errors.ts';
import { dooms, isBusy, storeError } from './failures.ts';
import type { Hint } from '../listeners.ts';
import type { Topic } from '../store.ts';

/** Notes that a topic changed; the hint goes out after the commit. */
export type Touch = (topic: Topic, key: string) => void;

interface Write {
  work: (touch: Touch) => unknown;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
}

type Settled = { write: Write; value: unknown } | { write: Write; error: unknown };

/** How many writes one transaction takes, so that no caller waits for an endless one. */
const MAX_BATCH = 1000;
/** Milliseconds between attempts while another thread writes. Its transactions take about one. */
const BUSY_RETRY = 1;

export interface GroupCommitOptions {
  path: string;
  /** Milliseconds. */
  busyTimeout: number;
  publish: (hints: Hint[]) => void;
}

export class GroupCommit {
  readonly #db: DatabaseSync;
  readonly #options: GroupCommitOptions;
  #queue: Write[] = [];
  #scheduled = false;
  #closed = false;
  #drained: (() => void)[] = [];
  #busySince: number | undefined;

  constructor(db: DatabaseSync, options: GroupCommitOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** Runs `work` inside the next transaction; resolves once that is safe on disk. If `work` throws, it alone is undone. */
  run<T>(work: (touch: Touch) => T): Promise<T> {
    if (this.#closed) return Promise.reject(new StoreClosedError('the store is closed'));
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ work, resolve: resolve as (value: unknown) => void, reject });
      this.#schedule();
    });
  }

  /** Takes no more writes; resolves when those taken are settled. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#queue.length === 0) return;
    await new Promise<void>((resolve) => this.#drained.push(resolve));
  }

  #schedule(delay = 0): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const flush = (): void => {
      this.#scheduled = false;
      this.#flush();
    };
    // Not a timer in the usual case: setImmediate comes after everything that the current turn still has to say.
    if (delay === 0) setImmediate(flush);
    else setTimeout(flush, delay);
  }

  #flush(): void {
    if (!this.#begin()) return;
    const batch = this.#queue.splice(0, MAX_BATCH);
    const hints = new Map<string, Hint>();
    try {
      const settled = batch.map((write) => this.#apply(write, hints));
      this.#db.exec('COMMIT');
      this.#options.publish([...hints.values()]);
      for (const one of settled) settle(one);
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      for (const write of batch) write.reject(storeError(error, this.#options.path));
    }
    this.#afterFlush();
  }

  #begin(): boolean {
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      this.#busySince = undefined;
      return true;
    } catch (error) {
      this.#onBeginFailed(error);
      return false;
    }
  }

  /** Another thread writes: wait without blocking this thread's event loop. */
  #onBeginFailed(error: unknown): void {
    const now = performance.now();
    this.#busySince ??= now;
    if (isBusy(error) && now - this.#busySince < this.#options.busyTimeout) {
      this.#schedule(BUSY_RETRY);
      return;
    }
    this.#busySince = undefined;
    for (const write of this.#queue.splice(0)) write.reject(storeError(error, this.#options.path));
    this.#afterFlush();
  }

  #apply(write: Write, hints: Map<string, Hint>): Settled {
    const touched: Hint[] = [];
    this.#db.exec('SAVEPOINT one');
    try {
      const value = write.work((topic, key) => touched.push([topic, key]));
      this.#db.exec('RELEASE one');
      for (const hint of touched) hints.set(hint.join('\n'), hint);
      return { write, value };
    } catch (error) {
      if (dooms(error)) throw error;
      this.#db.exec('ROLLBACK TO one; RELEASE one');
      return { write, error };
    }
  }

  #afterFlush(): void {
    if (this.#queue.length > 0) {
      this.#schedule();
      return;
    }
    for (const drained of this.#drained.splice(0)) drained();
  }
}

function settle(one: Settled): void {
  if ('error' in one) one.write.reject(one.error);
  else one.write.resolve(one.value);
}

// Decisions on their way into the store: callers never wait for them, and a gateway that closes writes what is left.
import type { Decision, Store } from '@kadre/store';
import type { Logger } from 'pino';
import type { Clock } from '../options.ts';

export interface DecisionLog {
  add(decision: Decision): void;
  /** Resolves once all are written, or cannot be. */
  close(): Promise<void>;
}

interface DecisionLogOptions {
  store: Pick<Store, 'recordDecisions'>;
  clock: Clock;
  logger: Pick<Logger, 'warn'>;
}

const BATCH = 500;
/** While the store is away; beyond it the oldest go. */
const MOST_WAITING = 10_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;
const LAST_TRIES = 3;

export function createDecisionLog({ store, clock, logger }: DecisionLogOptions): DecisionLog {
  const waiting: Decision[] = [];
  let writing: Promise<void> | undefined;
  let triesLeft = Infinity;
  let hurry = (): void => undefined;
  let lost = 0;

  const write = async (): Promise<void> => {
    for (let pauseMs = FIRST_PAUSE_MS; waiting.length > 0;) {
      const batch = waiting.splice(0, BATCH);
      try {
        await store.recordDecisions(batch);
        pauseMs = FIRST_PAUSE_MS;
      } catch (error) {
        waiting.unshift(...batch);
        triesLeft -= 1;
        if (triesLeft <= 0) break;
        if (pauseMs === FIRST_PAUSE_MS)
          logger.warn({ err: error }, 'Decisions cannot be written; that is tried again.');
        await pause(pauseMs);
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      }
    }
    if (lost > 0) logger.warn({ lost }, 'Decisions were lost, because they could not be written for too long.');
    lost = 0;
    writing = undefined;
  };

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const cancel = clock.after(ms, resolve);
      hurry = () => {
        cancel();
        resolve();
      };
    });

  return {
    add: (decision) => {
      waiting.push(decision);
      if (waiting.length > MOST_WAITING) {
        waiting.shift();
        lost += 1;
      }
      // After the answer: those of the same turn share a write.
      writing ??= new Promise<void>((resolve) => setImmediate(resolve)).then(write);
    },
    close: async () => {
      triesLeft = LAST_TRIES;
      hurry();
      await writing;
      if (waiting.length > 0) logger.warn({ lost: waiting.length }, 'Decisions could not be written before the end.');
    },
  };
}

// How many gateways share the limits of Models: each shows in the store that it is alive, and sees how many others do.
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Clock, GatewayStore } from '../options.ts';
import type { Share } from './limits.ts';

export interface SharedLimits {
  readonly current: () => Share;
  start(): void;
  /** Gives its share back to the others. Never throws. */
  stop(): Promise<void>;
}

interface ShareOptions {
  store: Pick<GatewayStore, 'seatGateway' | 'unseatGateway'>;
  clock: Clock;
  logger: Pick<Logger, 'info' | 'warn'>;
  /** Milliseconds between signs of life. */
  heartbeatMs: number;
}

/** Who gave no sign for so many heartbeats is gone. */
const MISSED = 3;
const FAREWELL_MS = 1_000;
const ALONE: Share = { rank: 0, of: 1 };

export function createSharedLimits({ store, clock, logger, heartbeatMs }: ShareOptions): SharedLimits {
  const id = randomUUID();
  let current = ALONE;
  let cancel: (() => void) | undefined;
  let beating = Promise.resolve();
  let state: 'new' | 'started' | 'stopped' = 'new';
  let failing = false;

  const beat = async (): Promise<void> => {
    try {
      const seat = await store.seatGateway(id, MISSED * heartbeatMs);
      failing = false;
      if (seat.of === current.of && seat.rank === current.rank) return;
      current = seat;
      logger.info({ gateways: seat.of }, 'The limits of Models are shared among the gateways.');
    } catch (error) {
      // The last known share stays: without its store a gateway answers no call anyway.
      const { message } = error as Error;
      if (!failing) logger.warn({ error: message }, 'The store does not say how many gateways there are.');
      failing = true;
    }
  };
  const schedule = (): void => {
    beating = beat().then(() => {
      if (state === 'started') cancel = clock.after(heartbeatMs, schedule);
    });
  };

  return {
    current: () => current,
    start: () => {
      if (state !== 'new') return;
      state = 'started';
      schedule();
    },
    stop: async () => {
      if (state !== 'started') return;
      state = 'stopped';
      cancel?.();
      const left = beating.then(() => store.unseatGateway(id)).catch(() => undefined);
      // A store that is away holds nobody up: without a sign of life the seat is lost as well.
      await new Promise<void>((resolve) => {
        const giveUp = clock.after(FAREWELL_MS, resolve);
        void left.then(() => {
          giveUp();
          resolve();
        });
      });
    },
  };
}

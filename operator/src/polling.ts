import type { Clock, Log } from './kube/index.ts';

/** Something that a controller listens to besides its caches. */
interface Source {
  subscribe(enqueue: (key: string) => void): () => void;
}

/** Runs `look` at once, and again `periodMs` after each end. A look that fails is logged, and the next one comes all the same. */
export function polling(options: {
  periodMs: number;
  look: (enqueue: (key: string) => void) => Promise<void>;
  clock: Clock;
  log: Log;
}): Source {
  const { periodMs, look, clock, log } = options;
  return {
    subscribe: (enqueue) => {
      let cancel: () => void = () => undefined;
      let stopped = false;
      const turn = async (): Promise<void> => {
        try {
          await look(enqueue);
        } catch (error) {
          log.warn({ err: error }, 'The store could not be read; trying again soon');
        }
        if (!stopped) cancel = clock.after(periodMs, () => void turn());
      };
      void turn();
      return () => {
        stopped = true;
        cancel();
      };
    },
  };
}

// Sandboxes on a cluster: pods that the operator keeps ready and offers in the store. Each is claimed for one program.
import type { SandboxSpec } from '@kadre/crds';
import { runInSandbox, SandboxFailure, type SandboxHost, type SandboxJob } from '@kadre/sandbox';
import { sandboxPool, sandboxPoolKey, type SandboxClaim, type SandboxPlace, type Store } from '@kadre/store';
import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { Histogram, type Registry } from 'prom-client';
import type { Clock } from '../options.ts';

export type SandboxStore = Pick<Store, 'claimSandbox' | 'releaseSandbox' | 'subscribe'>;

export interface PodSandboxOptions {
  store: SandboxStore;
  clock: Clock;
  logger: Logger;
  /** Absent: nobody counts. */
  registry?: Registry;
  /** Milliseconds that a pod may take to be ready. */
  waitMs?: number;
}

const WAIT_MS = 90_000;
/** Hints may be lost. */
const POLL_MS = 2_000;
/** Beyond the time of the program: after that a gateway that says nothing is dead. */
const LEASE_SLACK_MS = 60_000;
/** A pod may die while it waits: then another one is taken. */
const MOST_PODS = 3;

export function createPodSandboxes(options: PodSandboxOptions): SandboxHost {
  const { store, logger, clock, registry } = options;
  const waited = registry && createWaits(registry);
  return {
    run: async (spec, job, call) => {
      for (let pods = 1; ; pods++) {
        // A pod takes one job in its life, so each attempt is a claim of its own.
        const id = `${call.idempotencyKey}/${randomUUID()}`;
        const began = clock.now();
        try {
          const place = await claimed(options, { id, namespace: call.caller.namespace, spec }, job, call.signal);
          waited?.observe((clock.now() - began) / 1000);
          return await runInSandbox(place, job, call);
        } catch (error) {
          if (!isWorthAnother(error) || pods === MOST_PODS) throw error;
          logger.warn({ claim: id, err: error }, 'A sandbox died before its program began; taking another one');
        } finally {
          await store.releaseSandbox(id).catch((error: unknown) => {
            logger.warn({ claim: id, err: error }, 'A sandbox could not be given back; its claim ends by itself');
          });
        }
      }
    },
  };
}

function createWaits(registry: Registry): Histogram {
  return new Histogram({
    name: 'kadre_gateway_sandbox_wait_seconds',
    help: 'How long code waited for a sandbox.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 90],
    registers: [registry],
  });
}

const isWorthAnother = (error: unknown): boolean =>
  error instanceof SandboxFailure && (error.fault === 'Unreachable' || error.fault === 'Taken');

async function claimed(
  { store, clock, waitMs = WAIT_MS }: PodSandboxOptions,
  claim: SandboxClaim,
  { limits }: SandboxJob,
  signal: AbortSignal,
): Promise<SandboxPlace> {
  const offers = listen(store, claim);
  const until = clock.now() + waitMs;
  try {
    for (;;) {
      signal.throwIfAborted();
      const place = await store.claimSandbox(claim, limits.timeoutMs + LEASE_SLACK_MS);
      if (place) return place;
      if (clock.now() >= until) throw none(claim.spec, waitMs);
      await offers.next(POLL_MS, clock, signal);
    }
  } finally {
    offers.stop();
  }
}

const none = ({ image, runtimeClassName }: SandboxSpec, waitMs: number): SandboxFailure => {
  const what = [image && `image ${image}`, runtimeClassName && `RuntimeClass ${runtimeClassName}`].filter(Boolean);
  const of = what.length > 0 ? ` of ${what.join(' and ')}` : '';
  return new SandboxFailure(
    'Unavailable',
    `No sandbox${of} was ready within ${waitMs / 1000} s. Look at the conditions of the Tool, at the quota of the namespace and at its pods with kadre.dev/sandbox-pool.`,
  );
};

/** Whoever listens first and looks then misses nothing. */
function listen(store: SandboxStore, { namespace, spec }: SandboxClaim) {
  const own = sandboxPoolKey(namespace, sandboxPool(spec));
  let heard = false;
  let wake: (() => void) | undefined;
  const stop = store.subscribe('sandboxes', (key) => {
    if (key !== own && key !== '') return;
    heard = true;
    wake?.();
  });
  return {
    stop,
    /** Resolves at the next offer since it was last asked, or after so long. */
    next: async (ms: number, clock: Clock, signal: AbortSignal): Promise<void> => {
      if (!heard) await orSignal((done) => ((wake = done), clock.after(ms, done)), signal);
      heard = false;
    },
  };
}

/** @param begin calls back when it is over; what it returns cancels */
async function orSignal(begin: (done: () => void) => () => void, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const done = (): void => resolve(undefined);
  const cancel = begin(done);
  signal.addEventListener('abort', done, { once: true });
  await promise;
  cancel();
  signal.removeEventListener('abort', done);
}

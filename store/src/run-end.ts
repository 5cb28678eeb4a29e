// Waits for a Run that was asked for. Whoever asks again waits for the same one.
import type { Failure } from '@kadre/crds';
import type { RunRequestRecord } from './run-requests.ts';
import type { Store } from './store.ts';

export type RunEnd = { output: unknown } | { failure: Failure } | 'late';

interface Waiting {
  clock: { now(): number; after(ms: number, callback: () => void): () => void };
  signal: AbortSignal;
  /** Told what is finished of all, such as 3/7. */
  onProgress?: (progress: string) => void;
}

type EndStore = Pick<Store, 'runRequest' | 'projection' | 'subscribe'>;

/** Hints may be lost. */
const POLL_MS = 5_000;

/** Rejects with the reason of the signal, and with what the store throws. */
export async function runEnd(store: EndStore, asked: RunRequestRecord, waiting: Waiting): Promise<RunEnd> {
  const { key, expiresAt = Infinity } = asked;
  const { clock, onProgress } = waiting;
  let told: string | undefined;
  for (let uid = asked.uid; ;) {
    const ms = Math.max(0, Math.min(POLL_MS, expiresAt - clock.now()));
    // Listened for before it is looked at, so that nothing happens in between.
    const change = changeOf(store, { key, uid, ms }, waiting);
    try {
      const record = await store.runRequest(key);
      const projection = record?.uid === undefined ? undefined : await store.projection(record.uid);
      const end = endOf(record, projection);
      if (end) return end;
      if (clock.now() >= expiresAt) return 'late';
      const progress = projection?.status.progress;
      if (progress !== undefined && progress !== told) onProgress?.((told = progress));
      if (uid === record?.uid) await change.happened;
      uid = record?.uid;
    } finally {
      change.stop();
    }
  }
}

function endOf(
  record: RunRequestRecord | undefined,
  projection: Awaited<ReturnType<Store['projection']>>,
): RunEnd | undefined {
  const { phase, output } = projection?.status ?? {};
  if (phase === 'Succeeded') return { output: output ?? null };
  if (phase === 'Failed' || phase === 'Cancelled') return { failure: projection?.failure ?? forgotten };
  if (!record || record.state === 'over') return { failure: forgotten };
  return record.state === 'refused' ? { failure: record.failure ?? forgotten } : undefined;
}

const forgotten: Failure = { reason: 'RunNotFound', message: 'Nothing is known of it any more.' };

/** Happens after a while at the latest; rejects with the reason of the signal. */
function changeOf(
  store: EndStore,
  { key, uid, ms }: { key: string; uid: string | undefined; ms: number },
  { clock, signal }: Waiting,
): { happened: Promise<void>; stop(): void } {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const wake = (): void => resolve(undefined);
  const leave = (): void => reject(signal.reason as Error);
  const wakeFor = (wanted: string | undefined) => (changed: string) => {
    if (changed === wanted || changed === '') wake();
  };
  const stops = [
    store.subscribe('run-requests', wakeFor(key)),
    store.subscribe('projections', wakeFor(uid)),
    clock.after(ms, wake),
  ];
  // Whoever stops before it happens does not look at it.
  promise.catch(() => undefined);
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  return {
    happened: promise,
    stop: () => {
      for (const stop of stops) stop();
      signal.removeEventListener('abort', leave);
    },
  };
}

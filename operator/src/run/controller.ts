// Hands Runs to the engine and writes down what comes of them. What the engine does between, it does through the store.
import { by } from '../caches.ts';
import { keyOf, splitKey, watching, type Cache } from '../kube/index.ts';
import { polling } from '../polling.ts';
import { decideRun } from './decide.ts';
import { observeRun } from './gather.ts';
import { cancelOrphan } from './orphans.ts';
import { isTerminal } from './status.ts';
import { waitsFor, WaitingRuns } from './waiting.ts';
import type { Context } from '../context.ts';
import { labels, type Run } from '@kadre/crds';

/** Hints of the store may be lost. */
const POLL_MS = 15_000;

export function registerRunController(context: Context): void {
  const { manager, caches, store, clock } = context;
  const { runs } = caches;
  /** By UID: when the status was last written, or the run submitted. */
  const lastWrites = new Map<string, number>();
  const waiting = new WaitingRuns();
  manager.controller({
    name: 'run',
    for: runs,
    concurrency: 32,
    watches: [
      watching(caches.workflows, ({ metadata }) =>
        waiting.for(waitsFor.workflow(metadata.namespace ?? '', metadata.name)),
      ),
      watching(caches.agents, ({ metadata }) => waiting.for(waitsFor.agent(metadata.namespace ?? '', metadata.name))),
      watching(caches.tools, ({ metadata }) => waiting.for(waitsFor.tool(metadata.namespace ?? '', metadata.name))),
      watching(caches.pools, ({ metadata }) => waiting.for(waitsFor.pool(metadata.name))),
      watching(runs, ({ metadata }) => waiting.for(waitsFor.run(metadata.namespace ?? '', metadata.name))),
      watching(caches.pods, ({ metadata }) => ofUid(runs, metadata.labels?.[labels.run] ?? '')),
      { subscribe: (enqueue) => store.subscribe('projections', (uid) => ofUid(runs, uid).forEach(enqueue)) },
      { subscribe: () => cancelDeleted(context, lastWrites) },
      polling({ ...context, periodMs: POLL_MS, look: (enqueue) => sweep(context, enqueue) }),
    ],
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const run = runs.get(namespace, name);
      waiting.forget(key);
      if (!run) return undefined;
      const { uid } = run.metadata;
      const expect = (thing: string) => waiting.expect(key, thing);
      const snapshot = await observeRun(context, run, { lastWrite: lastWrites.get(uid), expect });
      const { plan, submit, cancel, suspend } = decideRun(snapshot, new Date(clock.now()));
      if (cancel !== undefined) await store.cancelRun(uid, cancel);
      if (submit) {
        await store.submitRun(submit);
        waiting.forget(key);
      }
      if (suspend !== undefined) await store.suspendRun(uid, suspend);
      if (submit ?? plan.status) lastWrites.set(uid, clock.now());
      return manager.executor.execute(run, plan, { signal });
    },
  });
}

function ofUid(runs: Cache<Run>, uid: string): string[] {
  return runs.byIndex(by.uid, uid).map(keyOf);
}

function cancelDeleted(context: Context, lastWrites: Map<string, number>): () => void {
  return context.caches.runs.onChange(({ type, object, old }) => {
    // A Run that was made anew under the same name within one event is another Run.
    const gone = type === 'deleted' ? object : old;
    if (!gone || (type === 'updated' && gone.metadata.uid === object.metadata.uid)) return;
    lastWrites.delete(gone.metadata.uid);
    if (isTerminal(gone.status?.phase)) return;
    cancelOrphan(context, gone.metadata.uid).catch((error: unknown) => {
      context.log.warn(
        { run: gone.metadata.uid, err: error },
        'A deleted Run could not be cancelled; trying again soon',
      );
    });
  });
}

/** Two questions to the store, however many runs there are: which are open there but gone here, and which the reverse. */
async function sweep(context: Context, enqueue: (key: string) => void): Promise<void> {
  const { caches, store } = context;
  const open = new Set(await store.openRuns());
  for (const run of caches.runs.list()) {
    if (!isTerminal(run.status?.phase) && !open.has(run.metadata.uid)) enqueue(keyOf(run));
  }
  for (const uid of open) {
    if (caches.runs.byIndex(by.uid, uid).length === 0) await cancelOrphan(context, uid);
  }
}

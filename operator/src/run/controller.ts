// Hands Runs to the engine and writes down what comes of them. What the engine does between, it does through the store.
import { by, waitsFor } from '../caches.ts';
import { keyOf, splitKey, watching, type Cache } from '../kube/index.ts';
import { polling } from '../polling.ts';
import { decideRun } from './decide.ts';
import { observeRun } from './gather.ts';
import { cancelOrphan } from './orphans.ts';
import { isTerminal } from './status.ts';
import type { Context } from '../context.ts';
import { labels, type Run } from '@kadre/crds';

/** Hints of the store may be lost. */
const POLL_MS = 15_000;

export function registerRunController(context: Context): void {
  const { manager, caches, store, clock } = context;
  const { runs } = caches;
  /** By UID: when the status was last written, or the run submitted. */
  const lastWrites = new Map<string, number>();
  manager.controller({
    name: 'run',
    for: runs,
    concurrency: 32,
    watches: [
      watching(caches.workflows, ({ metadata }) =>
        waiting(runs, waitsFor.workflow(metadata.namespace ?? '', metadata.name)),
      ),
      watching(caches.agents, ({ metadata }) => waitingForAgent(context, metadata.namespace ?? '', metadata.name)),
      watching(caches.pods, ({ metadata }) => ofUid(runs, metadata.labels?.[labels.run] ?? '')),
      { subscribe: (enqueue) => store.subscribe('projections', (uid) => ofUid(runs, uid).forEach(enqueue)) },
      { subscribe: () => cancelDeleted(context, lastWrites) },
      polling({ ...context, periodMs: POLL_MS, look: (enqueue) => sweep(context, enqueue) }),
    ],
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const run = runs.get(namespace, name);
      if (!run) return undefined;
      const { uid } = run.metadata;
      const { plan, submit, cancel } = decideRun(
        await observeRun(context, run, lastWrites.get(uid)),
        new Date(clock.now()),
      );
      if (cancel !== undefined) await store.cancelRun(uid, cancel);
      if (submit) await store.submitRun(submit);
      if (submit ?? plan.status) lastWrites.set(uid, clock.now());
      return manager.executor.execute(run, plan, { signal });
    },
  });
}

function waiting(runs: Cache<Run>, value: string): string[] {
  return runs.byIndex(by.waiting, value).map(keyOf);
}

/** Runs that ask the agent, be it themselves or through their workflow. */
function waitingForAgent({ caches: { runs, workflows } }: Context, namespace: string, name: string): string[] {
  const through = workflows.byIndex(by.agent, `${namespace}/${name}`);
  const subjects = through.map(({ metadata }) => waitsFor.workflow(namespace, metadata.name));
  return [waitsFor.agent(namespace, name), ...subjects].flatMap((value) => waiting(runs, value));
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

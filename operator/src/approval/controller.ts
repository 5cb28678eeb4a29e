// Makes an Approval for each decision that people are asked for, and hands over what they decide.
import type { Approval } from '@kadre/crds';
import type { ApprovalRecord } from '@kadre/store';
import { by } from '../caches.ts';
import { joinKey, keyOf, KubeError, splitKey } from '../kube/index.ts';
import { polling } from '../polling.ts';
import { decideApproval, type ApprovalAct } from './decide.ts';
import { isOver } from './status.ts';
import type { Context } from '../context.ts';
import type { ApprovalSnapshot } from './observe.ts';
import type { KubeObject } from '../kube/plan.ts';

/** Hints of the store may be lost. */
const POLL_MS = 15_000;

/** What people are asked, as far as this process knows: by `namespace/name`, the key in the store. */
type Asked = Map<string, string>;

export function registerApprovalController(context: Context): void {
  const { manager, caches, store } = context;
  const asked: Asked = new Map();
  const learn = (record: ApprovalRecord): string => {
    const key = keyFor(record);
    asked.set(key, record.key);
    return key;
  };
  const hints = (topic: 'approvals' | 'decisions') => ({
    subscribe: (enqueue: (key: string) => void) =>
      store.subscribe(topic, (key) => hear(context, key, (record) => enqueue(learn(record)))),
  });
  manager.controller({
    name: 'approval',
    for: caches.approvals,
    concurrency: 8,
    watches: [
      hints('approvals'),
      hints('decisions'),
      polling({
        ...context,
        periodMs: POLL_MS,
        look: async (enqueue) => {
          for (const record of await store.openApprovals()) enqueue(learn(record));
          for (const approval of caches.approvals.list()) {
            if (!isOver(approval.status?.phase)) enqueue(keyOf(approval));
          }
        },
      }),
    ],
    reconcile: (key, { signal }) => reconcile(context, asked, key, signal),
  });
}

const keyFor = ({ run, name }: ApprovalRecord): string => joinKey(run.namespace, name);

function hear({ store, log }: Context, key: string, act: (record: ApprovalRecord) => void): void {
  store.approval(key).then(
    (record) => record && act(record),
    (error: unknown) => log.warn({ approval: key, err: error }, 'The store could not be read; trying again soon'),
  );
}

async function reconcile(
  context: Context,
  asked: Asked,
  key: string,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { caches, store, clock } = context;
  const { namespace, name } = splitKey(key);
  const approval = caches.approvals.get(namespace, name);
  // History needs no second look, unless the engine asks anew.
  if (approval && isOver(approval.status?.phase) && !asked.has(key)) return undefined;
  const record = await recordOf(context, asked, key, approval);
  if (record?.state !== 'open') asked.delete(key);
  const run = record && caches.runs.byIndex(by.uid, record.run.uid)[0];
  const snapshot: ApprovalSnapshot = { ...(approval && { approval }), ...(run && { run }) };
  const look = (known: ApprovalRecord | undefined) =>
    decideApproval({ ...snapshot, ...(known && { record: known }) }, new Date(clock.now()));
  const act = look(record);
  if (act.do !== 'take' || !record) return carryOut(context, snapshot, act, signal);
  await store.decideApproval(record.key, act.decision);
  // What counts is what the store kept: somebody may have been faster.
  return carryOut(context, snapshot, look(await store.approval(record.key)), signal);
}

/** What the engine asks for under the name of the object. */
async function recordOf(
  { store }: Context,
  asked: Asked,
  key: string,
  approval: Readonly<Approval> | undefined,
): Promise<ApprovalRecord | undefined> {
  const storeKey = asked.get(key) ?? (approval && keyInStore(approval));
  const record = storeKey === undefined ? undefined : await store.approval(storeKey);
  return record && keyFor(record) === key ? record : undefined;
}

function keyInStore({ metadata, spec }: Approval): string | undefined {
  const run = metadata.ownerReferences?.find(({ kind }) => kind === 'Run');
  return run && [run.uid, spec.step, spec.attempt, ...callOf(spec)].join('/');
}

function callOf({ call, question }: Approval['spec']): (string | number)[] {
  if (call !== undefined) return [call];
  return question === undefined ? [] : [`question-${question}`];
}

async function carryOut(
  context: Context,
  { approval, run }: ApprovalSnapshot,
  act: ApprovalAct,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { manager } = context;
  switch (act.do) {
    case 'wait':
      return act.requeueAfter;
    case 'ask':
      return run && ask(context, run, act.approval, signal);
    case 'complain':
      if (run) manager.recorder.record(run, notAsked(act.note));
      return undefined;
    case 'remove':
      return approval && manager.executor.execute(approval, { delete: [act.ref] }, { signal });
    case 'report':
      return approval && manager.executor.execute(approval, act.plan, { signal });
    case 'take':
      throw new Error(`The store knows nothing of the decision on ${approval?.metadata.name ?? ''} that it was told`);
  }
}

async function ask(
  { manager }: Context,
  run: NonNullable<ApprovalSnapshot['run']>,
  desired: KubeObject,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { name } = desired.metadata;
  const { step, message } = desired.spec as { step: string; message: string };
  const note = `Step ${step} waits for Approval ${name}: ${message}`.slice(0, 1000);
  try {
    return await manager.executor.execute(
      run,
      { create: [desired], events: [{ type: 'Normal', reason: 'ApprovalRequested', action: 'Ask', note }] },
      { signal },
    );
  } catch (error) {
    // Who waits for people would wait for ever without a word.
    if (error instanceof KubeError && [400, 403, 409, 422].includes(error.code)) {
      manager.recorder.record(run, notAsked(`Approval ${name} cannot be made: ${error.message}`));
    }
    throw error;
  }
}

function notAsked(note: string) {
  return { type: 'Warning', reason: 'ApprovalNotRequested', action: 'Ask', note: note.slice(0, 1000) } as const;
}

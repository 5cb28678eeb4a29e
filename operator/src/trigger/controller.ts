// Starts what Triggers start by the clock and when objects change, and says how each Trigger is. Webhooks start through
// the server; here only their Runs are followed.
import { API_VERSION, labels, type Run, type Trigger } from '@kadre/crds';
import { parseDuration, planTrigger, startName, type TriggerPlan } from '@kadre/engine';
import { by } from '../caches.ts';
import { joinKey, keyOf, splitKey, watching } from '../kube/index.ts';
import { beginAll, type Outcome } from './begin.ts';
import { decideTrigger, isOver } from './decide.ts';
import { dueAt, type Due } from './schedule.ts';
import { timesOf } from './times.ts';
import { createWatches, type Turn, type Watches } from './watching.ts';
import type { Context } from '../context.ts';
import type { TriggerSnapshot } from './observe.ts';
import type { Fire } from './changes.ts';

export function registerTriggerController(context: Context): void {
  const { manager, caches, clock, log } = context;
  const { triggers, runs, workflows } = caches;
  const watches = createWatches({ client: manager.client, clock, log });
  manager.controller({
    name: 'trigger',
    for: triggers,
    watches: [
      watching(runs, ({ metadata }) => {
        const name = metadata.labels?.[labels.trigger];
        return name === undefined ? [] : [joinKey(metadata.namespace, name)];
      }),
      watching(workflows, ({ metadata }) =>
        triggers.byIndex(by.workflow, joinKey(metadata.namespace, metadata.name)).map(keyOf),
      ),
      { subscribe: (enqueue) => watches.start(enqueue) },
    ],
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const trigger = triggers.get(namespace, name);
      if (trigger && trigger.metadata.deletionTimestamp === undefined)
        return reconcile(context, watches, trigger, signal);
      watches.drop(key);
      return undefined;
    },
  });
}

/** What this turn found to start, and what is to be noted once it is started. */
interface Found {
  fires: readonly Fire[];
  schedule?: NonNullable<TriggerSnapshot['schedule']>;
  turn?: Turn;
}

async function reconcile(
  context: Context,
  watches: Watches,
  trigger: Trigger,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { manager, clock } = context;
  const now = clock.now();
  const planned = planTrigger(trigger.spec);
  const times = trigger.spec.schedule && timesOf(trigger.spec.schedule);
  const issues = 'problems' in planned ? [...planned.problems] : [];
  if (times && 'problem' in times) issues.push({ path: 'spec.schedule', message: times.problem });
  let found: Found = { fires: [] };
  let outcomes: Outcome[] = [];
  if ('plan' in planned && issues.length === 0) {
    found = await find(context, watches, trigger, planned.plan, now);
    outcomes = await beginAll(
      { client: manager.client, store: context.store, signal },
      trigger,
      planned.plan,
      found.fires,
    );
  } else watches.drop(keyOf(trigger));
  const snapshot = await observe(context, trigger, { issues, outcomes, ...found });
  const wait = await manager.executor.execute(trigger, decideTrigger(snapshot, new Date(now)), { signal });
  found.turn?.commit();
  return Math.min(wait ?? Infinity, found.turn?.again ?? Infinity);
}

async function find(
  context: Context,
  watches: Watches,
  trigger: Trigger,
  plan: TriggerPlan,
  now: number,
): Promise<Found> {
  const { schedule, watch, suspend } = trigger.spec;
  if (schedule) return findDue(context, trigger, now);
  if (!watch || suspend === true) {
    watches.drop(keyOf(trigger));
    return { fires: [] };
  }
  const turn = await watches.turn(trigger, plan);
  return { fires: turn.fires, turn };
}

async function findDue(context: Context, trigger: Trigger, now: number): Promise<Found> {
  const { schedule } = trigger.spec;
  const times = schedule && timesOf(schedule);
  if (!times || 'problem' in times) return { fires: [] };
  const { concurrencyPolicy, startingDeadline } = schedule;
  const nameFor = (time: number) => startName(trigger.metadata, fireAt(time).cause.key);
  const deadline = startingDeadline === undefined ? undefined : parseDuration(startingDeadline);
  // Asked only when a time has come: then the cache is not good enough.
  const tentative = dueAt(trigger, times, now, { deadline, concurrencyPolicy: 'Allow', isBusy: () => false });
  const active = tentative.start === undefined || concurrencyPolicy === 'Allow' ? [] : await liveRuns(context, trigger);
  const others = (time: number) => active.filter(({ metadata }) => metadata.name !== nameFor(time));
  const isBusy = (time: number) => others(time).length > 0;
  const due = dueAt(trigger, times, now, { deadline, concurrencyPolicy, isBusy });
  if (due.start !== undefined && concurrencyPolicy === 'Replace') await replaceAll(context, others(due.start));
  const next = trigger.spec.suspend === true ? undefined : times.next(now);
  return { fires: firesOf(due), schedule: { due, next } };
}

const firesOf = ({ start }: Due): Fire[] => (start === undefined ? [] : [fireAt(start)]);

function fireAt(time: number): Fire {
  const scheduledTime = new Date(time).toISOString();
  return {
    cause: { key: `schedule/${scheduledTime}`, text: `schedule ${scheduledTime}`, at: time },
    happening: { scheduledTime },
  };
}

async function liveRuns({ manager }: Context, { metadata }: Trigger): Promise<Run[]> {
  const { namespace = '', uid } = metadata;
  const kind = { apiVersion: API_VERSION, kind: 'Run' };
  const { items } = await manager.client.list(kind, { namespace, labelSelector: `${labels.triggerUid}=${uid}` });
  return (items as unknown as Run[]).filter((run) => !isOver(run));
}

/** A Run that the engine has is cancelled, and says so; one that it does not have yet has nothing to say. */
async function replaceAll({ manager, store }: Context, runs: Run[]): Promise<void> {
  for (const { apiVersion, kind, metadata } of runs) {
    const { name, namespace = '', uid } = metadata;
    if (await store.submission(uid)) await store.cancelRun(uid, 'A later run of its Trigger has replaced it.');
    else await manager.client.delete({ apiVersion, kind, name, namespace, uid });
  }
}

async function observe(
  context: Context,
  trigger: Trigger,
  found: Found & Pick<TriggerSnapshot, 'issues' | 'outcomes'>,
): Promise<TriggerSnapshot> {
  const { caches, settings } = context;
  const { metadata, spec } = trigger;
  const { namespace = '', name, uid } = metadata;
  const { issues, outcomes, schedule, turn } = found;
  const workflow = spec.start.workflow?.name;
  return {
    trigger,
    issues,
    outcomes,
    secret: await secretState(context, trigger),
    workflowMissing: workflow !== undefined && !caches.workflows.get(namespace, workflow),
    runs: caches.runs.byIndex(by.trigger, uid).filter((run) => run.metadata.namespace === namespace),
    remember: memoryOf(trigger),
    ...(turn?.noAccess && { noAccess: turn.noAccess }),
    ...(turn?.watched && { watched: turn.watched }),
    ...(schedule && { schedule }),
    ...(spec.webhook &&
      settings.serverUrl !== undefined && {
        url: `${settings.serverUrl}/v1/namespaces/${namespace}/triggers/${name}`,
      }),
  };
}

async function secretState({ readSecret }: Context, { metadata, spec }: Trigger): Promise<TriggerSnapshot['secret']> {
  const ref = (spec.webhook?.auth.hmac ?? spec.webhook?.auth.bearer)?.secretRef;
  if (!ref) return 'unused';
  const secret = await readSecret(metadata.namespace ?? '', ref.name);
  if (!secret) return 'absent';
  return Object.hasOwn(secret, ref.key) && secret[ref.key]?.trim() ? 'present' : 'keyAbsent';
}

/** As long as a delivery may come again, its Run is kept: that it exists is what tells. */
function memoryOf({ spec: { webhook } }: Trigger): number {
  if (!webhook) return 0;
  const { hmac } = webhook.auth;
  const tolerance = hmac?.timestampHeader === undefined ? 0 : (parseDuration(hmac.tolerance) ?? 0);
  return Math.max(parseDuration(webhook.remember) ?? 0, 2 * tolerance);
}

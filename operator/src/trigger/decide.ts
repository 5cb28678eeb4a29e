// What to say about a Trigger, and which of its Runs are no longer kept.
import { conditionsOf, news } from '../build/readiness.ts';
import type { TriggerSnapshot } from './observe.ts';
import type { Run, TriggerStatus } from '@kadre/crds';
import type { Health } from '../kube/conditions.ts';
import type { ObjectRef, Plan, PlannedEvent } from '../kube/plan.ts';

/** Kadre may not watch Secrets, and nobody tells when rights change, so it looks again. */
const RECHECK_TROUBLE_MS = 30_000;
const RECHECK_MS = 300_000;
const SHOWN_ISSUES = 10;
const DEFAULT_KEPT = { successful: 3, failed: 3 };

export function decideTrigger(snapshot: TriggerSnapshot, now: Date): Plan {
  const { trigger, schedule } = snapshot;
  const { metadata, status: before } = trigger;
  if (metadata.deletionTimestamp !== undefined) return {};
  const health = troubleOf(snapshot) ?? suspended(snapshot) ?? ready;
  const conditions = conditionsOf(trigger, health, [], now);
  const status = statusOf(snapshot, conditions);
  const old = outdated(snapshot, status, now.getTime());
  const waits = [
    health.state === 'stalled' ? RECHECK_TROUBLE_MS : RECHECK_MS,
    ...(schedule?.next === undefined ? [] : [schedule.next - now.getTime()]),
    ...(old.nextIn === undefined ? [] : [old.nextIn]),
  ];
  const { events = [] } = news(before?.conditions, conditions);
  return {
    status: { ...status },
    ...(old.runs.length > 0 && { delete: old.runs }),
    events: [...eventsOf(snapshot), ...events],
    requeueAfter: Math.max(1, Math.min(...waits)),
  };
}

function statusOf(snapshot: TriggerSnapshot, conditions: TriggerStatus['conditions']): TriggerStatus {
  const { trigger, schedule, watched, runs, url } = snapshot;
  const { spec, status: before, metadata } = trigger;
  const lastStart = schedule?.due.start === undefined ? before?.lastScheduleTime : timeText(schedule.due.start);
  const scheduledUpTo = schedule ? timeText(schedule.due.upTo) : spec.schedule && before?.scheduledUpTo;
  const latest = [...runs].sort(byAge)[0];
  return {
    observedGeneration: metadata.generation,
    cause: spec.schedule ? 'Schedule' : spec.webhook ? 'Webhook' : 'Watch',
    ...(url !== undefined && { url }),
    ...(scheduledUpTo !== undefined && { scheduledUpTo }),
    ...(spec.schedule && lastStart !== undefined && { lastScheduleTime: lastStart }),
    ...(schedule?.next !== undefined && { nextScheduleTime: timeText(schedule.next) }),
    ...(watched && { watched }),
    ...(latest && { lastRun: lastRunOf(latest) }),
    active: runs.filter((run) => !isOver(run)).length,
    conditions,
  };
}

function lastRunOf({ metadata, status }: Readonly<Run>): NonNullable<TriggerStatus['lastRun']> {
  const { name, creationTimestamp: createdAt } = metadata;
  return { name, ...(status?.phase && { phase: status.phase }), createdAt };
}

const ready: Health = { state: 'ready', reason: 'Ready', message: 'The Trigger is at work.' };

function suspended({ trigger }: TriggerSnapshot): Health | undefined {
  if (trigger.spec.suspend !== true) return undefined;
  return { state: 'ready', reason: 'Suspended', message: 'Nothing is started until spec.suspend is false.' };
}

function troubleOf(snapshot: TriggerSnapshot): Health | undefined {
  const { trigger, issues, noAccess, workflowMissing } = snapshot;
  const namespace = trigger.metadata.namespace ?? '';
  if (issues.length > 0) {
    const shown = issues.slice(0, SHOWN_ISSUES).map(({ path, message }) => `${path}: ${message}`);
    const reason = issues.every(({ path }) => path.startsWith('spec.schedule'))
      ? 'InvalidSchedule'
      : 'InvalidExpression';
    return { state: 'stalled', reason, message: shown.join('; ') };
  }
  if (noAccess) return { state: 'stalled', ...noAccess };
  const secret = secretTrouble(snapshot, namespace);
  if (secret) return { state: 'stalled', reason: 'SecretNotFound', message: secret };
  if (!workflowMissing) return undefined;
  const message = `Not in namespace ${namespace}: Workflow ${trigger.spec.start.workflow?.name ?? ''}. Runs wait for it.`;
  return { state: 'stalled', reason: 'WorkflowNotFound', message };
}

function secretTrouble({ trigger, secret }: TriggerSnapshot, namespace: string): string | undefined {
  const { hmac, bearer } = trigger.spec.webhook?.auth ?? {};
  const ref = (hmac ?? bearer)?.secretRef;
  if (!ref || secret === 'present' || secret === 'unused') return undefined;
  const where = `Secret ${ref.name} in namespace ${namespace}`;
  return secret === 'absent'
    ? `There is no ${where}. Create it with what the sender signs with, or shows, under the key ${ref.key}.`
    : `${where} has nothing under the key ${ref.key}. Put there what the sender signs with, or shows.`;
}

function eventsOf({ outcomes, schedule }: TriggerSnapshot): PlannedEvent[] {
  const skipped = schedule?.due.skipped;
  const told = outcomes.flatMap(({ cause, name, isNew, refusal }): PlannedEvent[] => {
    if (refusal !== undefined) return [warning('NotStarted', 'Start', `For ${cause}: ${refusal}`)];
    return isNew ? [{ type: 'Normal', reason: 'Started', action: 'Start', note: `${name ?? ''} for ${cause}` }] : [];
  });
  if (!skipped) return told;
  const time = timeText(skipped.time);
  const note =
    skipped.reason === 'StillRunning'
      ? `Not started for ${time}: another run is still at work, and concurrencyPolicy is Forbid.`
      : `Not started for ${time}: startingDeadline has passed.`;
  return [...told, warning(skipped.reason, 'Start', note)];
}

const warning = (reason: string, action: string, note: string): PlannedEvent => ({
  type: 'Warning',
  reason,
  action,
  note: note.slice(0, 1000),
});

/**
 * Finished Runs beyond the limit. A Run is also the memory of its cause, so none goes before what was dealt with is
 * written down, nor before a delivery may no longer come again.
 */
function outdated(
  snapshot: TriggerSnapshot,
  status: TriggerStatus,
  now: number,
): { runs: ObjectRef[]; nextIn?: number } {
  const { trigger, runs, remember } = snapshot;
  const limit = trigger.spec.historyLimit ?? DEFAULT_KEPT;
  const finished = runs.filter((run) => isOver(run) && run.metadata.deletionTimestamp === undefined).sort(byAge);
  const excess = [
    ...finished.filter(({ status: run }) => run?.phase === 'Succeeded').slice(limit.successful),
    ...finished.filter(({ status: run }) => run?.phase !== 'Succeeded').slice(limit.failed),
  ];
  const { scheduledUpTo, watched } = trigger.status ?? {};
  const isWritten = scheduledUpTo === status.scheduledUpTo && watched?.generation === status.watched?.generation;
  if (excess.length === 0 || !isWritten) return { runs: [] };
  const until = watched ? Date.parse(watched.createdUpTo) : now - remember;
  const gone = excess.filter(({ metadata }) => Date.parse(metadata.creationTimestamp) < until);
  const oldest = Math.min(...excess.filter((run) => !gone.includes(run)).map(createdAt));
  return {
    runs: gone.map(refTo),
    ...(Number.isFinite(oldest) && remember > 0 && { nextIn: oldest + remember - now + 1 }),
  };
}

const refTo = ({ apiVersion, kind, metadata: { name, namespace, uid } }: Readonly<Run>): ObjectRef => ({
  apiVersion,
  kind,
  name,
  uid,
  ...(namespace !== undefined && { namespace }),
});

export const isOver = ({ status }: Readonly<Run>): boolean =>
  status?.phase === 'Succeeded' || status?.phase === 'Failed' || status?.phase === 'Cancelled';

const createdAt = ({ metadata }: Readonly<Run>): number => Date.parse(metadata.creationTimestamp);

/** The latest first. */
const byAge = (one: Readonly<Run>, other: Readonly<Run>): number =>
  createdAt(other) - createdAt(one) || (one.metadata.name < other.metadata.name ? 1 : -1);

const timeText = (ms: number): string => new Date(ms).toISOString();

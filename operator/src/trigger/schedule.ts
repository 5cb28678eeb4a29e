// Which start of a schedule is due. Pure: the time, and what the clock of the schedule says, are arguments.
import type { ScheduleTrigger, Trigger } from '@kadre/crds';
import type { Times } from './times.ts';

export interface Due {
  /** The time for which a run is to be started now; absent if none is. */
  start?: number;
  /** A time that has come and is let go, with why. */
  skipped?: { time: number; reason: 'MissedSchedule' | 'StillRunning' };
  /** All times up to this one have been dealt with. */
  upTo: number;
}

export interface DueOptions {
  /** Milliseconds. */
  deadline: number | undefined;
  concurrencyPolicy: ScheduleTrigger['concurrencyPolicy'];
  /** Whether another run of the Trigger is at work than the one for this time. */
  isBusy: (time: number) => boolean;
}

/** Of the times that have come since, the latest alone: nobody wants all the runs of a night at once. */
export function dueAt(trigger: Trigger, times: Times, now: number, options: DueOptions): Due {
  const since = dealtWithUpTo(trigger, now);
  if (trigger.spec.suspend === true) return { upTo: since };
  const time = times.latest(since, now);
  if (time === undefined) return { upTo: since };
  const { deadline, concurrencyPolicy, isBusy } = options;
  if (deadline !== undefined && now - time > deadline)
    return { skipped: { time, reason: 'MissedSchedule' }, upTo: time };
  if (concurrencyPolicy === 'Forbid' && isBusy(time)) return { skipped: { time, reason: 'StillRunning' }, upTo: time };
  return { start: time, upTo: time };
}

/** A Trigger that was changed, or suspended until now, begins anew: what was due before is not made up for. */
function dealtWithUpTo({ metadata, status }: Trigger, now: number): number {
  const { observedGeneration = -1, scheduledUpTo } = status ?? {};
  if (observedGeneration < 0) return Date.parse(metadata.creationTimestamp);
  return observedGeneration === metadata.generation && scheduledUpTo !== undefined ? Date.parse(scheduledUpTo) : now;
}

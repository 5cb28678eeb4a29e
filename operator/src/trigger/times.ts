// When a schedule is due. What is a time and what is not says croner; here is only what is asked of it.
import { Cron } from 'croner';
import type { ScheduleTrigger } from '@kadre/crds';

export interface Times {
  /** The latest time after `after` and not after `upTo`, if there is one. All in milliseconds since 1970. */
  latest(after: number, upTo: number): number | undefined;
  /** The first time after `after`; undefined if there is none any more. */
  next(after: number): number | undefined;
}

/**
 * When the clocks go forward, a time such as 02:30 that does not exist is taken at the end of the gap, and an every-ten-
 * minutes loses nothing; when they go back, 02:30 is taken once, the first time, and an every-ten-minutes goes on.
 */
export function timesOf({ cron, timeZone }: Pick<ScheduleTrigger, 'cron' | 'timeZone'>): Times | { problem: string } {
  if (!isTimeZone(timeZone)) return { problem: `there is no time zone ${timeZone}; write one such as Europe/Berlin` };
  try {
    const times = new Cron(cron, { timezone: timeZone, mode: '5-part', fixedTimeRule: 'no-wildcard', paused: true });
    if (times.nextRun() === null) return { problem: `${cron} never comes: there is no such day` };
    return {
      latest: (after, upTo) => {
        // A time that is just now counts.
        const [last] = times.previousRuns(1, new Date(upTo + 1000));
        const found = [last, last && times.previousRuns(1, last)[0]].find((time) => time && time.getTime() <= upTo);
        return found && found.getTime() > after ? found.getTime() : undefined;
      },
      next: (after) => times.nextRun(new Date(after))?.getTime(),
    };
  } catch (error) {
    return { problem: error instanceof Error ? error.message.replace(/^Cron(Pattern|Date): /, '') : String(error) };
  }
}

function isTimeZone(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

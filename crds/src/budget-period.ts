// The periods of budgets. They follow each other without a gap and without overlap, whatever the clocks of the zone do.
//
// All is derived from one question that Intl answers: what does a clock of the zone show at this instant? A day begins at
// the first instant at which the clock shows its date, or a later one. So a midnight that comes twice counts once, one that
// is skipped is the moment of the change, and a date that a zone leaves out has no time.
import type { BudgetPeriod } from './budget.ts';

/** Times in milliseconds since 1970. */
export interface Period {
  /** Unique among the periods of this kind and zone, and sorted as they are: 2026-11, 2026-11-21 … */
  key: string;
  /** Absent: it has always been, or never ends. */
  startsAt?: number;
  endsAt?: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TOTAL: Period = { key: 'total' };

export function isTimeZone(name: string): boolean {
  try {
    clockOf(name);
    return true;
  } catch {
    return false;
  }
}

/** The period of that kind in which `at` lies. Throws a RangeError for a zone that does not exist. */
export function periodAt(kind: BudgetPeriod, timeZone: string, at: number): Period {
  if (kind === 'total') return TOTAL;
  const name = `${kind} ${timeZone}`;
  const last = latest.get(name);
  if (last && last.startsAt <= at && at < last.endsAt) return last;
  const clock = clockOf(timeZone);
  const found = kind === 'hour' ? hourAt(clock, at) : datesAt(clock, kind, at);
  if (latest.size >= MOST_KEPT) latest.clear();
  latest.set(name, found);
  return found;
}

/** Those that were asked for last: mostly they are asked for again. */
const latest = new Map<string, Required<Period>>();
const MOST_KEPT = 1_000;

/** What a clock of the zone shows, as the number of milliseconds that it would be in UTC. */
type Clock = (at: number) => number;

const clocks = new Map<string, Clock>();

function clockOf(timeZone: string): Clock {
  const known = clocks.get(timeZone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const clock: Clock = (at) => {
    const shown: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of format.formatToParts(at)) shown[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = shown;
    return Date.UTC(year, month - 1, day, hour, minute, second) + mod(at, 1000);
  };
  if (clocks.size >= MOST_KEPT) clocks.clear();
  clocks.set(timeZone, clock);
  return clock;
}

function hourAt(clock: Clock, at: number): Required<Period> {
  const startsAt = lastFullHour(clock, at);
  const endsAt = nextFullHour(clock, at);
  // Of an hour that comes twice, each is one of its own.
  return { key: new Date(startsAt).toISOString().slice(0, 16) + 'Z', startsAt, endsAt };
}

/** Zones whose clocks are set by half an hour have hours that are longer. */
function lastFullHour(clock: Clock, at: number): number {
  const candidates = [at, at - HOUR, at - 2 * HOUR].flatMap((near) => {
    const grid = mod(clock(near) - near, HOUR);
    const last = at - mod(at + grid, HOUR);
    return [last, last - HOUR];
  });
  return Math.max(...candidates.filter((candidate) => mod(clock(candidate), HOUR) === 0));
}

function nextFullHour(clock: Clock, at: number): number {
  const candidates = [at, at + HOUR, at + 2 * HOUR].flatMap((near) => {
    const grid = mod(clock(near) - near, HOUR);
    const next = at - mod(at + grid, HOUR) + HOUR;
    return [next, next + HOUR];
  });
  return Math.min(...candidates.filter((candidate) => mod(clock(candidate), HOUR) === 0));
}

function datesAt(clock: Clock, kind: 'day' | 'week' | 'month', at: number): Required<Period> {
  const first = firstDate(kind, dateAt(clock, at));
  const next = nextDate(kind, first);
  const text = new Date(first).toISOString();
  const key = kind === 'month' ? text.slice(0, 7) : text.slice(0, 10);
  return { key, startsAt: startOf(clock, first), endsAt: startOf(clock, next) };
}

// Dates are their midnight in UTC.

/** The date whose day has begun last. A clock that is set back over midnight shows the day before once more. */
function dateAt(clock: Clock, at: number): number {
  const shown = floorDay(clock(at));
  return startOf(clock, shown + DAY) <= at ? shown + DAY : shown;
}

/** The first instant at which the clock shows this date or a later one. */
function startOf(clock: Clock, date: number): number {
  const offsets = new Set([-DAY, -DAY / 2, 0, DAY / 2, DAY].map((hours) => clock(date + hours) - (date + hours)));
  const starts = [...offsets]
    .map((offset) => date - offset)
    .filter((start) => clock(start) >= date && clock(start - 1) < date);
  return Math.min(...starts);
}

function firstDate(kind: 'day' | 'week' | 'month', date: number): number {
  if (kind === 'month') return date - (new Date(date).getUTCDate() - 1) * DAY;
  // Weeks begin on Monday.
  return kind === 'week' ? date - mod(new Date(date).getUTCDay() - 1, 7) * DAY : date;
}

function nextDate(kind: 'day' | 'week' | 'month', first: number): number {
  if (kind !== 'month') return first + (kind === 'week' ? 7 : 1) * DAY;
  const date = new Date(first);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

const floorDay = (time: number): number => time - mod(time, DAY);
const mod = (value: number, by: number): number => ((value % by) + by) % by;

// Lengths of time, each held against those around it.
import { parseDuration } from '../duration.ts';
import type { Report } from '../expression/template.ts';

/** The time that whatever is inside has at most. */
export interface Bound {
  milliseconds: number;
  /** Such as `limits.duration`. */
  by: string;
  text: string;
}

/** In milliseconds; 0 for what is none. */
export function compileDuration(text: string, path: string, report: Report): number {
  const length = parseDuration(text);
  if (length !== undefined && length > 0) return length;
  report(path, `${text} is not a length of time up to a year such as 300ms, 90s, 5m, 2h or 1d`);
  return 0;
}

/** A length of time that must not exceed the bound: it would never come to its end. */
export function compileBounded(text: string, path: string, bound: Bound | undefined, report: Report): number {
  const length = compileDuration(text, path, report);
  if (bound && length > bound.milliseconds)
    report(path, `${text} is longer than ${bound.by} of ${bound.text}: shorten it, or raise ${bound.by}`);
  return length;
}

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d{1,9})?([Zz]|[+-](\d{2}):(\d{2}))$/;

export function isTime(text: string): boolean {
  const found = RFC3339.exec(text);
  if (!found) return false;
  const [year, month, day, hour, minute, second] = found.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  const isDate = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  const isOffset = Number(found[9] ?? 0) < 24 && Number(found[10] ?? 0) < 60;
  return isDate && hour < 24 && minute < 60 && second < 60 && isOffset;
}

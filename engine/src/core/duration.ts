import { milliseconds } from '@kadre/crds';

/** A year. Longer waits are mistakes. */
const MAX = milliseconds('365d');

/** The length of a duration such as 300ms, 90s or 2h in milliseconds, at most a year; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  if (!/^\d{1,9}(ms|s|m|h|d)$/.test(text)) return undefined;
  const length = milliseconds(text);
  return length <= MAX ? length : undefined;
}

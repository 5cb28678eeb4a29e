const milliseconds = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** A year. Longer waits are mistakes. */
const MAX = 365 * milliseconds.d;

/** The length of a duration such as 300ms, 90s or 2h in milliseconds, at most a year; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  const length = Number(count) * milliseconds[unit as keyof typeof milliseconds];
  return length <= MAX ? length : undefined;
}

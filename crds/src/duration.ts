const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Of a duration as the API server lets it pass, such as 300ms or 90s. */
export function milliseconds(duration: string): number {
  const [, count = '0', unit = 'ms'] = /^(\d+)([a-z]+)$/.exec(duration) ?? [];
  return Number(count) * (units[unit] ?? 0);
}

// What is said of models and tools that cannot be asked just now, in words that both share.
import type { Breaker } from './breaker.ts';

/** At least one: who is told to come back in 0 s would not wait at all. */
export const secondsOf = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));

/** `what`: such as Model claude. */
export const failing = (what: string, { since, why }: Breaker): string =>
  `${what} has been failing since ${new Date(since).toISOString().slice(0, 19)}Z: ${why}.`;

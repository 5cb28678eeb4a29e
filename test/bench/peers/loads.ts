// What is measured, how often, and what comes of it.
import type { Outcome } from './contender.ts';

export interface Load {
  /** As the contenders know it. */
  name: string;
  count: number;
  title: string;
}

const short = [
  { name: 'chain', count: 1000, title: 'chain of 1,000' },
  { name: 'fan-out', count: 1000, title: 'fan-out of 1,000' },
] as const satisfies Load[];
const long = [
  { name: 'runs', count: 5000, title: '5,000 runs' },
  { name: 'fan-out', count: 10_000, title: 'fan-out of 10,000' },
] as const satisfies Load[];
export const loads = [...short, ...long] as const;

/** Of Kadre alone: so many requests, one after the other, without an engine. */
export const floor: Load = { name: 'http-chain', count: 1000, title: 'bare HTTP' };

/** Compilers and caches are warm after that. */
export const warmUp: Pick<Load, 'name' | 'count'>[] = [
  { name: 'chain', count: 100 },
  { name: 'fan-out', count: 100 },
  { name: 'runs', count: 100 },
];

/** Each load comes three times. The long ones take most of the time, so the short ones are not left to the end. */
export const rounds: Load[][] = [[floor, ...short], [floor, ...short], long, [floor, ...short], long, long];
/** What has taken longer so far is not measured again. */
export const ENOUGH_SECONDS = 11;
/** After that nothing is measured a second time. */
export const BUDGET_SECONDS = 240;
/** What is not over then is stopped. */
export const LIMIT_SECONDS = 12;

/** One engine's outcomes by load, in the order of the rounds. */
export interface Row {
  name: string;
  outcomes: Map<Load, Outcome[]>;
}

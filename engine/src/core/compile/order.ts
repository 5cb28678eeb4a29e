// Which step waits for which. Without `needs` a step waits for the one above it; in a race, for none.
import type { Step } from '@kadre/crds';
import { meant } from '../expression/suggest.ts';
import { choices } from '../expression/values.ts';

/** By the position of the step in its list. */
export interface Order {
  needs: number[][];
  dependents: number[][];
  /** The steps that are over when this one starts, as a set of bits: a list of 200 has up to 20,000 such pairs. */
  before: bigint[];
  /** Each step after those that it needs. */
  sorted: number[];
}

export function isBefore({ before }: Order, index: number, other: number): boolean {
  return (((before[index] ?? 0n) >> BigInt(other)) & 1n) === 1n;
}

/** `path`: relative to the step. `elsewhere`: why a step of another list cannot be needed; undefined if there is none. */
export interface OrderOptions {
  atOnce: boolean;
  report: (index: number, path: string, message: string) => void;
  elsewhere: (name: string, index: number) => string | undefined;
}

export function order(steps: readonly Step[], options: OrderOptions): Order {
  const positions = new Map(steps.map(({ name }, index) => [name, index]));
  const needs = steps.map((step, index) => needsOf(step, index, positions, options));
  const dependents: number[][] = steps.map(() => []);
  needs.forEach((ones, index) => ones.forEach((need) => dependents[need]?.push(index)));
  return { needs, dependents, ...sort(steps, needs, dependents, options) };
}

function needsOf(step: Step, index: number, positions: ReadonlyMap<string, number>, options: OrderOptions): number[] {
  if (step.needs === undefined) return index === 0 || options.atOnce ? [] : [index - 1];
  const found = new Set<number>();
  for (const [i, name] of step.needs.entries()) {
    const position = positions.get(name);
    const message =
      position === undefined
        ? (options.elsewhere(name, index) ??
          `there is no step ${name}${meant(name, positions.keys()) || choices(positions.keys())}`)
        : found.has(position) && `${name} is named twice: remove one`;
    if (message) options.report(index, `needs[${i}]`, message);
    if (position !== undefined) found.add(position);
  }
  return [...found];
}

/** Walks the steps in an order in which each comes after those that it needs; what is left over is a circle. */
function sort(steps: readonly Step[], needs: number[][], dependents: number[][], options: OrderOptions) {
  const before = steps.map(() => 0n);
  const waiting = needs.map((ones) => ones.length);
  const sorted = [...waiting.keys()].filter((index) => waiting[index] === 0);
  for (const index of sorted) {
    const past = (before[index] ?? 0n) | (1n << BigInt(index));
    for (const dependent of dependents[index] ?? []) {
      before[dependent] = (before[dependent] ?? 0n) | past;
      waiting[dependent] = (waiting[dependent] ?? 0) - 1;
      if (waiting[dependent] === 0) sorted.push(dependent);
    }
  }
  const stuck = [...waiting.keys()].filter((index) => (waiting[index] ?? 0) > 0);
  if (stuck.length > 0) reportCircle(steps, needs, stuck, options);
  return { before, sorted: [...sorted, ...stuck] };
}

function reportCircle(steps: readonly Step[], needs: number[][], stuck: number[], { report }: OrderOptions): void {
  const path: number[] = [];
  // Each stuck step needs another stuck one; following them must come back to a step seen before.
  let next = stuck[0] ?? 0;
  while (!path.includes(next)) {
    path.push(next);
    next = needs[next]?.find((need) => stuck.includes(need)) ?? next;
  }
  const circle = [...path.slice(path.indexOf(next)), next].map((index) => steps[index]?.name);
  const message =
    circle.length === 2
      ? `${circle[0]} cannot wait for itself: remove its own name from needs`
      : `steps wait for each other in a circle (${circle.join(' → ')}): take one out of needs`;
  const holder = path.slice(path.indexOf(next)).find((index) => steps[index]?.needs !== undefined) ?? next;
  report(holder, 'needs', message);
}

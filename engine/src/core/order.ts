// Which step waits for which. Without `needs` a step waits for the one above it.
import type { Step } from '@kadre/crds';
import type { Report } from './expression/template.ts';

/** By the position of the step in the workflow. */
export interface Order {
  needs: number[][];
  dependents: number[][];
  /** All steps that are over when this one starts. */
  ancestors: ReadonlySet<number>[];
}

export function order(steps: readonly Step[], report: Report): Order {
  const positions = new Map<string, number>();
  steps.forEach(({ name }, index) => {
    if (positions.has(name))
      report(`steps[${index}].name`, `there is another step ${name}: names are unique in a workflow`);
    else positions.set(name, index);
  });
  const needs = steps.map((step, index) => positionsOf(step, index, positions, report));
  const dependents: number[][] = steps.map(() => []);
  needs.forEach((ones, index) => ones.forEach((need) => dependents[need]?.push(index)));
  return { needs, dependents, ancestors: ancestors(steps, needs, dependents, report) };
}

function positionsOf(step: Step, index: number, positions: ReadonlyMap<string, number>, report: Report): number[] {
  if (step.needs === undefined) return index === 0 ? [] : [index - 1];
  const found = step.needs.flatMap((name, i) => {
    const position = positions.get(name);
    if (position !== undefined) return [position];
    report(
      `steps[${index}].needs[${i}]`,
      `there is no step ${name}; there are: ${[...positions.keys()].slice(0, 12).join(', ')}`,
    );
    return [];
  });
  return [...new Set(found)];
}

/** Walks the steps in an order in which each comes after those that it needs; what is left over is a cycle. */
function ancestors(
  steps: readonly Step[],
  needs: number[][],
  dependents: number[][],
  report: Report,
): ReadonlySet<number>[] {
  const result = steps.map(() => new Set<number>());
  const waiting = needs.map((ones) => ones.length);
  const ready = [...waiting.keys()].filter((index) => waiting[index] === 0);
  for (const index of ready) {
    for (const dependent of dependents[index] ?? []) {
      result[dependent]?.add(index);
      result[index]?.forEach((ancestor) => result[dependent]?.add(ancestor));
      waiting[dependent] = (waiting[dependent] ?? 0) - 1;
      if (waiting[dependent] === 0) ready.push(dependent);
    }
  }
  if (ready.length < steps.length) reportCycle(steps, needs, waiting, report);
  return result;
}

function reportCycle(steps: readonly Step[], needs: number[][], waiting: number[], report: Report): void {
  const stuck = (index: number): boolean => (waiting[index] ?? 0) > 0;
  const path: number[] = [];
  // Each stuck step needs another stuck one; following them must come back to a step seen before.
  let next = waiting.findIndex((count) => count > 0);
  while (!path.includes(next)) {
    path.push(next);
    next = needs[next]?.find(stuck) ?? next;
  }
  const cycle = [...path.slice(path.indexOf(next)), next];
  const names = cycle.map((index) => steps[index]?.name).join(' → ');
  report(`steps[${next}].needs`, `steps wait for each other in a circle (${names}): take one out of needs`);
}

// Steps that can never run, because one before them fails for certain.
import type { List, Site } from './outline.ts';

export function reportUnreachable(list: List): void {
  // In a race the others go on.
  if (list.kind === 'race') return;
  for (const site of list.sites.filter(failsAlways)) {
    const { name } = site.step;
    for (const index of list.order.dependents[site.index] ?? []) {
      const after = list.sites[index];
      after?.problems.report(
        after.path,
        `can never run, because ${name} always fails before it: give ${name} a condition (when), or remove the step`,
      );
    }
  }
}

function failsAlways({ step, steps, race, fallback }: Site): boolean {
  if (step.when !== undefined || step.forEach || step.onError?.continue) return false;
  if (fallback && !fallback.sites.some(failsAlways)) return false;
  if (race) return race.sites.every(failsAlways);
  return step.fail !== undefined || (steps?.sites.some(failsAlways) ?? false);
}

import type { Step, WorkflowSpec } from '@kadre/crds';

/** A copy of the spec in which each step is what `change` makes of it, from the inside out. */
export function mapSteps(spec: WorkflowSpec, change: (step: Step) => Step): WorkflowSpec {
  const all = (list: Step[]): Step[] => list.map(one);
  const one = (step: Step): Step => {
    const { steps, race, onError } = step;
    return change({
      ...step,
      ...(steps && { steps: all(steps) }),
      ...(race && { race: all(race) }),
      ...(onError?.fallback && { onError: { ...onError, fallback: all(onError.fallback) } }),
    });
  };
  return { ...spec, steps: all(spec.steps), ...(spec.finally && { finally: all(spec.finally) }) };
}

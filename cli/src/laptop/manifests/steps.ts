// The steps of a workflow, with those inside groups, races and fallbacks.
import type { Step, WorkflowSpec } from '@kadre/crds';

export interface FoundStep {
  step: Step;
  /** Such as steps[2].steps[0], from the spec. */
  path: string;
}

/** Of a spec that nobody has checked yet as well: what is no step is passed over. */
export function* stepsOf(spec: unknown): Generator<FoundStep, void, undefined> {
  const { steps, finally: last } = fields(spec);
  yield* inList(steps, 'steps');
  yield* inList(last, 'finally');
}

function* inList(list: unknown, path: string): Generator<FoundStep, void, undefined> {
  if (!Array.isArray(list)) return;
  for (const [index, one] of (list as unknown[]).entries()) {
    if (typeof one !== 'object' || one === null) continue;
    const at = `${path}[${index}]`;
    const step = one as Step;
    yield { step, path: at };
    yield* inList(step.steps, `${at}.steps`);
    yield* inList(step.race, `${at}.race`);
    yield* inList(fields(step.onError)['fallback'], `${at}.onError.fallback`);
  }
}

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

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

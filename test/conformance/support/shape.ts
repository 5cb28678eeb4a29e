// What the manifests say of a step id: who must be over before it begins, and how many elements may be at work at once.
import type { Step, WorkflowSpec } from '@kadre/crds';

/** A list of steps: those of a workflow, of a group, of a race, of a fallback, of finally. */
export interface StepList {
  kind: 'steps' | 'race';
  steps: readonly Step[];
}

export type Workflows = ReadonlyMap<string, WorkflowSpec>;

/** The list in which the step of that id stands, and its position. */
export function placeIn(
  workflow: WorkflowSpec,
  workflows: Workflows,
  id: string,
): { list: StepList; step: Step } | undefined {
  const path = id.split('.').map(nameOf);
  let lists = listsOf(workflow);
  for (const [depth, name] of path.entries()) {
    const found = lists.flatMap((list) =>
      list.steps.filter((step) => step.name === name).map((step) => ({ list, step })),
    )[0];
    if (!found) return undefined;
    if (depth === path.length - 1) return found;
    if (path[depth + 1] === 'fallback') path.splice(depth + 1, 1);
    lists = inside(found.step, workflows);
  }
  return undefined;
}

/** Names of the steps of the list that must be over before this one begins. */
export function needsOf({ kind, steps }: StepList, step: Step): string[] {
  if (step.needs) return step.needs;
  const above = steps[steps.indexOf(step) - 1];
  return kind === 'race' || !above ? [] : [above.name];
}

/** The name in a segment of an id such as research[2]#3~2. */
export function nameOf(segment: string): string {
  return segment.replace(/[[#~].*$/, '');
}

function listsOf({ steps, finally: last = [] }: WorkflowSpec): StepList[] {
  return [steps, last].map((list) => ({ kind: 'steps', steps: list }));
}

function inside(step: Step, workflows: Workflows): StepList[] {
  const called = step.workflow && workflows.get(step.workflow.name);
  return [
    ...(step.steps ? [{ kind: 'steps' as const, steps: step.steps }] : []),
    ...(step.race ? [{ kind: 'race' as const, steps: step.race }] : []),
    ...(step.onError?.fallback ? [{ kind: 'steps' as const, steps: step.onError.fallback }] : []),
    ...(called ? listsOf(called) : []),
  ];
}

// Finds the step of a workflow that an id speaks of.
import type { Block, Plan, PlannedStep } from './plan.ts';

export interface Found {
  step: PlannedStep;
  /** The list that it stands in. */
  block: Block;
  /** The workflow whose list that is. */
  plan: Plan;
}

/** Undefined if the workflow has no step that could be called so. `plans`: the workflows that steps call. */
export function findStep(plan: Plan, plans: ReadonlyMap<string, Plan>, id: string): Found | undefined {
  let around: { plan: Plan; blocks: Block[] } = { plan, blocks: blocksOf(plan) };
  let found: Found | undefined;
  for (const name of namesIn(id)) {
    const block = around.blocks.find(({ positions }) => positions.has(name));
    const step = block?.steps[block.positions.get(name) ?? -1];
    if (!block || !step) return undefined;
    found = { step, block, plan: around.plan };
    around = inside(found, plans);
  }
  return found;
}

/** The names of the steps on the way; the segment `fallback` is none. */
function namesIn(id: string): string[] {
  const names = id.split('.').map((segment) => segment.replace(/(\[\d+\])?(#\d+)?(~\d+)?$/, ''));
  return names.filter((name) => name !== 'fallback');
}

function inside({ step, plan }: Found, plans: ReadonlyMap<string, Plan>): { plan: Plan; blocks: Block[] } {
  const { action, onError } = step;
  const fallback = typeof onError === 'object' ? [onError.fallback] : [];
  if (action.kind === 'steps' || action.kind === 'race') return { plan, blocks: [action.block, ...fallback] };
  const called = action.kind === 'workflow' ? plans.get(action.name) : undefined;
  return called ? { plan: called, blocks: [...blocksOf(called), ...fallback] } : { plan, blocks: fallback };
}

function blocksOf({ steps, finally: atEnd }: Plan): Block[] {
  return atEnd ? [steps, atEnd] : [steps];
}

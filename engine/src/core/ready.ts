// Steps that can go on. They queue in lanes, so that those which wait for the same busy agent are not all asked about
// each time something else can go on.
import type { PlannedStep } from './plan.ts';

/** Steps in this lane need nobody's permission. */
const FREE = '';

export class Ready<Step extends { plan: PlannedStep }> {
  readonly #lanes = new Map<string, Set<Step>>();

  add(step: Step): void {
    const lane = laneOf(step.plan);
    const steps = this.#lanes.get(lane);
    if (steps) steps.add(step);
    else this.#lanes.set(lane, new Set([step]));
  }

  delete(step: Step): void {
    const lane = laneOf(step.plan);
    const steps = this.#lanes.get(lane);
    if (steps?.delete(step) && steps.size === 0) this.#lanes.delete(lane);
  }

  get lanes(): Iterable<ReadonlySet<Step>> {
    return this.#lanes.values();
  }

  get empty(): boolean {
    return this.#lanes.size === 0;
  }
}

function laneOf({ action }: PlannedStep): string {
  if (action.kind === 'container') return 'jobs';
  if (action.kind === 'tool' || action.kind === 'code') return 'gateway';
  if (action.kind !== 'agent') return FREE;
  return action.agent.gpu || action.agent.isolation ? 'jobs' : `agent ${action.agent.name}`;
}

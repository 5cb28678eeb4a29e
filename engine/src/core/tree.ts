// How the tree of a run changes when something in it ends. Called by `evolve` alone.
import type { Failure, StepPhase } from '@kadre/crds';
import type { Json } from './expression/values.ts';
import { statusOf } from './project.ts';
import { insideScope, type Ending, type RunState, type Scope, type StepState, type Unit } from './state.ts';

/** How many parts that are over are kept for the status. */
const LATEST = 12;

export function endStep(
  state: RunState,
  step: StepState,
  phase: 'Succeeded' | 'Failed' | 'Skipped',
  at: number,
  { output = null, tolerated = false }: { output?: Json; tolerated?: boolean } = {},
): void {
  const { scope } = step;
  Object.assign(step, { phase, finishedAt: at, output });
  retire(state, step);
  remember(state, step);
  finish(state, step, step.progress.all - step.progress.over);
  scope.left--;
  const failed = phase === 'Failed' && !tolerated;
  if (scope.kind === 'race' && !scope.ending) {
    if (phase === 'Succeeded') stopScope(state, scope, { kind: 'won', output, winner: step.plan.name });
    else if (failed && step.failure) scope.lost = step.failure;
  } else if (failed && step.failure) stopScope(state, scope, { kind: 'failed', failure: step.failure });
  for (const position of step.plan.dependents) release(state, scope.steps[position]);
  lookWhetherOver(state, scope);
}

/** A step that this one waited for is over. */
function release(state: RunState, step: StepState | undefined): void {
  if (step && --step.waitingFor === 0 && !step.scope.ending) state.ready.add(step);
}

function retire(state: RunState, step: StepState): void {
  state.ready.delete(step);
  state.live.delete(step);
  step.units.clear();
  step.due.clear();
}

/** Only if the step stands where `project` doesn't find it by itself. */
function remember(state: RunState, step: StepState): void {
  if (step.scope !== state.frame.main) note(state, statusOf(step));
}

export function note(state: RunState, status: ReturnType<typeof statusOf>): void {
  state.latest.push(status);
  if (state.latest.length > LATEST) state.latest.shift();
}

/** The scope is over once its steps are, or once nothing of it is at work in one that ends early. */
function lookWhetherOver(state: RunState, scope: Scope): void {
  if (scope.ending ? scope.live === 0 : scope.left === 0) state.ended.add(scope);
}

/** Nothing starts in the scope any more, and what is at work is told to stop. */
export function stopScope(state: RunState, scope: Scope, ending: Ending): void {
  if (scope.ending) return;
  scope.ending = ending;
  const failure: Failure =
    ending.kind === 'won' ? { reason: 'Cancelled', message: 'another step of the race won' } : ending.failure;
  for (const step of scope.steps) {
    state.ready.delete(step);
    for (const unit of step.units.values()) stopUnit(state, unit, failure);
  }
  lookWhetherOver(state, scope);
}

/** What is in somebody's hands goes on until they have let go; what only waits is gone at once. */
export function stopUnit(state: RunState, unit: Unit, failure: Failure): void {
  const attempt = state.active.get(unit.id);
  const inside = insideScope(unit);
  if (attempt?.unit === unit) {
    if (attempt.doomed) return;
    attempt.doomed = true;
    state.stops.push(attempt);
  } else if (inside?.kind === 'finally') {
    return; // It cleans up, and ends by itself.
  } else if (inside) stopScope(state, inside, { kind: 'stopped', failure });
  else dropUnit(state, unit, 'Cancelled');
}

/** The unit is neither at work nor going to be. */
export function dropUnit(state: RunState, unit: Unit, phase: StepPhase): void {
  const { step } = unit;
  if (!step.units.delete(unit.index)) return;
  step.due.delete(unit);
  closeInside(state, unit);
  step.scope.live--;
  if (step.units.size === 0) {
    state.live.delete(step);
    if (step.finishedAt === undefined && !step.fan && phase === 'Cancelled') step.phase = 'Cancelled';
  }
  lookWhetherOver(state, step.scope);
}

/** What was inside a unit is history; its ids may come again in another round. */
export function closeInside(state: RunState, unit: Unit): void {
  for (const scope of [unit.inside, unit.fallback, unit.frame?.main, unit.frame?.finally]) {
    if (scope) closeScope(state, scope);
  }
  delete unit.inside;
  delete unit.fallback;
  delete unit.frame;
}

export function closeScope(state: RunState, scope: Scope): void {
  state.ended.delete(scope);
  for (const step of scope.steps) {
    state.ready.delete(step);
    state.live.delete(step);
    state.steps.delete(step.id);
    if (step.finishedAt === undefined) step.phase = 'Cancelled';
  }
}

/** There is more to do than was known. */
export function grow(state: RunState, step: StepState | undefined, weight: number): void {
  state.progress.all += weight;
  for (let one = step; one; one = one.scope.unit?.step) one.progress.all += weight;
}

/** So much of a step is over. */
export function finish(state: RunState, step: StepState | undefined, weight: number): void {
  state.progress.over += weight;
  for (let one = step; one; one = one.scope.unit?.step) one.progress.over += weight;
}

/** Something was done in this run: what rests on it can't be taken over from another. */
export function markFresh(unit: Unit): void {
  for (let one: Unit | undefined = unit; one && !one.fresh; one = one.step.scope.unit) {
    one.fresh = true;
    one.step.fresh = true;
  }
}

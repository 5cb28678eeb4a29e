// What expressions see from where they stand: the names of elements and rounds around them, and the steps that are over.
import type { Failure } from '@kadre/crds';
import { ExpressionError } from './expression/errors.ts';
import type { StepField, Values } from './expression/node.ts';
import { TemplateError } from './expression/template.ts';
import { kindOf, nounOf, type Json } from './expression/values.ts';
import type { RunState, Scope, StepState, Unit } from './state.ts';

/** Where an expression stands: in a scope, and in a unit if it is part of its work. */
export interface Place {
  scope: Scope;
  unit?: Unit;
  /** Names that only this expression knows, such as output in repeat.until. */
  extra?: Record<string, Json>;
}

/** The values of a step's own expressions: `when`, `forEach.items`. */
export function aroundStep({ scope }: StepState): Place {
  return { scope, ...(scope.unit && { unit: scope.unit }) };
}

/** The values of what a unit does. */
export function withinUnit(unit: Unit): Place {
  return { scope: unit.step.scope, unit };
}

/** The values of what is said of a unit's work as a whole, such as a group's output: the steps inside are seen, too. */
export function afterWork(unit: Unit): Place {
  return { scope: unit.inside ?? unit.step.scope, unit };
}

export function valuesAt(state: RunState, place: Place): Values {
  return {
    variable: (name) => place.extra?.[name] ?? variable(state, place, name),
    step: (name, field) => {
      const step = stepNamed(place.scope, name);
      return fieldOf(step, field, field === 'failure' ? failureAround(step, place.unit) : undefined);
    },
  };
}

function variable(state: RunState, { scope, unit }: Place, name: string): Json {
  const { frame } = scope;
  if (name === 'input') return frame.input;
  if (name === 'run') return runValue(state, scope);
  for (let around = unit; around && around.step.scope.frame === frame; around = around.step.scope.unit) {
    const { forEach, repeat } = around.step.plan;
    if (name === forEach?.as) return around.step.fan?.items[around.index] ?? null;
    if (name === 'index' && forEach) return around.index;
    if (name === 'round' && repeat) return around.round;
    if (name === 'previous' && repeat) return around.previous;
  }
  return null;
}

function runValue({ run }: RunState, { frame }: Scope): Json {
  const { uid, name, namespace } = run;
  const { ending } = frame.main;
  const failure = ending && ending.kind !== 'won' ? { ...ending.failure } : null;
  const end = ending?.kind === 'stopped' ? 'Cancelled' : failure ? 'Failed' : 'Succeeded';
  return { uid, name, namespace, phase: frame.finally ? end : 'Running', failure };
}

/** Looks in the scope, then in those around it, up to the workflow. */
function stepNamed(from: Scope, name: string): StepState {
  for (let scope: Scope | undefined = from; scope?.frame === from.frame; scope = around(scope)) {
    const position = scope.block.positions.get(name);
    const step = position === undefined ? undefined : scope.steps[position];
    if (step) return step;
  }
  throw new Error(`there is no step ${name}`);
}

function around({ kind, frame, unit }: Scope): Scope | undefined {
  return kind === 'finally' ? frame.main : unit?.step.scope;
}

/** In a fallback: why the step failed that it is to mend. */
function failureAround(step: StepState, unit: Unit | undefined): Failure | undefined {
  for (let around = unit; around; around = around.step.scope.unit) if (around.step === step) return around.failure;
  return step.failure;
}

function fieldOf({ output, phase, winner }: StepState, field: StepField, failure?: Failure): Json {
  if (field === 'output') return output;
  if (field === 'phase') return phase;
  if (field === 'winner') return winner ?? null;
  return failure ? { reason: failure.reason, message: failure.message } : null;
}

/** The most elements that a forEach takes. */
const MAX_ITEMS = 100_000;

/** The list of a forEach. Throws TemplateError. */
export function itemsOf(state: RunState, step: StepState): Json[] {
  const { forEach, path } = step.plan;
  if (!forEach) throw new Error(`step ${step.id} has no forEach`);
  const items = forEach.items.evaluate(valuesAt(state, aroundStep(step)));
  const complain = (message: string): TemplateError =>
    new TemplateError(`${path}.forEach.items`, new ExpressionError(message));
  if (!Array.isArray(items)) throw complain(`takes a list, not ${nounOf(kindOf(items))}`);
  if (items.length > MAX_ITEMS) throw complain(`the list has ${items.length} elements; ${MAX_ITEMS} are allowed`);
  return items;
}

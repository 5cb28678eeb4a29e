// What is known of a run. It is built by `evolve` alone, which changes it in place: a run of 10,000 steps must not copy
// what it knows at each of them. Whoever needs the state of an earlier moment replays the log up to there.
import type { Failure, RunPhase, StepPhase, StepStatus } from '@kadre/crds';
import type { UsageTotal } from '@kadre/store';
import type { Route } from './events.ts';
import type { Values } from './expression/node.ts';
import { ExpressionError } from './expression/errors.ts';
import { kindOf, nounOf, type Json } from './expression/values.ts';
import { TemplateError } from './expression/template.ts';
import { TimeHeap } from './heap.ts';
import type { Plan, PlannedStep } from './plan.ts';

export interface RunIdentity {
  uid: string;
  namespace: string;
  name: string;
}

export interface RunState {
  readonly run: RunIdentity;
  readonly plan: Plan;
  readonly input: Json;
  /** Why the run cannot even start. */
  readonly rejection?: Failure;
  phase: RunPhase;
  startedAt?: number;
  finishedAt?: number;
  steps: StepState[];
  /** Steps that wait for no other and are not over. */
  frontier: Set<number>;
  /** The steps that are over, in the order in which they ended. */
  over: number[];
  /** Elements of forEach that are over, the latest last; a few. */
  latestElements: StepStatus[];
  /** Attempts that were handed out, by step id. */
  active: Map<string, Attempt>;
  deadlines: TimeHeap<{ at: number; id: string; attempt: number }>;
  /** The run is ending: nothing starts any more, and what is at work is stopped. */
  ending?: { failure: Failure; cancelled: boolean };
  /** Steps and elements: how many there are as far as known, and how many are over. */
  progress: { all: number; over: number };
  usage: UsageTotal;
  /** Size of all outputs together as JSON. */
  outputBytes: number;
  output?: Json;
  failure?: Failure;
}

export interface StepState {
  phase: StepPhase;
  /** How many steps this one still waits for. */
  waitingFor: number;
  startedAt?: number;
  finishedAt?: number;
  failure?: Failure;
  output: Json;
  /** Of the latest attempt; 0 before the first. */
  attempt: number;
  job?: string;
  fan?: Fan;
  /** At work or waiting for the next attempt; by element, or SOLE. */
  units: Map<number, Unit>;
  retries: TimeHeap<{ at: number; unit: number }>;
}

/** The elements of a forEach. */
export interface Fan {
  items: Json[];
  /** The first element that has not been started yet. */
  next: number;
  outputs: Json[];
  /** How many have succeeded. */
  succeeded: number;
}

export interface Unit {
  phase: 'Running' | 'Waiting';
  attempt: number;
  startedAt: number;
  retryAt?: number;
  failure?: Failure;
  job?: string;
}

export interface Attempt {
  id: string;
  step: number;
  unit: number;
  attempt: number;
  route: Route;
  accepted?: { taskId: string; instance?: string };
  /** Set once the attempt is to be stopped for a reason of its own. */
  stopping?: Failure;
}

/** The unit of a step without forEach. */
export const SOLE = -1;

/** The most elements that a forEach takes. */
const MAX_ITEMS = 100_000;

export function initialState(run: RunIdentity, plan: Plan, input: Json, rejection?: Failure): RunState {
  const steps = plan.steps.map(initialStep);
  return {
    run,
    plan,
    input,
    ...(rejection && { rejection }),
    phase: 'Pending',
    steps,
    frontier: new Set(plan.steps.filter(({ needs }) => needs.length === 0).map(({ index }) => index)),
    over: [],
    latestElements: [],
    active: new Map(),
    deadlines: new TimeHeap(),
    progress: { all: steps.length, over: 0 },
    usage: { inputTokens: 0, outputTokens: 0, costNanoUsd: 0, unpricedCalls: 0 },
    outputBytes: 0,
  };
}

function initialStep({ needs }: PlannedStep): StepState {
  return {
    phase: 'Pending',
    waitingFor: needs.length,
    output: null,
    attempt: 0,
    units: new Map(),
    retries: new TimeHeap(),
  };
}

export function isOver(state: RunState): boolean {
  return state.finishedAt !== undefined;
}

export function unitId(step: PlannedStep, unit: number): string {
  return unit === SOLE ? step.name : `${step.name}[${unit}]`;
}

/** The position of the step, and the element. Ids are made by {@link unitId}. */
export function unitOf(plan: Plan, id: string): { step: number; unit: number } {
  const bracket = id.indexOf('[');
  const name = bracket === -1 ? id : id.slice(0, bracket);
  const step = plan.positions.get(name);
  if (step === undefined) throw new Error(`the log names a step ${id} that the workflow does not have`);
  return { step, unit: bracket === -1 ? SOLE : Number(id.slice(bracket + 1, -1)) };
}

/** The values that expressions of a step, or of one of its elements, see. */
export function valuesFor(state: RunState, step?: PlannedStep, unit = SOLE): Values {
  const { run, input, plan, steps } = state;
  return {
    variable: (name) => {
      if (name === step?.forEach?.as) return steps[step.index]?.fan?.items[unit] ?? null;
      if (name === 'index') return unit;
      return name === 'run' ? { uid: run.uid, name: run.name, namespace: run.namespace } : input;
    },
    output: (name) => steps[unitOf(plan, name).step]?.output ?? null,
  };
}

/** The list of a forEach. Throws TemplateError. */
export function itemsOf(state: RunState, step: PlannedStep): Json[] {
  if (!step.forEach) throw new Error(`step ${step.name} has no forEach`);
  const items = step.forEach.items.evaluate(valuesFor(state, step));
  const path = `steps[${step.index}].forEach.items`;
  if (!Array.isArray(items))
    throw new TemplateError(path, new ExpressionError(`takes a list, not ${nounOf(kindOf(items))}`));
  if (items.length <= MAX_ITEMS) return items;
  throw new TemplateError(path, new ExpressionError(`the list has ${items.length} elements; ${MAX_ITEMS} are allowed`));
}

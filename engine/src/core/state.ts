// What is known of a run. It is built by `evolve` alone, which changes it in place: a run of 10,000 steps must not copy
// what it knows at each of them. Whoever needs the state of an earlier moment replays the log up to there.
//
// A run is a tree. A frame is a workflow at work: the run's own, or one that a step calls. Its scopes are lists of steps:
// the main one, those inside groups and races, fallbacks, `finally`. A step has units at work: itself, or the elements of
// its forEach; and a unit has an attempt in somebody's hands, or again a scope or a frame inside.
import type { Delegation, Failure, RunPhase, StepPhase, StepStatus } from '@kadre/crds';
import type { UsageTotal } from '@kadre/store';
import type { Route, Source } from './events.ts';
import type { Json } from './expression/values.ts';
import { TimeHeap } from './heap.ts';
import { unitId } from './ids.ts';
import type { Block, Limits, Plan, PlannedStep } from './plan.ts';
import { Ready } from './ready.ts';

export interface RunIdentity {
  uid: string;
  namespace: string;
  name: string;
}

/** What a run is made from. */
export interface RunSetup {
  run: RunIdentity;
  plan: Plan;
  /** The workflows that its steps call, by name. */
  plans?: ReadonlyMap<string, Plan>;
  input: Json;
  limits?: Limits;
  requestedBy?: string;
  /** Why the run cannot even start. */
  rejection?: Failure;
  reuse?: Reuse;
}

/** What another run has recorded. */
export interface Reuse {
  /** UID of the other run. */
  run: string;
  /** Outputs by the id of the unit, as `firstAttempt` spells it. */
  outputs: ReadonlyMap<string, { output: Json; bytes: number }>;
  /** Whether the unit is to be done anew in any case. */
  anew: (id: string) => boolean;
  /** Another prompt for the unit. */
  prompt?: (id: string) => string | undefined;
}

export interface RunState extends RunSetup {
  readonly plans: ReadonlyMap<string, Plan>;
  readonly limits: Limits;
  phase: RunPhase;
  /** Where the run waits, or last waited, to begin. */
  queue?: string;
  /** When the first thing was recorded; a run may have to queue before it starts. */
  bornAt?: number;
  startedAt?: number;
  finishedAt?: number;
  suspended: boolean;
  /** A call was refused because of what the whole run may use. */
  exhausted?: Failure;
  /** Somebody wants the run to end. */
  cancelled?: Failure;
  frame: Frame;
  /** The steps of all scopes that are open, by id. */
  steps: Map<string, StepState>;
  /** Attempts that are in somebody's hands, by the id of their unit. */
  active: Map<string, Attempt>;
  /** Those of them that were told to stop since the driver last looked. */
  stops: Attempt[];
  /** Steps that can go on, unless they must wait for their turn. */
  ready: Ready<StepState>;
  /** Scopes in which nothing is left to do. */
  ended: Set<Scope>;
  /** Steps with units at work. */
  live: Set<StepState>;
  timers: TimeHeap<Timer>;
  /** What was over last; a few. */
  latest: StepStatus[];
  /** How many attempts have begun. */
  started: number;
  /** Published events that steps have taken, by id. */
  consumed: Set<string>;
  /** Steps as far as known, and how many of them are over. */
  progress: { all: number; over: number };
  usage: UsageTotal;
  /** Size of all outputs together as JSON. */
  outputBytes: number;
  output?: Json;
  failure?: Failure;
}

/** A workflow at work. */
export interface Frame {
  plan: Plan;
  input: Json;
  /** How many workflows are around it. */
  depth: number;
  /** That called the workflow. */
  unit?: Unit;
  main: Scope;
  finally?: Scope;
}

/** A list of steps at work. */
export interface Scope {
  kind: 'main' | 'finally' | 'steps' | 'race' | 'fallback';
  /** What the ids of its steps begin with. */
  prefix: string;
  block: Block;
  frame: Frame;
  /** Whose inside it is. */
  unit?: Unit;
  steps: StepState[];
  /** How many steps are not over. */
  left: number;
  /** How many units are at work or wait for their next attempt. */
  live: number;
  /** Nothing starts any more, and what is at work is stopped. */
  ending?: Ending;
  /** Of a race: why the last step to fail did. */
  lost?: Failure;
}

export type Ending =
  /** A step has failed, or a limit is reached. */
  | { kind: 'failed'; failure: Failure }
  /** What is around the scope ends. */
  | { kind: 'stopped'; failure: Failure }
  | { kind: 'won'; output: Json; winner: string };

export interface StepState {
  id: string;
  scope: Scope;
  plan: PlannedStep;
  phase: StepPhase;
  /** How many steps this one still waits for. */
  waitingFor: number;
  startedAt?: number;
  finishedAt?: number;
  failure?: Failure;
  source?: Source;
  /** Of a race: the name of the step that won. */
  winner?: string;
  output: Json;
  /** Of the latest attempt; 0 before the first. */
  attempt: number;
  job?: string;
  fan?: Fan;
  /** At work, waiting for the next attempt, or due for the next round; by element, or SOLE. */
  units: Map<number, Unit>;
  /** Units whose next round may begin. */
  due: Set<Unit>;
  /** Something of it was done in this run, not taken over from another. */
  fresh: boolean;
  /** Its part of the run's progress. */
  progress: { all: number; over: number };
}

/** The elements of a forEach. */
export interface Fan {
  items: Json[];
  /** The first element that has not been started yet. */
  next: number;
  outputs: Json[];
  /** Elements that are over, be it well or tolerated. */
  over: number;
  succeeded: Set<number>;
  /** The rest is not waited for. */
  enough: boolean;
}

export interface Unit {
  /** See `unitId`. */
  id: string;
  step: StepState;
  index: number;
  phase: 'Running' | 'Waiting';
  /** From 1; 0 if the step has none. */
  round: number;
  attempt: number;
  startedAt: number;
  attemptStartedAt?: number;
  retryAt?: number;
  failure?: Failure;
  job?: string;
  /** Output of the round before. */
  previous: Json;
  fresh: boolean;
  /** Of a group or race at work. */
  inside?: Scope;
  /** Of a called workflow at work. */
  frame?: Frame;
  fallback?: Scope;
  /** Why the attempt at a group or workflow is to be stopped. */
  stopping?: Failure;
}

/** An attempt in the hands of an agent, a Job, a clock, or people. */
export interface Attempt {
  id: string;
  unit: Unit;
  attempt: number;
  route: Route;
  accepted?: { taskId: string; instance?: string };
  /** Parts that other agents do, by their id. */
  delegations: Map<string, Delegation>;
  /** What people are asked on its behalf, by the key in the store. */
  asks: Map<string, { approval: string; expiresAt?: number }>;
  /** What the agent itself has asked, by its own id: the number of the question. */
  questions: Map<string, number>;
  /** The attempt is to be stopped for a reason of its own. */
  stopping?: Failure;
  /** The attempt is to be stopped because what is around it ends. */
  doomed?: true;
}

export interface Timer {
  at: number;
  /** deadline: of an attempt. alarm: the end of a wait, or of the time for an approval. run: the run's limit. */
  kind: 'deadline' | 'retry' | 'alarm' | 'run';
  id: string;
  attempt: number;
}

export function initialState(setup: RunSetup): RunState {
  const { plan, plans = new Map(), limits = {} } = setup;
  const weight = plan.steps.weight + (plan.finally?.weight ?? 0);
  const state: RunState = {
    ...setup,
    plans,
    limits: tighter(plan.limits, limits),
    phase: 'Pending',
    suspended: false,
    frame: undefined as unknown as Frame,
    steps: new Map(),
    active: new Map(),
    stops: [],
    ready: new Ready(),
    ended: new Set(),
    live: new Set(),
    timers: new TimeHeap(),
    latest: [],
    started: 0,
    consumed: new Set(),
    progress: { all: weight, over: 0 },
    usage: { inputTokens: 0, outputTokens: 0, costNanoUsd: 0, unpricedCalls: 0 },
    outputBytes: 0,
  };
  state.frame = openFrame(state, plan, setup.input, '');
  return state;
}

function tighter(one: Limits, other: Limits): Limits {
  const least = (field: keyof Limits): number => Math.min(one[field] ?? Infinity, other[field] ?? Infinity);
  return {
    duration: least('duration'),
    costNanoUsd: least('costNanoUsd'),
    tokens: least('tokens'),
    steps: least('steps'),
  };
}

/** A workflow begins; `prefix` is that of its ids. */
export function openFrame(state: RunState, plan: Plan, input: Json, prefix: string, unit?: Unit): Frame {
  const depth = unit ? unit.step.scope.frame.depth + 1 : 0;
  const frame = { plan, input, depth, ...(unit && { unit }) } as Frame;
  frame.main = openScope(state, { kind: 'main', prefix, block: plan.steps, frame, ...(unit && { unit }) });
  return frame;
}

export function openScope(state: RunState, head: Pick<Scope, 'kind' | 'prefix' | 'block' | 'frame' | 'unit'>): Scope {
  const { steps } = head.block;
  const scope: Scope = { ...head, steps: [], left: steps.length, live: 0 };
  scope.steps = steps.map((plan) => pendingStep(scope, plan));
  for (const step of scope.steps) {
    state.steps.set(step.id, step);
    if (step.waitingFor === 0) state.ready.add(step);
  }
  if (scope.left === 0) state.ended.add(scope);
  return scope;
}

function pendingStep(scope: Scope, plan: PlannedStep): StepState {
  return {
    id: `${scope.prefix}${plan.name}`,
    scope,
    plan,
    phase: 'Pending',
    waitingFor: plan.needs.length,
    output: null,
    attempt: 0,
    units: new Map(),
    due: new Set(),
    fresh: false,
    progress: { all: plan.weight, over: 0 },
  };
}

export function newUnit(step: StepState, index: number, at: number): Unit {
  const round = step.plan.repeat ? 1 : 0;
  return {
    id: unitId(step.id, index, round),
    step,
    index,
    phase: 'Running',
    round,
    attempt: 0,
    startedAt: at,
    previous: null,
    fresh: false,
  };
}

export function isOver(state: RunState): boolean {
  return state.finishedAt !== undefined;
}

/** The scope inside a unit in which steps are at work. */
export function insideScope({ fallback, inside, frame }: Unit): Scope | undefined {
  return fallback ?? inside ?? frame?.finally ?? frame?.main;
}

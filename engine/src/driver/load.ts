// A run as its submission and its log describe it.
import { runLimits, type Failure } from '@kadre/crds';
import type { Fork, RunSubmission, Store } from '@kadre/store';
import { compileLimits, compileWorkflow } from '../core/compile/compile-workflow.ts';
import type { EngineEvent } from '../core/events.ts';
import { evolve } from '../core/evolve.ts';
import type { Json } from '../core/expression/values.ts';
import { reuseOf } from '../core/fork.ts';
import { findStep } from '../core/lookup.ts';
import { emptyPlan, type Limits, type Plan } from '../core/plan.ts';
import { initialState, type Reuse, type RunSetup, type RunState } from '../core/state.ts';
import { inputProblem } from './input.ts';

export interface Loaded {
  state: RunState;
  seq: number;
  submission: RunSubmission;
}

/** What of a store is needed to read a log. */
export type LogSource = Pick<Store, 'submission' | 'events'>;

export async function load(store: LogSource, uid: string): Promise<Loaded | undefined> {
  const submission = await store.submission(uid);
  if (!submission) return undefined;
  const events = await store.events(uid);
  const reuse = submission.fork && (await loadReuse(store, submission.fork));
  const state = initialState(setupOf(submission, reuse));
  for (const event of events) evolve(state, event as unknown as EngineEvent);
  return { state, seq: events.length, submission };
}

/** Undefined if the other run is not known any more. */
async function loadReuse(store: LogSource, { run, ...wish }: Fork): Promise<Reuse | undefined> {
  if (!(await store.submission(run))) return undefined;
  const events = await store.events(run);
  return reuseOf(run, events as unknown as EngineEvent[], wish);
}

/** Everything a run is made from; what is wrong with it becomes its rejection. */
function setupOf(submission: RunSubmission, reuse?: Reuse): RunSetup {
  const { uid, namespace, name, requestedBy } = submission;
  const input = (submission.input ?? null) as Json;
  const head = { run: { uid, namespace, name }, input, ...(requestedBy !== undefined && { requestedBy }) };
  const compiled = compileAll(submission);
  if ('failure' in compiled) return { ...head, plan: emptyPlan, rejection: compiled.failure };
  const { plan, plans } = compiled;
  const rejection = inputFailure(plan, input) ?? forkFailure(submission.fork, compiled, reuse);
  return {
    ...head,
    plan,
    plans,
    limits: ownLimits(submission.limits),
    ...(rejection && { rejection }),
    ...(reuse && { reuse }),
  };
}

interface Plans {
  plan: Plan;
  plans: ReadonlyMap<string, Plan>;
}

function compileAll({ workflow, workflows = {}, subject }: RunSubmission): Plans | { failure: Failure } {
  const own = compileWorkflow(workflow, subject);
  if ('problems' in own) return { failure: invalid(own.problems) };
  const plans = new Map<string, Plan>();
  for (const [name, spec] of Object.entries(workflows)) {
    const called = compileWorkflow(spec, name);
    if ('problems' in called)
      return {
        failure: invalid(called.problems.map(({ path, message }) => ({ path: `workflow ${name}: ${path}`, message }))),
      };
    plans.set(name, called.plan);
  }
  return { plan: own.plan, plans };
}

function invalid(problems: readonly { path: string; message: string }[]): Failure {
  const message = problems.map(({ path, message: text }) => `${path}: ${text}`).join('; ');
  return { reason: 'InvalidExpression', message: message.slice(0, 4096) };
}

function ownLimits(limits: unknown): Limits {
  const parsed = runLimits.safeParse(limits ?? {});
  return parsed.success ? compileLimits(parsed.data, 'limits', () => undefined) : {};
}

function inputFailure(plan: Plan, input: Json): Failure | undefined {
  const message = calledInputProblem(plan, input);
  return message === undefined ? undefined : { reason: 'InvalidInput', message };
}

/** What is wrong with the input of a workflow, be it a run's or a called one. */
export function calledInputProblem({ inputSchema }: Plan, input: Json): string | undefined {
  if (!inputSchema) return undefined;
  try {
    return inputProblem(inputSchema, input);
  } catch (error) {
    return `the workflow's input.schema is not a JSON Schema: ${String(error)}`;
  }
}

function forkFailure(fork: Fork | undefined, { plan, plans }: Plans, reuse?: Reuse): Failure | undefined {
  if (!fork) return undefined;
  if (!reuse) return { reason: 'RunNotFound', message: `nothing is known of the run ${fork.run} any more` };
  if (fork.from === undefined || findStep(plan, plans, fork.from)) return undefined;
  return { reason: 'InvalidInput', message: `fork.from: the workflow has no step ${fork.from}` };
}

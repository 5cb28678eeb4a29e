// What the log of a run says, as a tree of steps: built from one event after the other.
import type { Failure, StepPhase } from '@kadre/crds';
import type { StoredEvent } from '@kadre/store';

export interface StepView {
  /** As the log calls it, such as draft#2.write. */
  id: string;
  /** The last part of the id: a name, [2] for an element, #2 for a round. */
  label: string;
  phase: StepPhase;
  attempt: number;
  startedAt?: number;
  finishedAt?: number;
  /** USD × 10⁻⁹, with what is inside. */
  cost: number;
  failure?: Failure;
  /** Its failure is no failure of what is around it. */
  tolerated?: boolean;
  /** What it waits for. */
  waitsFor?: Wait;
  /** What its agent asks people, by the key in the store. */
  asks?: Set<string>;
  /** Where its output comes from, if it was not made here. */
  source?: string;
  /** Of a forEach. */
  elements?: { all: number; over: number };
  children: StepView[];
}

export type Wait =
  { kind: 'approval'; until?: number } | { kind: 'event'; name: string } | { kind: 'time' | 'retry'; until: number };

export interface RunView {
  phase: 'Pending' | 'Queued' | 'Running' | 'Paused' | 'Cancelling' | 'Succeeded' | 'Failed' | 'Cancelled';
  startedAt?: number;
  finishedAt?: number;
  failure?: Failure;
  output?: unknown;
  /** Those of the run itself, in order. */
  steps: StepView[];
  /** All of them, by id. */
  all: Map<string, StepView>;
  cost: number;
  tokens: number;
}

/** @param planned names of the run's own steps, which are shown before they start */
export function newView(planned: readonly string[]): RunView {
  const view: RunView = { phase: 'Pending', steps: [], all: new Map(), cost: 0, tokens: 0 };
  for (const name of planned) place(view, name);
  return view;
}

export function isOver(view: RunView): boolean {
  return view.finishedAt !== undefined;
}

interface Data {
  step?: string;
  attempt?: number;
  failure?: Failure;
  output?: unknown;
  count?: number;
  again?: boolean;
  enough?: boolean;
  then?: string;
  retryAt?: number;
  key?: string;
  expiresAt?: number;
  route?: { kind: string; until?: number; name?: string; expiresAt?: number };
  source?: { kind: string; run?: string; by?: string };
  usage?: { inputTokens: number; outputTokens: number; costNanoUsd: number };
}

/** Changes the view in place. */
export function look(view: RunView, { type, at, data }: StoredEvent): void {
  const fields = (data ?? {}) as Data;
  if (type.startsWith('Step') && fields.step !== undefined)
    lookAtStep(view, type, at, place(view, fields.step), fields);
  else lookAtRun(view, type, at, fields);
}

function lookAtRun(view: RunView, type: string, at: number, { failure, output }: Data): void {
  if (type === 'RunQueued') view.phase = 'Queued';
  if (type === 'RunStarted') Object.assign(view, { phase: 'Running', startedAt: at });
  if (type === 'RunSuspended') view.phase = 'Paused';
  if (type === 'RunResumed') view.phase = 'Running';
  if (type === 'CancelRequested') view.phase = 'Cancelling';
  if (type === 'RunSucceeded') end(view, at, { phase: 'Succeeded', output });
  if (type === 'RunFailed') end(view, at, { phase: 'Failed', ...(failure && { failure }) });
  if (type === 'RunCancelled') end(view, at, { phase: 'Cancelled', ...(failure && { failure }) });
}

function end(view: RunView, at: number, how: Partial<RunView>): void {
  Object.assign(view, { ...how, finishedAt: at });
  // From the inside out: what is inside was placed later.
  for (const step of [...view.all.values()].reverse()) {
    delete step.waitsFor;
    if (step.phase === 'Running' || step.phase === 'Waiting') settleGroup(step, at);
  }
}

/** A step with others inside that the log does not speak of by itself ends as they do. */
function settleGroup(step: StepView, at: number): void {
  const phases = step.children.map(({ phase }) => phase);
  const failed = step.children.some((child) => child.phase === 'Failed' && child.tolerated !== true);
  step.phase = failed ? 'Failed' : phases.includes('Cancelled') || phases.length === 0 ? 'Cancelled' : 'Succeeded';
  step.finishedAt = at;
}

function lookAtStep(view: RunView, type: string, at: number, step: StepView, fields: Data): void {
  const { attempt = 0, usage, count } = fields;
  if (attempt > 0) step.attempt = attempt;
  if (usage) addUsage(view, step, usage);
  if (type === 'StepStarted' || type === 'StepFannedOut') beginAround(view, step, at);
  if (type === 'StepFannedOut') Object.assign(step, { elements: { all: count ?? 0, over: 0 }, ...begun(step, at) });
  if (type === 'StepStarted') Object.assign(step, begun(step, at), waiting(fields.route));
  if (type === 'StepAsked') askPeople(step, fields);
  if (type === 'StepAnswered') haveAnswer(step, fields);
  if (type === 'StepSkipped') Object.assign(step, { phase: 'Skipped', finishedAt: at });
  if (type === 'StepSucceeded') finish(view, step, at, { phase: 'Succeeded', ...sourced(fields) }, fields);
  if (type === 'StepCancelled') finish(view, step, at, { phase: 'Cancelled' }, fields);
  if (type === 'StepFailed') fail(view, step, at, fields);
  if (type === 'StepFannedOut' && count === 0) Object.assign(step, { phase: 'Succeeded', finishedAt: at });
}

function askPeople(step: StepView, { key = '', expiresAt }: Data): void {
  step.asks = (step.asks ?? new Set()).add(key);
  const waitsFor = { kind: 'approval', ...(expiresAt !== undefined && { until: expiresAt }) } as const;
  Object.assign(step, { phase: 'Waiting', waitsFor });
}

function haveAnswer(step: StepView, { key = '' }: Data): void {
  step.asks?.delete(key);
  if (step.asks && step.asks.size > 0) return;
  delete step.waitsFor;
  step.phase = 'Running';
}

/** The log does not say of a loop that it began, only of its rounds. */
function beginAround(view: RunView, step: StepView, at: number): void {
  for (let around = parentOf(view, step.id); around; around = parentOf(view, around.id)) {
    if (around.phase === 'Pending') Object.assign(around, { phase: 'Running', startedAt: at });
  }
}

function begun(step: StepView, at: number): Partial<StepView> {
  delete step.failure;
  delete step.waitsFor;
  delete step.asks;
  delete step.finishedAt;
  return { phase: 'Running', startedAt: step.startedAt ?? at };
}

function waiting(route: Data['route']): Partial<StepView> {
  if (route?.kind === 'timer') return { phase: 'Waiting', waitsFor: { kind: 'time', until: route.until ?? 0 } };
  if (route?.kind === 'event') return { phase: 'Waiting', waitsFor: { kind: 'event', name: route.name ?? '' } };
  if (route?.kind !== 'approval') return {};
  const { expiresAt } = route;
  return { phase: 'Waiting', waitsFor: { kind: 'approval', ...(expiresAt !== undefined && { until: expiresAt }) } };
}

function sourced({ source }: Data): Partial<StepView> {
  if (source?.kind === 'cache') return { source: 'cached' };
  if (source?.kind === 'fork') return { source: 'taken over' };
  if (source?.kind === 'approval') return { source: source.by === undefined ? 'time was up' : `by ${source.by}` };
  return {};
}

function fail(view: RunView, step: StepView, at: number, fields: Data): void {
  const { failure, retryAt, then } = fields;
  if (retryAt !== undefined) {
    const retry = { phase: 'Waiting', waitsFor: { kind: 'retry', until: retryAt } } as const;
    Object.assign(step, retry, failure && { failure });
  } else if (then === 'fallback') Object.assign(step, { phase: 'Running', tolerated: true }, failure && { failure });
  else
    finish(view, step, at, { phase: 'Failed', ...(failure && { failure }), ...(then && { tolerated: true }) }, fields);
}

function finish(view: RunView, step: StepView, at: number, how: Partial<StepView>, { again, enough }: Data): void {
  delete step.waitsFor;
  Object.assign(step, how, { startedAt: step.startedAt ?? at, finishedAt: at });
  if (again) return;
  const failed = how.phase === 'Failed' && how.tolerated !== true;
  const ended = { phase: failed ? 'Failed' : endOf(how), finishedAt: at } as const;
  // The last round of an element: the element is over with it.
  const element = step.id.replace(/#\d+$/, '');
  if (element !== step.id) Object.assign(view.all.get(element) ?? {}, ended);
  const around = view.all.get(stepOf(step.id));
  if (!around || around === step) return;
  const { elements } = around;
  if (elements && indexed(step.id)) elements.over += 1;
  const all = elements ? elements.over >= elements.all || enough === true : true;
  if (failed || (all && around.phase !== 'Failed')) Object.assign(around, ended);
}

function endOf({ phase, tolerated }: Partial<StepView>): StepPhase {
  return phase === 'Failed' && tolerated ? 'Succeeded' : (phase ?? 'Succeeded');
}

function addUsage(view: RunView, step: StepView, usage: NonNullable<Data['usage']>): void {
  const { costNanoUsd, inputTokens, outputTokens } = usage;
  view.cost += costNanoUsd;
  view.tokens += inputTokens + outputTokens;
  for (let at: StepView | undefined = step; at; at = parentOf(view, at.id)) at.cost += costNanoUsd;
}

/** The step's place in the tree, made if need be together with all that is around it. */
function place(view: RunView, id: string): StepView {
  const known = view.all.get(id);
  if (known) return known;
  const step: StepView = { id, label: labelOf(id), phase: 'Pending', attempt: 0, cost: 0, children: [] };
  view.all.set(id, step);
  const around = aroundOf(id);
  const siblings = around === undefined ? view.steps : place(view, around).children;
  siblings.push(step);
  return step;
}

function parentOf(view: RunView, id: string): StepView | undefined {
  const around = aroundOf(id);
  return around === undefined ? undefined : view.all.get(around);
}

/** research[2]#3 is in research[2], that is in research, and draft~2.write is in draft. */
function aroundOf(id: string): string | undefined {
  if (id.endsWith(']')) return id.slice(0, id.lastIndexOf('['));
  const round = /#\d+$/.exec(id);
  if (round) return id.slice(0, round.index);
  const dot = id.lastIndexOf('.');
  if (dot < 0) return undefined;
  const outer = id.slice(0, dot).replace(/~\d+$/, '');
  return outer.endsWith('.fallback') ? outer.slice(0, -'.fallback'.length) : outer;
}

/** The step of a round or an element. */
function stepOf(id: string): string {
  return id.replace(/#\d+$/, '').replace(/\[\d+\]$/, '');
}

function indexed(id: string): boolean {
  return /\](#\d+)?$/.test(id);
}

function labelOf(id: string): string {
  return /(?:\[\d+\]|#\d+|[^.[\]#]+)$/.exec(id)?.[0] ?? id;
}

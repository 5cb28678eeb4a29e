// What the Run's status shows of a state: bounded, whatever the run's size.
import { usdText, type Delegation, type Failure, type RunPhase, type StepStatus } from '@kadre/crds';
import type { RunProjection } from '@kadre/store';
import { isAtWork } from './events.ts';
import type { Json } from './expression/values.ts';
import { elementId, SOLE } from './ids.ts';
import type { Attempt, RunState, StepState, Unit } from './state.ts';

/** How many lines the status has for steps, and how many of them for the run's own steps rather than for parts of them. */
const LINES = 32;
const STEP_LINES = 24;
/** How many waits are told. */
const WAITS = 16;
/** An output of at most so many characters of JSON is in the status; of a larger one there is the beginning. */
const INLINE_CHARACTERS = 8 * 1024;
const PREVIEW_CHARACTERS = 1024;
const MESSAGE_CHARACTERS = 1024;

export type ProjectedStatus = RunProjection['status'];

/** The status of the run. An output that is too large becomes `{truncated: true, characters, preview}`. */
export function project(state: RunState): ProjectedStatus {
  const { progress, usage, startedAt, finishedAt, output } = state;
  const waitingFor = finishedAt === undefined ? waits(state) : [];
  return {
    phase: phaseOf(state),
    progress: `${progress.over}/${progress.all}`,
    steps: lines(state),
    usage: {
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      costUsd: usdText(usage.costNanoUsd),
      ...(usage.unpricedCalls > 0 && { unpricedCalls: usage.unpricedCalls }),
    },
    ...(waitingFor.length > 0 && { waitingFor }),
    ...(output !== undefined && { output: summary(output) }),
    ...(startedAt !== undefined && { startedAt: time(startedAt) }),
    ...(finishedAt !== undefined && { finishedAt: time(finishedAt) }),
  };
}

function phaseOf({ phase, suspended, active, ready, ended, live }: RunState): RunPhase {
  if (phase !== 'Running' && phase !== 'Pending' && phase !== 'Queued') return phase;
  if (suspended) return 'Paused';
  if (phase !== 'Running' || !ready.empty || ended.size > 0 || live.size === 0) return phase;
  let looked = 0;
  // A run with more waits than that is busy enough to be called running.
  for (const { route, asks } of active.values()) {
    if ((isAtWork(route) && asks.size === 0) || ++looked > 100) return phase;
  }
  return 'Waiting';
}

function waits({ active, phase, queue }: RunState): NonNullable<ProjectedStatus['waitingFor']> {
  if (phase === 'Queued' && queue !== undefined) return [{ queue }];
  const found: NonNullable<ProjectedStatus['waitingFor']> = [];
  let looked = 0;
  for (const { id, route, asks } of active.values()) {
    if (found.length >= WAITS || ++looked > 1000) break;
    if (route.kind === 'timer') found.push({ step: id, until: time(route.until) });
    if (route.kind === 'event') found.push({ step: id, event: route.name });
    for (const { approval, expiresAt } of route.kind === 'approval' ? [route] : asks.values())
      found.push({ step: id, approval, ...(expiresAt !== undefined && { until: time(expiresAt) }) });
  }
  return found.slice(0, WAITS);
}

/** The run's own steps: all if they are few, else those at work, the latest to end and the next to come. Then parts. */
function lines(state: RunState): StepStatus[] {
  const own = ownSteps(state);
  const shown = new Map<StepState, StepStatus[]>(own.map((step) => [step, []]));
  let room = LINES - own.length;
  const put = (name: string, status: StepStatus): void => {
    const top = topOf(state, name);
    const parts = top && shown.get(top);
    if (!parts || room <= 0 || parts.some((part) => part.name === name)) return;
    parts.push(status);
    room--;
  };
  let looked = 0;
  for (const step of state.live) {
    if (room <= 0 || ++looked > 4 * LINES) break;
    for (const status of partsOf(state, step)) put(status.name, status);
  }
  for (const status of state.latest.toReversed()) put(status.name, status);
  return own.flatMap((step) => [statusOf(step), ...(shown.get(step) ?? []).sort(byPlace)]);
}

/** Of a part of an attempt that another agent does; such as `draft/check-1`. */
export function delegationStatus({ id }: Attempt, part: Delegation, at?: number): StepStatus {
  const { phase, agent, message } = part;
  return {
    name: `${id}/${part.id}`,
    phase,
    agent,
    ...(at !== undefined && { finishedAt: time(at) }),
    ...(phase === 'Failed' && { reason: 'AgentFailed', ...(message !== undefined && { message }) }),
  };
}

/** What of a step with units at work is not said by the line of one of the run's own steps. */
function partsOf({ frame, active }: RunState, step: StepState): StepStatus[] {
  const own = step.scope === frame.main || step.scope === frame.finally;
  const parts: StepStatus[] = step.fan || own ? [] : [statusOf(step)];
  for (const unit of step.units.values()) {
    if (parts.length >= LINES) break;
    if (step.fan) parts.push(unitStatus(elementId(step.id, unit.index), unit));
    const attempt = active.get(unit.id);
    for (const part of attempt?.delegations.values() ?? [])
      if (attempt && part.phase === 'Running') parts.push(delegationStatus(attempt, part));
  }
  return parts;
}

const numbers = new Intl.Collator('en', { numeric: true });

function byPlace(one: StepStatus, other: StepStatus): number {
  return numbers.compare(one.name, other.name);
}

/** The run's own step that an id is a part of. */
function topOf({ frame }: RunState, id: string): StepState | undefined {
  const name = /^[^.[#~/]*/.exec(id)?.[0] ?? '';
  for (const scope of [frame.main, frame.finally]) {
    const position = scope?.block.positions.get(name);
    if (scope && position !== undefined) return scope.steps[position];
  }
  return undefined;
}

function ownSteps({ frame, live }: RunState): StepState[] {
  const all = [...frame.main.steps, ...(frame.finally?.steps ?? [])];
  if (all.length <= STEP_LINES) return all;
  const chosen = new Set<StepState>();
  const choose = (steps: Iterable<StepState>, room: number): void => {
    for (const step of steps) if (chosen.size < room) chosen.add(step);
  };
  choose(
    all.filter((step) => live.has(step)),
    STEP_LINES,
  );
  const over = all.filter(({ finishedAt }) => finishedAt !== undefined).reverse();
  over.sort((one, other) => (other.finishedAt ?? 0) - (one.finishedAt ?? 0));
  choose(over, Math.max(chosen.size, STEP_LINES / 2));
  choose(
    all.filter(({ phase }) => phase === 'Pending' || phase === 'Cancelled'),
    STEP_LINES,
  );
  choose(over, STEP_LINES);
  return all.filter((step) => chosen.has(step));
}

export function statusOf(step: StepState): StepStatus {
  const { id, phase, attempt, startedAt, finishedAt, job, fan } = step;
  const only = fan ? undefined : step.units.get(SOLE);
  const failure = phase === 'Succeeded' ? undefined : (step.failure ?? only?.failure);
  return {
    name: id,
    phase: only?.phase ?? phase,
    ...(attempt > 0 && !fan && { attempt }),
    ...(startedAt !== undefined && { startedAt: time(startedAt) }),
    ...(finishedAt !== undefined && { finishedAt: time(finishedAt) }),
    ...whyDone(step),
    ...(failure && reason(failure)),
    ...(job !== undefined && { job }),
  };
}

function whyDone({ phase, source }: StepState): Pick<StepStatus, 'reason'> {
  if (phase === 'Skipped') return { reason: 'ConditionFalse' };
  if (phase !== 'Succeeded') return {};
  return source?.kind === 'cache' ? { reason: 'Cached' } : source?.kind === 'fork' ? { reason: 'TakenOver' } : {};
}

/** Of an element that is over. */
export function elementStatus(
  name: string,
  { attempt, startedAt, job }: Unit,
  { phase, at, failure }: { phase: 'Succeeded' | 'Failed' | 'Cancelled'; at: number; failure?: Failure | undefined },
): StepStatus {
  return {
    name,
    phase,
    ...(attempt > 0 && { attempt }),
    startedAt: time(startedAt),
    finishedAt: time(at),
    ...(failure && reason(failure)),
    ...(job !== undefined && { job }),
  };
}

function unitStatus(name: string, { phase, attempt, startedAt, failure, job }: Unit): StepStatus {
  return {
    name,
    phase,
    ...(attempt > 0 && { attempt }),
    startedAt: time(startedAt),
    ...(failure && reason(failure)),
    ...(job !== undefined && { job }),
  };
}

function reason({ reason: word, message }: Failure): Pick<StepStatus, 'reason' | 'message'> {
  return { reason: word, message: message.slice(0, MESSAGE_CHARACTERS) };
}

function summary(output: Json): Json {
  const text = JSON.stringify(output);
  if (text.length <= INLINE_CHARACTERS) return output;
  const preview = typeof output === 'string' ? output : text;
  return { truncated: true, characters: text.length, preview: preview.slice(0, PREVIEW_CHARACTERS) };
}

function time(at: number): string {
  return new Date(at).toISOString();
}

// What the Run's status shows of a state: bounded, whatever the run's size.
import type { Failure, StepStatus } from '@kadre/crds';
import type { RunProjection } from '@kadre/store';
import type { Json } from './expression/values.ts';
import { unitId, type RunState, type StepState, type Unit } from './state.ts';

/** How many lines the status has for steps, and how many of them for steps rather than for elements of a forEach. */
const LINES = 32;
const STEP_LINES = 24;
/** An output of at most so many characters of JSON is in the status; of a larger one there is the beginning. */
const INLINE_CHARACTERS = 8 * 1024;
const PREVIEW_CHARACTERS = 1024;
const MESSAGE_CHARACTERS = 1024;

export type ProjectedStatus = RunProjection['status'];

/** The status of the run. An output that is too large becomes `{truncated: true, characters, preview}`. */
export function project(state: RunState): ProjectedStatus {
  const { phase, progress, usage, startedAt, finishedAt, output } = state;
  return {
    phase,
    progress: `${progress.over}/${progress.all}`,
    steps: lines(state),
    usage: {
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      costUsd: usd(usage.costNanoUsd),
      ...(usage.unpricedCalls > 0 && { unpricedCalls: usage.unpricedCalls }),
    },
    ...(output !== undefined && { output: summary(output) }),
    ...(startedAt !== undefined && { startedAt: time(startedAt) }),
    ...(finishedAt !== undefined && { finishedAt: time(finishedAt) }),
  };
}

/** Of an element that is over. */
export function elementStatus(
  name: string,
  unit: Unit | undefined,
  end: { phase: 'Succeeded' | 'Failed'; at: number; failure?: Failure },
): StepStatus {
  return {
    name,
    phase: end.phase,
    ...(unit && { attempt: unit.attempt, startedAt: time(unit.startedAt) }),
    finishedAt: time(end.at),
    ...(end.failure && reason(end.failure)),
    ...(unit?.job !== undefined && { job: unit.job }),
  };
}

/** Steps first: all if they are few, else those at work, the latest to end and the next to come. Then elements. */
function lines(state: RunState): StepStatus[] {
  const shown = shownSteps(state);
  const elements: { step: number; unit: number; status: StepStatus }[] = [];
  const room = LINES - shown.length;
  for (const step of state.frontier) {
    const planned = state.plan.steps[step];
    const known = state.steps[step];
    if (!planned || !known?.fan) continue;
    for (const [unit, one] of known.units) {
      if (elements.length >= room) break;
      elements.push({ step, unit, status: liveElement(unitId(planned, unit), one) });
    }
  }
  const latest = room > elements.length ? state.latestElements.slice(elements.length - room) : [];
  for (const status of latest) elements.push({ ...placeOf(state, status.name), status });
  elements.sort((one, other) => one.unit - other.unit);
  return shown.flatMap((step) => [
    stepStatus(state, step),
    ...elements.filter((element) => element.step === step).map(({ status }) => status),
  ]);
}

/** Positions in the workflow, in order. */
function shownSteps({ steps, frontier, over }: RunState): number[] {
  if (steps.length <= STEP_LINES) return [...steps.keys()];
  const chosen = new Set([...frontier].slice(0, STEP_LINES));
  for (const step of over.slice(-STEP_LINES / 2).reverse()) if (chosen.size < STEP_LINES) chosen.add(step);
  for (const step of steps.keys()) {
    if (chosen.size >= STEP_LINES) break;
    if (steps[step]?.phase === 'Pending' || steps[step]?.phase === 'Cancelled') chosen.add(step);
  }
  return [...chosen].sort((one, other) => one - other);
}

function stepStatus({ plan, steps }: RunState, step: number): StepStatus {
  const known = steps[step] as StepState;
  const only = known.fan ? undefined : [...known.units.values()][0];
  const failure = known.failure ?? only?.failure;
  return {
    name: plan.steps[step]?.name ?? '',
    phase: only?.phase ?? known.phase,
    ...(known.attempt > 0 && !known.fan && { attempt: known.attempt }),
    ...(known.startedAt !== undefined && { startedAt: time(known.startedAt) }),
    ...(known.finishedAt !== undefined && { finishedAt: time(known.finishedAt) }),
    ...(known.phase === 'Skipped' && { reason: 'ConditionFalse' }),
    ...(failure && known.phase !== 'Succeeded' && reason(failure)),
    ...(known.job !== undefined && { job: known.job }),
  };
}

function liveElement(name: string, unit: Unit): StepStatus {
  return {
    name,
    phase: unit.phase,
    attempt: unit.attempt,
    startedAt: time(unit.startedAt),
    ...(unit.failure && reason(unit.failure)),
    ...(unit.job !== undefined && { job: unit.job }),
  };
}

function placeOf(state: RunState, id: string): { step: number; unit: number } {
  const bracket = id.indexOf('[');
  return { step: state.plan.positions.get(id.slice(0, bracket)) ?? -1, unit: Number(id.slice(bracket + 1, -1)) };
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

/** USD × 10⁻⁹ as a decimal, without zeros at its end. */
function usd(nano: number): string {
  const whole = Math.floor(nano / 1e9);
  const rest = String(nano % 1e9)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return rest === '' ? String(whole) : `${whole}.${rest}`;
}

function time(at: number): string {
  return new Date(at).toISOString();
}

// The history of a run in few words, without times and without what may differ from one time to the next.
import { isRecord } from '../../../engine/src/core/expression/types.ts';

/** As the store keeps it. */
export interface LoggedEvent {
  type: string;
  data: unknown;
}

export interface History {
  /** What happened to the run as a whole. */
  run: string[];
  /** What happened to each step, by id. */
  steps: Record<string, string[]>;
}

/** One event about a step; how a started attempt is carried out stands for its start. */
export interface StepEvent {
  step: string;
  attempt: number;
  word: string;
  output?: unknown;
}

export function history(events: readonly LoggedEvent[]): History {
  const run: string[] = [];
  const steps: Record<string, string[]> = {};
  for (const event of events) {
    const about = stepEvent(event);
    if (about) (steps[about.step] ??= []).push(about.word);
    else if (event.type !== 'StepAccepted') run.push(runWord(event));
  }
  return { run, steps };
}

/** Undefined for what is about the run, and for StepAccepted, which an engine that dies may never write. */
export function stepEvent({ type, data }: LoggedEvent): StepEvent | undefined {
  const word = stepWords[type]?.(fields(data));
  const { step, attempt, output } = fields(data);
  if (word === undefined || typeof step !== 'string') return undefined;
  return { step, attempt: Number(attempt ?? 0), word, ...(output !== undefined && { output }) };
}

type Fields = Record<string, unknown>;

const stepWords: Record<string, (data: Fields) => string> = {
  StepSkipped: () => 'skipped',
  StepFannedOut: ({ count }) => `fanned out to ${Number(count)}`,
  StepStarted: ({ route }) => text(fields(route)['kind']),
  StepStopping: ({ failure }) => `stopping ${text(fields(failure)['reason'])}`,
  StepSucceeded: ({ source, again }) =>
    [
      'succeeded',
      ...(isRecord(source) ? [`from ${text(source['kind'])}`] : []),
      ...(again === true ? ['then again'] : []),
    ].join(' '),
  StepFailed: ({ failure, retryAt, then }) => {
    const next = retryAt === undefined ? then : 'retry';
    return `failed ${text(fields(failure)['reason'])}${next === undefined ? '' : ` then ${text(next)}`}`;
  },
  StepCancelled: () => 'cancelled',
};

function runWord({ type, data }: LoggedEvent): string {
  const { failure, step } = fields(data);
  if (type === 'FinallyStarted' && step !== '') return `${type} ${text(step)}`;
  return isRecord(failure) ? `${type} ${text(failure['reason'])}` : type;
}

function fields(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

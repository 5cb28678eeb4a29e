// What holds for every run, whatever its workflow and whoever died meanwhile: nothing is lost, nothing is done twice, and
// nothing begins before its turn.
import type { Case } from './case.ts';
import { stepEvent, type LoggedEvent, type StepEvent } from './log.ts';
import { nameOf, needsOf, placeIn, type Workflows } from './shape.ts';
import type { WorkflowSpec } from '@kadre/crds';

/** Each problem is a sentence. */
export function broken(one: Case, workflow: WorkflowSpec, events: readonly LoggedEvent[]): string[] {
  const workflows: Workflows = new Map(one.workflows.map(({ metadata, spec }) => [metadata.name, spec]));
  const steps = events.map((event) => stepEvent(event));
  return [
    ...wrongEnds(events),
    ...wrongAttempts(steps),
    ...wrongOrder(steps, workflow, workflows),
    ...tooMany(steps, workflow, workflows),
  ];
}

function wrongEnds(events: readonly LoggedEvent[]): string[] {
  const ends = events.flatMap(({ type }, at) => (/^Run(Succeeded|Failed|Cancelled)$/.test(type) ? [at] : []));
  return ends.length === 1 && ends[0] === events.length - 1
    ? []
    : ['the log does not end once, with the end of the run'];
}

/** Every attempt that starts ends once, and after its start. */
function wrongAttempts(steps: readonly (StepEvent | undefined)[]): string[] {
  const attempts = Map.groupBy(
    steps.filter((event) => event !== undefined && event.attempt > 0),
    (event) => `${event?.step ?? ''}/${event?.attempt ?? 0}`,
  );
  return [...attempts].flatMap(([name, its]) => {
    const words = its.map((event) => event?.word ?? '');
    const starts = words.filter((word) => isStart(word)).length;
    const ends = words.filter((word) => isEnd(word)).length;
    if (ends === 1 && starts <= 1 && isEnd(words.at(-1) ?? '')) return [];
    return [`attempt ${name} does not start and end once: ${words.join(', ')}`];
  });
}

function wrongOrder(steps: readonly (StepEvent | undefined)[], workflow: WorkflowSpec, workflows: Workflows): string[] {
  const spans = spansOf(steps);
  return [...spans].flatMap(([id, span]) => {
    const place = placeIn(workflow, workflows, id);
    if (!place) return [`there is no step ${id} in the manifests`];
    const prefix = id.slice(0, id.length - nameOf(id.slice(id.lastIndexOf('.') + 1)).length);
    return needsOf(place.list, place.step).flatMap((need) => {
      const needed = spans.get(prefix + need);
      return needed && needed.last < span.first ? [] : [`${id} begins before ${prefix + need} is over`];
    });
  });
}

/** By the id of a step without its elements and rounds: from its first event, or that of what is inside, to the last. */
function spansOf(steps: readonly (StepEvent | undefined)[]): Map<string, { first: number; last: number }> {
  const spans = new Map<string, { first: number; last: number }>();
  for (const [at, event] of steps.entries()) {
    if (!event) continue;
    for (const id of around(event.step)) spans.set(id, { first: spans.get(id)?.first ?? at, last: at });
  }
  return spans;
}

/** The step and all steps around it: `a.b` for `a[1].b#2.c` is `a[1].b`. */
function around(id: string): string[] {
  const segments = id.split('.');
  return segments.flatMap((segment, depth) => {
    if (segment === 'fallback') return [];
    return [[...segments.slice(0, depth), nameOf(segment)].join('.')];
  });
}

/** At each moment, no list has more elements at work than its parallelism. */
function tooMany(steps: readonly (StepEvent | undefined)[], workflow: WorkflowSpec, workflows: Workflows): string[] {
  const atWork = new Map<string, Set<string>>();
  const problems = new Set<string>();
  for (const event of steps) {
    const [, list, index] = /^(.*)\[(\d+)\][^.]*$/.exec(event?.step ?? '') ?? [];
    if (!event || list === undefined || index === undefined) continue;
    const busy = atWork.get(list) ?? new Set();
    atWork.set(list, busy);
    if (isStart(event.word)) busy.add(index);
    else if (isEnd(event.word)) busy.delete(index);
    const { parallelism = Infinity } = placeIn(workflow, workflows, list)?.step.forEach ?? {};
    if (busy.size > parallelism) problems.add(`${list} has ${busy.size} elements at work, ${parallelism} are allowed`);
  }
  return [...problems];
}

/** With a fallback to come, the last word is not spoken yet. */
const isEnd = (word: string): boolean => /^(succeeded|failed|cancelled)/.test(word) && !word.endsWith('fallback');
const isStart = (word: string): boolean => /^(service|job|gateway|inline|timer|event|approval)$/.test(word);

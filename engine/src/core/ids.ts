// How the parts of a run are called. Every id is unique in its run, and says where its step stands:
//
//   name            a step                        group.name     a step inside a group, a race or a called workflow
//   name[2]         an element of its forEach     name#3         its third round
//   group~2.name    in the second attempt of the group          name.fallback.other   in its place

/** The unit of a step without forEach. */
export const SOLE = -1;

/** Of an element, or of a step without forEach. */
export function elementId(step: string, index: number): string {
  return index === SOLE ? step : `${step}[${index}]`;
}

/** Of what is at work: an element in its round. */
export function unitId(step: string, index: number, round: number): string {
  const element = elementId(step, index);
  return round === 0 ? element : `${element}#${round}`;
}

export interface UnitPlace {
  step: string;
  index: number;
  /** 0: the step has no rounds. */
  round: number;
}

const PLACE = /^(.*?)(?:\[(\d+)\])?(?:#(\d+))?$/;

export function placeOf(id: string): UnitPlace {
  const [, step = '', index, round] = PLACE.exec(id) ?? [];
  return { step, index: index === undefined ? SOLE : Number(index), round: Number(round ?? 0) };
}

/** What the ids of the steps inside begin with. */
export function insideOf({ id, attempt }: { id: string; attempt: number }): string {
  return attempt > 1 ? `${id}~${attempt}.` : `${id}.`;
}

export function fallbackOf({ step, index }: { step: { id: string }; index: number }): string {
  return `${elementId(step.id, index)}.fallback.`;
}

/** The id as it would be had every group succeeded at its first attempt. */
export function firstAttempt(id: string): string {
  return id.replaceAll(/~\d+(?=\.)/g, '');
}

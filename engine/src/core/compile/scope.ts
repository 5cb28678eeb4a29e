// What an expression sees from its place: steps of the same list and of those around it that are over by then. Steps
// inside others are seen only through the output of what is around them. Each refusal says how to mend it.
import type { Scope, StepView } from '../expression/node.ts';
import { spelled } from '../expression/references.ts';
import { nullable, nullType, type Type } from '../expression/types.ts';
import { isBefore } from './order.ts';
import { holderOf, isOver, memberAround, upwards, whereIs, type Outline, type Position, type Site } from './outline.ts';

export function scopeAt(outline: Outline, position: Position, variables: ReadonlyMap<string, Type>): Scope {
  return {
    variables,
    steps: {
      get: (name) => {
        const site = outline.sites.get(name);
        return site && view(site, position);
      },
      keys: () => visible(position).values(),
    },
  };
}

/** The names that an expression there may use, or all of the list if there are none yet. */
function visible(from: Position): string[] {
  const positions = [...upwards(from)];
  const seen = positions.flatMap((position) => position.list.sites.filter((site) => isOver(site, position)));
  return (seen.length > 0 ? seen : from.list.sites).map(({ step }) => step.name);
}

function view(site: Site, from: Position): StepView {
  for (const position of upwards(from)) {
    if (position.list !== site.list) continue;
    if (isOver(site, position)) return { output: outputAt(site, position), ...racersOf(site) };
    if (isMended(site, position, from)) return { output: nullType };
    return { missing: whyNotYet(site, position, from) };
  }
  return { missing: whyHidden(site, from) };
}

function racersOf({ race, step }: Site): { racers?: string[] } {
  return race && !step.forEach ? { racers: race.sites.map((racer) => racer.step.name) } : {};
}

function outputAt({ output, list }: Site, { uncertain }: Position): Type {
  // Had it succeeded, the race would be over.
  if (list.kind === 'race') return nullType;
  return uncertain ? nullable(output) : output;
}

/** In its fallback a step has failed: why can be asked, and there is nothing else of it. */
function isMended(site: Site, position: Position, from: Position): boolean {
  return (
    position.list.sites[position.index] === site && position !== from && innermostIn(position, from).kind === 'fallback'
  );
}

/** Of a step of the same list, or of one around it. */
function whyNotYet({ step, list, index }: Site, position: Position, from: Position): string {
  const { name } = step;
  const own = position.list.sites[position.index]?.step.name ?? '';
  if (name === own) {
    if (position === from) return `step ${own} cannot use its own output`;
    return `${own} is around this step and not over yet; with repeat, previous is its output of the round before`;
  }
  if (isBefore(list.order, index, position.index))
    return `the output of ${name} isn't there yet when ${own} starts, because ${name} comes after ${own}: move ${name} above ${own}`;
  return `the output of ${name} isn't there yet when ${own} starts: add ${name} to ${position === from ? 'its needs' : `the needs of ${own}`}`;
}

function isLast({ list, index }: Site): boolean {
  return index === list.sites.length - 1;
}

/** The list directly inside the step of `position` in which `from` is. */
function innermostIn(position: Position, from: Position) {
  let list = from.list;
  for (const one of upwards(from)) {
    if (one === position) break;
    list = one.list;
  }
  return list;
}

/** Of a step inside another one. */
function whyHidden(site: Site, from: Position): string {
  const where = whereIs(site);
  if (site.list.kind === 'finally') return `${where}, which comes last: only the steps of finally see it`;
  for (const position of upwards(from)) {
    const member = memberAround(site, position.list);
    if (!member) continue;
    const { name } = member.step;
    if (position.list.sites[position.index] === member)
      return `${where}, whose steps are not seen from here: only ${name} as a whole will have an output`;
    const direct = holderOf(site.list);
    const gives =
      direct === member && member.step.output === undefined && site.list.kind === 'group' && !isLast(site)
        ? `, and give ${name} an output such as $(${spelled(site.step.name)})`
        : '';
    const wait = isOver(member, position) ? '' : ` once ${name} is over (see needs)`;
    return `${where}: refer to ${spelled(name)}${wait}${gives}`;
  }
  return `${where} and not seen from here`;
}

// Where each step stands: the lists of a workflow, which step each is inside, and the order within each.
import type { Step, WorkflowSpec } from '@kadre/crds';
import { anyType, type Type } from '../expression/types.ts';
import { isBefore, order, type Order } from './order.ts';
import type { Problems } from './problems.ts';

/** A list of steps. */
export interface List {
  kind: 'steps' | 'finally' | 'group' | 'race' | 'fallback';
  path: string;
  sites: Site[];
  order: Order;
  /** What its steps see of the list around it. */
  around?: Position;
}

/** A step at its place. */
export interface Site {
  step: Step;
  path: string;
  list: List;
  index: number;
  problems: Problems;
  steps?: List;
  race?: List;
  fallback?: List;
  /** What is known of its output; anything until it is compiled. */
  output: Type;
}

/** A place between steps: where `index` is that of a step it sees what is over by then; beyond the last, all. */
export interface Position {
  list: List;
  index: number;
  /** The steps may not have run. */
  uncertain?: boolean;
}

export interface Outline {
  steps: List;
  finally?: List;
  sites: ReadonlyMap<string, Site>;
}

/** Words in the ids of steps. */
export const reservedStepNames: readonly string[] = ['fallback', 'finally'];

export function outlineOf(spec: WorkflowSpec, problems: Problems): Outline {
  const sites = new Map<string, Site>();
  const lists: List[] = [];
  const listOf = (
    kind: List['kind'],
    steps: readonly Step[],
    path: string,
    place: Problems,
    around?: Position,
  ): List => {
    const order: Order = { needs: [], dependents: [], before: [], sorted: [] };
    const list: List = { kind, path, sites: [], order, ...(around && { around }) };
    lists.push(list);
    steps.forEach((step, index) => {
      const part = place.part();
      const site: Site = { step, path: `${path}[${index}]`, list, index, problems: part.part(), output: anyType };
      list.sites.push(site);
      register(site, sites);
      const inside = { list, index };
      if (step.steps) site.steps = listOf('group', step.steps, `${site.path}.steps`, part, inside);
      if (step.race) site.race = listOf('race', step.race, `${site.path}.race`, part, inside);
      const fallback = step.onError?.fallback;
      if (fallback) site.fallback = listOf('fallback', fallback, `${site.path}.onError.fallback`, part, inside);
    });
    return list;
  };
  const steps = listOf('steps', spec.steps, 'steps', problems.part());
  const end = { ...endOf(steps), uncertain: true };
  const last = spec.finally && listOf('finally', spec.finally, 'finally', problems.part(), end);
  for (const list of lists) arrange(list, sites);
  return { steps, ...(last && { finally: last }), sites };
}

function register(site: Site, sites: Map<string, Site>): void {
  const { name } = site.step;
  const report = (message: string) => site.problems.report(`${site.path}.name`, message);
  const other = sites.get(name);
  if (other) report(`there is another step ${name} (${other.path}): names are unique in the whole workflow`);
  else if (reservedStepNames.includes(name))
    report(`${name} is the name of a place in a workflow: choose another name`);
  if (!other) sites.set(name, site);
}

function arrange(list: List, sites: ReadonlyMap<string, Site>): void {
  const steps = list.sites.map(({ step }) => step);
  list.order = order(steps, {
    atOnce: list.kind === 'race',
    report: (index, path, message) => {
      const site = list.sites[index];
      site?.problems.report(`${site.path}.${path}`, message);
    },
    elsewhere: (name) => {
      const site = sites.get(name);
      return site && `${whereIs(site)}: needs takes names of the same list${instead(site, list)}`;
    },
  });
}

/** The position behind the last step of a list. */
export function endOf(list: List): Position {
  return { list, index: list.sites.length };
}

export function isOver(site: Site, { list, index }: Position): boolean {
  return index >= list.sites.length || isBefore(list.order, index, site.index);
}

/** From a place within up to the workflow. */
export function* upwards(from: Position | undefined): Generator<Position> {
  for (let position = from; position; position = position.list.around) yield position;
}

/** The step around a list; none for those of the workflow itself. */
export function holderOf({ kind, around }: List): Site | undefined {
  return kind === 'finally' ? undefined : around?.list.sites[around.index];
}

/** `review is inside draft`. */
export function whereIs({ step, list }: Site): string {
  const holder = holderOf(list)?.step.name ?? '';
  switch (list.kind) {
    case 'steps':
      return `${step.name} is a step of the workflow itself`;
    case 'finally':
      return `${step.name} is a step of finally`;
    case 'group':
      return `${step.name} is inside ${holder}`;
    case 'race':
      return `${step.name} is inside the race ${holder}`;
    case 'fallback':
      return `${step.name} is in the fallback of ${holder}`;
  }
}

/** The step of `list` that a step somewhere inside it is part of. */
export function memberAround(site: Site, list: List): Site | undefined {
  for (let at: Site | undefined = site; at; at = holderOf(at.list)) if (at.list === list) return at;
  return undefined;
}

/** What to name, and where. */
function instead(site: Site, list: List): string {
  const member = memberAround(site, list);
  if (member) return `; name ${member.step.name} instead`;
  for (const { list: outer, index } of upwards(list.around)) {
    const found = memberAround(site, outer);
    const own = outer.sites[index];
    if (found && own && found !== own) return `; write ${found.step.name} into the needs of ${own.step.name}`;
  }
  return '';
}

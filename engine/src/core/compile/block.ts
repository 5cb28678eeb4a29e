// Compiles lists of steps: what stands around the work of each, from outside in: when, forEach, onError, repeat, retry,
// timeout, cache.
import { reservedNames, type Step } from '@kadre/crds';
import type { Scope } from '../expression/node.ts';
import { compileTemplate, compileText, type Report, type Template } from '../expression/template.ts';
import { commonType, nullable, nullType, type Type } from '../expression/types.ts';
import type { Block, PlannedStep } from '../plan.ts';
import { compileAction } from './action.ts';
import { compileCondition } from './condition.ts';
import { compileBounded, compileDuration, type Bound } from './durations.ts';
import { endOf, type List, type Outline, type Position, type Site } from './outline.ts';
import { reportUnreachable } from './reach.ts';
import { compileRetry, refuseIdleModifiers } from './retry.ts';
import { scopeAt } from './scope.ts';
import type { Surroundings } from './surroundings.ts';
import { elementVariables, roundVariables, withVariables, type Variables } from './variables.ts';

export function compileBlock(list: List, around: Surroundings): Block {
  const steps: PlannedStep[] = [];
  for (const index of list.order.sorted) {
    const site = list.sites[index];
    if (site) steps[index] = compileStep(site, around);
  }
  reportUnreachable(list);
  const positions = new Map(steps.map(({ name, index }) => [name, index]));
  return { steps, positions, weight: steps.reduce((sum, { weight }) => sum + weight, 0) };
}

function compileStep(site: Site, around: Surroundings): PlannedStep {
  const { step, path, list, index, problems } = site;
  const { outline, variables } = around;
  const { report } = problems;
  const position: Position = { list, index };
  const outside = scopeAt(outline, position, variables);
  const when = step.when === undefined ? undefined : compileWhen(step.when, `${path}.when`, outside, report);
  const forEach = step.forEach && compileItems(step.forEach, `${path}.forEach`, outside, report);
  const ofElement = forEach ? elementVariables(variables, forEach.as, forEach.items.type) : variables;
  const ofRound = step.repeat ? roundVariables(ofElement) : ofElement;
  const scope = scopeAt(outline, position, ofRound);
  const timeout =
    step.timeout === undefined ? undefined : compileBounded(step.timeout, `${path}.timeout`, around.bound, report);
  const cache = step.cache && compileCache(step.cache, `${path}.cache`, scope, report);
  const bound = timeout === undefined ? around.bound : boundOf(step, timeout);
  const inside = { ...withoutBound(around), variables: ofRound, ...(bound && { bound }) };
  const { action, output, weight } = compileAction(site, scope, inside, compileBlock);
  const repeat = step.repeat && compileRepeat(step.repeat, site, outline, withVariables(ofRound, { output }), report);
  const onError = step.onError && compileOnError(site, { ...around, variables: ofElement });
  const element = toleratedOutput(site, output);
  const until = compileEnough(step, `${path}.forEach.until`, outside, element, report);
  site.output = wholeOutput(step, element);
  refuseIdleModifiers(site);
  return {
    index,
    name: step.name,
    path,
    needs: list.order.needs[index] ?? [],
    dependents: list.order.dependents[index] ?? [],
    ...(when && { when }),
    ...(forEach && { forEach: { ...forEach, ...(until && { until }) } }),
    ...(repeat && { repeat }),
    retry: compileRetry(step.retry, `${path}.retry`, report),
    ...(timeout !== undefined && { timeout }),
    ...(onError && { onError }),
    ...(cache && { cache }),
    action,
    weight,
  };
}

function withoutBound({ outline, callees, variables, mistyped }: Surroundings): Surroundings {
  return { outline, callees, variables, mistyped };
}

function boundOf({ name, timeout = '' }: Step, milliseconds: number): Bound {
  return { milliseconds, by: `the timeout of ${name}`, text: timeout };
}

function compileWhen(text: string, path: string, scope: Scope, report: Report): Template {
  const { template, constant } = compileCondition(text, path, scope, report);
  if (constant === false) report(path, 'is never true, so that the step can never run: mend it, or remove the step');
  return template;
}

function compileItems(forEach: NonNullable<Step['forEach']>, path: string, scope: Scope, report: Report) {
  const items = compileTemplate(forEach.items, `${path}.items`, scope, report);
  const { kind } = items.type;
  if (kind !== 'any' && kind !== 'list') report(`${path}.items`, 'takes a list, such as $(input.topics)');
  if (Array.isArray(forEach.items) && forEach.items.length === 0)
    report(`${path}.items`, 'is empty, so that the step can never run: fill it, or remove the step');
  if (reservedNames.includes(forEach.as))
    report(`${path}.as`, `${forEach.as} has a meaning in expressions already: choose another name`);
  return { items, as: forEach.as, parallelism: forEach.parallelism ?? Infinity };
}

function compileEnough(
  { forEach }: Step,
  path: string,
  scope: Scope,
  element: Type,
  report: Report,
): Template | undefined {
  if (forEach?.until === undefined) return undefined;
  const outputs: Type = { kind: 'list', element };
  const inside = { ...scope, variables: withVariables(scope.variables, { outputs }) };
  const { template, constant } = compileCondition(forEach.until, path, inside, report);
  if (constant !== undefined) report(path, 'is always the same: use outputs, such as $(size(outputs) >= 3)');
  return template;
}

function compileRepeat(
  { until, max, onMax = 'fail' }: NonNullable<Step['repeat']>,
  { path, steps, list, index, step }: Site,
  outline: Outline,
  variables: Variables,
  report: Report,
) {
  if (until === undefined) {
    if (step.repeat?.onMax !== undefined)
      report(`${path}.repeat.onMax`, 'says what happens when until stays false: set until, or remove onMax');
    return { max, onMax };
  }
  const scope = scopeAt(outline, steps ? endOf(steps) : { list, index }, variables);
  const condition = compileCondition(until, `${path}.repeat.until`, scope, report);
  const changing = ['round', 'previous', 'output', ...(steps?.sites ?? []).map((site) => `steps.${site.step.name}`)];
  // With onMax: continue it may still be a choice between one round and all of them.
  const isChoice = onMax === 'continue' && condition.uses.size > 0;
  const sound = condition.constant !== undefined || condition.uses.size > 0;
  if (sound && !isChoice && !changing.some((name) => condition.uses.has(name)))
    report(
      `${path}.repeat.until`,
      'is the same after each round: refer to what changes, such as output, round or a step inside',
    );
  return { until: condition.template, max, onMax };
}

function compileCache({ key, ttl }: NonNullable<Step['cache']>, path: string, scope: Scope, report: Report) {
  return { key: compileText(key, `${path}.key`, scope, report), ttl: compileDuration(ttl, `${path}.ttl`, report) };
}

function compileOnError(site: Site, around: Surroundings): PlannedStep['onError'] {
  const { step, path, list, fallback, problems } = site;
  const goesOn = step.onError?.continue === true;
  if (goesOn === (fallback !== undefined))
    problems.report(`${path}.onError`, 'set exactly one of continue: true and fallback');
  if (goesOn && list.kind === 'race')
    problems.report(
      `${path}.onError.continue`,
      'does nothing in a race, which goes on with the others anyway: remove it, or write it at the race',
    );
  return fallback ? { fallback: compileBlock(fallback, around) } : 'continue';
}

/** Of one element. */
function toleratedOutput({ step: { onError }, fallback }: Site, output: Type): Type {
  if (onError?.continue) return nullable(output);
  return fallback ? commonType(output, fallback.sites.at(-1)?.output ?? nullType) : output;
}

function wholeOutput({ forEach, when }: Step, element: Type): Type {
  // With `until`, elements that were not waited for leave null at their places.
  const whole: Type = forEach
    ? { kind: 'list', element: forEach.until === undefined ? element : nullable(element) }
    : element;
  return when === undefined ? whole : nullable(whole);
}

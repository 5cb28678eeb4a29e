// What a step does, with the expressions in it.
import { stepActions, type AgentStep, type ApprovalStep, type Step, type StepAction, type WaitStep } from '@kadre/crds';
import type { Scope } from '../expression/node.ts';
import { compileTemplate, compileText, type Report } from '../expression/template.ts';
import {
  anyType,
  boolType,
  closedMap,
  commonTypeOf,
  nullable,
  nullType,
  stringType,
  typeOfSchema,
  type Type,
} from '../expression/types.ts';
import type { Action, Block } from '../plan.ts';
import { compileCall } from './call.ts';
import { compileCondition } from './condition.ts';
import { compileContainer } from './container.ts';
import { compileBounded, isTime, type Bound } from './durations.ts';
import { compileCode, compileTool, outputOfCode } from './gateway-steps.ts';
import { endOf, type List, type Site } from './outline.ts';
import { scopeAt } from './scope.ts';
import type { Surroundings } from './surroundings.ts';

export interface CompiledAction {
  action: Action;
  /** Of one attempt. */
  output: Type;
  weight: number;
}

type CompileBlock = (list: List, around: Surroundings) => Block;

/** `scope`: what its expressions see; `inside`: what holds for the steps of a group. */
export function compileAction(
  site: Site,
  scope: Scope,
  inside: Surroundings,
  compileBlock: CompileBlock,
): CompiledAction {
  const { step, path, problems } = site;
  const { report } = problems;
  const set = stepActions.filter((action) => step[action] !== undefined);
  if (set.length === 0 && !inside.mistyped.has(path))
    report(path, `a step must do something: set one of ${stepActions.join(', ')}`);
  if (set.length > 1) report(path, `a step does one thing: make a step of each of ${set.join(', ')}`);
  if (step.output !== undefined && !step.steps)
    report(
      `${path}.output`,
      'only a group (steps) has an output of its own: remove it; it is found at steps.<name>.output',
    );
  const nested = compileNested(site, inside, compileBlock);
  const actions = set.map((action) => nested.get(action) ?? compileLeaf(action, step, path, scope, inside, report));
  return actions[0] ?? { action: { kind: 'timer', duration: 0 }, output: anyType, weight: 1 };
}

function compileNested(site: Site, inside: Surroundings, compileBlock: CompileBlock): Map<StepAction, CompiledAction> {
  const compiled = new Map<StepAction, CompiledAction>();
  const { step, path, steps, race, problems } = site;
  if (steps) {
    const block = compileBlock(steps, inside);
    const scope = scopeAt(inside.outline, endOf(steps), inside.variables);
    const output =
      step.output === undefined ? undefined : compileTemplate(step.output, `${path}.output`, scope, problems.report);
    compiled.set('steps', {
      action: { kind: 'steps', block, ...(output && { output }) },
      output: output?.type ?? steps.sites.at(-1)?.output ?? anyType,
      weight: block.weight,
    });
  }
  if (race) {
    const block = compileBlock(race, inside);
    const output = commonTypeOf(race.sites.map((one) => one.output));
    compiled.set('race', { action: { kind: 'race', block }, output, weight: block.weight });
  }
  return compiled;
}

function compileLeaf(
  kind: StepAction,
  step: Step,
  path: string,
  scope: Scope,
  { callees, bound }: Surroundings,
  report: Report,
): CompiledAction {
  const { agent, tool, code, container, value, workflow, wait, approval, fail } = step;
  const at = `${path}.${kind}`;
  const leaf = (action: Action, output = anyType): CompiledAction => ({ action, output, weight: 1 });
  if (kind === 'agent' && agent) return leaf(compileAgent(agent, at, scope, report));
  if (kind === 'tool' && tool) return leaf(compileTool(tool, at, scope, report));
  if (kind === 'code' && code) return leaf(compileCode(code, at, scope, report), outputOfCode);
  if (kind === 'container' && container) return leaf(compileContainer(container, at, scope, report));
  if (kind === 'workflow' && workflow) return { ...compileCall(workflow, at, scope, callees, report), weight: 1 };
  if (kind === 'wait' && wait) return compileWait(wait, at, scope, bound, report);
  if (kind === 'approval' && approval)
    return leaf(compileApproval(approval, at, scope, bound, report), outputOfApproval(approval));
  if (kind === 'fail' && fail !== undefined)
    return leaf({ kind: 'fail', message: compileText(fail, at, scope, report) }, nullType);
  const template = compileTemplate(value, at, scope, report);
  return leaf({ kind: 'value', value: template }, template.type);
}

function compileAgent(agent: AgentStep, path: string, scope: Scope, report: Report): Action {
  if (agent.prompt === undefined && agent.input === undefined)
    report(path, 'an agent must be asked something: set prompt, input or both');
  return {
    kind: 'agent',
    agent,
    ...(agent.prompt !== undefined && { prompt: compileText(agent.prompt, `${path}.prompt`, scope, report) }),
    ...(agent.input !== undefined && { input: compileTemplate(agent.input, `${path}.input`, scope, report) }),
  };
}

function compileWait(
  wait: WaitStep,
  path: string,
  scope: Scope,
  bound: Bound | undefined,
  report: Report,
): CompiledAction {
  const set = (['for', 'until', 'event'] as const).filter((way) => wait[way] !== undefined);
  if (set.length !== 1) report(path, 'a wait ends in one way: set exactly one of for, until and event');
  const timer = (action: Action): CompiledAction => ({ action, output: nullType, weight: 1 });
  if (wait.event) return { action: compileEvent(wait.event, path, scope, report), output: anyType, weight: 1 };
  if (wait.until !== undefined) {
    const until = compileText(wait.until, `${path}.until`, scope, report);
    const { kind } = until.type;
    const wrong = (kind !== 'any' && kind !== 'string') || (!wait.until.includes('$(') && !isTime(wait.until));
    if (wrong)
      report(
        `${path}.until`,
        'takes a time as RFC 3339 writes it, such as 2030-01-31T12:00:00Z; for a length of time use for',
      );
    return timer({ kind: 'timer', until });
  }
  return timer({ kind: 'timer', duration: compileBounded(wait.for ?? '1s', `${path}.for`, bound, report) });
}

function compileEvent(event: NonNullable<WaitStep['event']>, path: string, scope: Scope, report: Report): Action {
  const { name, filter } = event;
  if (filter === undefined) return { kind: 'event', name };
  const at = `${path}.event.filter`;
  const inside = { ...scope, variables: new Map([...scope.variables, ['event', anyType]]) };
  const { template, constant } = compileCondition(filter, at, inside, report);
  if (constant !== undefined)
    report(at, 'is the same for each event: use event, its payload, such as $(event.id == input.id)');
  return { kind: 'event', name, filter: template };
}

function compileApproval(
  approval: ApprovalStep,
  path: string,
  scope: Scope,
  bound: Bound | undefined,
  report: Report,
): Action {
  const { message, timeout } = approval;
  return {
    kind: 'approval',
    approval,
    message: compileText(message, `${path}.message`, scope, report),
    ...(timeout !== undefined && { timeout: compileBounded(timeout, `${path}.timeout`, bound, report) }),
  };
}

function outputOfApproval({ form, onTimeout }: ApprovalStep): Type {
  // Nobody has filled in anything when time approves.
  const given = (type: Type) => (onTimeout === 'approve' ? nullable(type) : type);
  return closedMap([
    ['approved', boolType],
    ['answer', form ? given(typeOfSchema(form.schema)) : anyType],
    ['by', given(stringType)],
    ['at', stringType],
  ]);
}

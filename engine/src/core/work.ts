// What an attempt is asked to do, with all expressions evaluated.
import type { ContainerStep, GpuRequest } from '@kadre/crds';
import { ExpressionError } from './expression/errors.ts';
import type { Values } from './expression/node.ts';
import { checkSize, TemplateError, type Template, type TextTemplate } from './expression/template.ts';
import type { Json } from './expression/values.ts';
import type { AgentAction, ContainerAction } from './plan.ts';
import { valuesAt, withinUnit } from './sight.ts';
import type { Attempt, RunState, Unit } from './state.ts';

export type Work =
  | { kind: 'agent'; agent: string; prompt?: string; input?: Json; gpu?: GpuRequest; isolation?: 'job' }
  | { kind: 'container'; container: ContainerStep }
  | { kind: 'approval'; message: string }
  /** Nobody is asked: time passes, or something happens. */
  | { kind: 'wait' };

/** The same each time it is asked. Throws {@link TemplateError}. */
export function workOf(state: RunState, { unit }: Pick<Attempt, 'unit'>): Work {
  const { action, path } = unit.step.plan;
  const values = valuesAt(state, withinUnit(unit));
  if (action.kind === 'agent') return agentWork(action, `${path}.agent`, values, promptInstead(state, unit));
  if (action.kind === 'container')
    return { kind: 'container', container: containerOf(action, `${path}.container`, values) };
  if (action.kind === 'approval') return { kind: 'approval', message: action.message.evaluate(values) };
  return { kind: 'wait' };
}

/** Of a fork: the prompt that its user wants to try. */
function promptInstead(state: RunState, unit: Unit): string | undefined {
  return state.reuse?.prompt?.(unit.id);
}

function agentWork({ agent, ...action }: AgentAction, path: string, values: Values, instead?: string): Work {
  const { name, gpu, isolation } = agent;
  const prompt = instead ?? action.prompt?.evaluate(values);
  return {
    kind: 'agent',
    agent: name,
    ...(prompt !== undefined && { prompt }),
    ...(action.input && { input: bounded(action.input, `${path}.input`, values) }),
    ...(gpu && { gpu }),
    ...(isolation && { isolation }),
  };
}

function containerOf(action: ContainerAction, path: string, values: Values): ContainerStep {
  const texts = (list: TextTemplate[]) => list.map((text) => text.evaluate(values));
  return {
    ...action.container,
    ...(action.command && { command: texts(action.command) }),
    ...(action.args && { args: texts(action.args) }),
    ...(action.env && { env: action.env.map(({ name, value }) => ({ name, value: value.evaluate(values) })) }),
    ...(action.input && { input: bounded(action.input, `${path}.input`, values) }),
  };
}

/** The value, which must not be larger as JSON than `limit` characters. Throws {@link TemplateError}. */
export function bounded(template: Template, path: string, values: Values, limit?: number): Json {
  const value = template.evaluate(values);
  try {
    checkSize(value, limit);
  } catch (error) {
    throw error instanceof ExpressionError ? new TemplateError(path, error) : error;
  }
  return value;
}

// What one step does, with the expressions in it, and what becomes of it once they are evaluated.
import type { AgentStep, ContainerStep, GpuRequest, Step } from '@kadre/crds';
import type { Scope, Values } from './expression/node.ts';
import {
  checkSize,
  compileTemplate,
  compileText,
  TemplateError,
  type Report,
  type Template,
  type TextTemplate,
} from './expression/template.ts';
import { ExpressionError } from './expression/errors.ts';
import type { Json } from './expression/values.ts';

export type Task = AgentTask | ContainerTask;

interface AgentTask {
  kind: 'agent';
  agent: AgentStep;
  prompt?: TextTemplate;
  input?: Template;
  /** Path of the field, for messages. */
  path: string;
}

interface ContainerTask {
  kind: 'container';
  container: ContainerStep;
  command?: TextTemplate[];
  args?: TextTemplate[];
  env?: { name: string; value: TextTemplate }[];
  input?: Template;
  path: string;
}

/** A step's work with all expressions evaluated. */
export type Work =
  | { kind: 'agent'; agent: string; prompt?: string; input?: Json; gpu?: GpuRequest; isolation?: 'job' }
  | { kind: 'container'; container: ContainerStep };

export function compileTask(step: Step, path: string, scope: Scope, report: Report): Task {
  const { agent, container } = step;
  if (agent && container) report(path, 'a step asks an agent or runs a container, not both: make two steps of it');
  if (container) return compileContainer(container, `${path}.container`, scope, report);
  if (agent) return compileAgent(agent, `${path}.agent`, scope, report);
  report(path, 'a step must do something: set agent or container');
  return { kind: 'agent', agent: { name: '' }, path };
}

function compileAgent(agent: AgentStep, path: string, scope: Scope, report: Report): AgentTask {
  if (agent.prompt === undefined && agent.input === undefined)
    report(path, 'an agent must be asked something: set prompt, input or both');
  return {
    kind: 'agent',
    agent,
    path,
    ...(agent.prompt !== undefined && { prompt: compileText(agent.prompt, `${path}.prompt`, scope, report) }),
    ...(agent.input !== undefined && { input: compileTemplate(agent.input, `${path}.input`, scope, report) }),
  };
}

function compileContainer(container: ContainerStep, path: string, scope: Scope, report: Report): ContainerTask {
  const { command, args, env, input } = container;
  const texts = (list: string[], field: string) =>
    list.map((text, i) => compileText(text, `${path}.${field}[${i}]`, scope, report));
  return {
    kind: 'container',
    container,
    path,
    ...(command && { command: texts(command, 'command') }),
    ...(args && { args: texts(args, 'args') }),
    ...(env && {
      env: env.map(({ name, value }, i) => ({
        name,
        value: compileText(value, `${path}.env[${i}].value`, scope, report),
      })),
    }),
    ...(input !== undefined && { input: compileTemplate(input, `${path}.input`, scope, report) }),
  };
}

/** Throws {@link TemplateError}. */
export function evaluateTask(task: Task, values: Values): Work {
  if (task.kind === 'container') return { kind: 'container', container: evaluateContainer(task, values) };
  const { name, gpu, isolation } = task.agent;
  return {
    kind: 'agent',
    agent: name,
    ...(task.prompt && { prompt: task.prompt.evaluate(values) }),
    ...(task.input && { input: bounded(task.input, `${task.path}.input`, values) }),
    ...(gpu && { gpu }),
    ...(isolation && { isolation }),
  };
}

function evaluateContainer(task: ContainerTask, values: Values): ContainerStep {
  const texts = (list: TextTemplate[]) => list.map((text) => text.evaluate(values));
  return {
    ...task.container,
    ...(task.command && { command: texts(task.command) }),
    ...(task.args && { args: texts(task.args) }),
    ...(task.env && { env: task.env.map(({ name, value }) => ({ name, value: value.evaluate(values) })) }),
    ...(task.input && { input: bounded(task.input, `${task.path}.input`, values) }),
  };
}

function bounded(template: Template, path: string, values: Values): Json {
  const value = template.evaluate(values);
  try {
    checkSize(value);
  } catch (error) {
    throw error instanceof ExpressionError ? new TemplateError(path, error) : error;
  }
  return value;
}

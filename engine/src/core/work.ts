// What an attempt is asked to do, with all expressions evaluated.
import type { CodeLanguage, ContainerStep, GpuRequest, SandboxSpec } from '@kadre/crds';
import { ExpressionError } from './expression/errors.ts';
import type { Values } from './expression/node.ts';
import { checkSize, TemplateError, type Template, type TextTemplate } from './expression/template.ts';
import type { Json } from './expression/values.ts';
import { isRecord } from './expression/types.ts';
import type { AgentAction, CodeAction, ContainerAction, ToolAction } from './plan.ts';
import { valuesAt, withinUnit } from './sight.ts';
import type { Attempt, RunState, Unit } from './state.ts';

export type Work =
  | { kind: 'agent'; agent: string; prompt?: string; input?: Json; gpu?: GpuRequest; isolation?: 'job' }
  | ToolWork
  | CodeWork
  | { kind: 'container'; container: ContainerStep }
  | { kind: 'approval'; message: string }
  /** Nobody is asked: time passes, or something happens. */
  | { kind: 'wait' };

export interface ToolWork {
  kind: 'tool';
  tool: string;
  operation?: string;
  args: Record<string, Json>;
}

export interface CodeWork {
  kind: 'code';
  language: CodeLanguage;
  source: string;
  input?: Json;
  files: CodeFile[];
  /** Patterns of paths. */
  keep: readonly string[];
  sandbox?: SandboxSpec;
  timeoutMs: number;
}

export type CodeFile = { path: string } & ({ text: string } | { base64: string });

/** The same each time it is asked. Throws {@link TemplateError}. */
export function workOf(state: RunState, { unit }: Pick<Attempt, 'unit'>): Work {
  const { action, path } = unit.step.plan;
  const values = valuesAt(state, withinUnit(unit));
  if (action.kind === 'agent') return agentWork(action, `${path}.agent`, values, promptInstead(state, unit));
  if (action.kind === 'tool') return toolWork(action, `${path}.tool`, values);
  if (action.kind === 'code') return codeWork(action, `${path}.code`, values, unit.step.plan.timeout);
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

function toolWork({ tool, args }: ToolAction, path: string, values: Values): ToolWork {
  const { name, operation } = tool;
  const given = args ? bounded(args, `${path}.args`, values) : {};
  if (!isRecord(given)) throw new TemplateError(`${path}.args`, new ExpressionError('must be an object'));
  return { kind: 'tool', tool: name, ...(operation !== undefined && { operation }), args: given };
}

const CODE_TIMEOUT = 30_000;

function codeWork(action: CodeAction, path: string, values: Values, timeout = CODE_TIMEOUT): CodeWork {
  const { language, source, keep = [], sandbox } = action.code;
  return {
    kind: 'code',
    language,
    source,
    ...(action.input && { input: bounded(action.input, `${path}.input`, values) }),
    files: action.files.map((file, i) => ({
      path: file.path,
      ...contentOf(bounded(file.content, `${path}.files[${i}].content`, values)),
    })),
    keep,
    ...(sandbox && { sandbox }),
    timeoutMs: timeout,
  };
}

/** A file that a code step kept is one again; other data is written as JSON. */
function contentOf(value: Json): { text: string } | { base64: string } {
  if (typeof value === 'string') return { text: value };
  if (isRecord(value) && Object.keys(value).length === 1) {
    if (typeof value.text === 'string') return { text: value.text };
    if (typeof value.base64 === 'string') return { base64: value.base64 };
  }
  return { text: JSON.stringify(value) };
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

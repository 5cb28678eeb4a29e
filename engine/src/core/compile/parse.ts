// Reads the fields of a workflow, and says in words what is wrong with one.
import {
  codePath,
  dnsLabel,
  duration,
  envVar,
  eventName,
  quantity,
  usd,
  workflowSpec,
  type WorkflowSpec,
} from '@kadre/crds';
import type { z } from 'zod';
import { meant } from '../expression/suggest.ts';
import { kindOf, nounOf, type Json } from '../expression/values.ts';
import type { Problem } from '../plan.ts';

export function parseSpec(spec: unknown): { spec: WorkflowSpec } | { problems: Problem[] } {
  const parsed = workflowSpec.safeParse(spec, { reportInput: true });
  if (parsed.success) return { spec: parsed.data };
  return { problems: parsed.error.issues.map((issue) => ({ path: pathText(issue.path), message: inWords(issue) })) };
}

function pathText(path: PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

type Issue = z.core.$ZodIssue;

function inWords(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return wrongType(issue);
    case 'too_small':
      return tooSmall(issue);
    case 'too_big':
      return tooBig(issue);
    case 'invalid_value': {
      const values = issue.values.map(String);
      if (issue.input === undefined) return `is missing: set it to one of ${values.join(', ')}`;
      const hint = typeof issue.input === 'string' ? meant(issue.input, values) : '';
      return `takes one of ${values.join(', ')}${hint}`;
    }
    case 'invalid_format':
      return `takes ${formats.get(issue.pattern ?? '') ?? `a text like ${issue.pattern}`}`;
    default:
      return issue.message;
  }
}

const nouns: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  nonoptional: 'a value',
};

function wrongType({ expected, input, path }: Issue & { code: 'invalid_type' }): string {
  const noun = nouns[expected] ?? expected;
  if (input === undefined) {
    if (path.at(-1) === 'max' && path.at(-2) === 'repeat') return 'a loop needs a bound: set max, such as 10';
    return `is missing: it takes ${noun}`;
  }
  const found = typeof input === 'object' || kinds.has(typeof input) ? nounOf(kindOf(input as Json)) : typeof input;
  if (expected === 'int') return `takes a whole number, not ${typeof input === 'number' ? input : found}`;
  const quotes = expected === 'string' && ['number', 'boolean'].includes(typeof input);
  return `takes ${noun}, not ${found}${quotes ? `: put quotes around it` : ''}`;
}

const kinds = new Set(['string', 'number', 'boolean']);

function tooSmall({ origin, minimum, input }: Issue & { code: 'too_small' }): string {
  if (origin === 'number' || origin === 'int') return `must be at least ${minimum}, not ${shortly(input)}`;
  return `must not be empty${origin === 'array' ? ': add an entry, or leave the field out' : ''}`;
}

function tooBig({ origin, maximum, input, path }: Issue & { code: 'too_big' }): string {
  if (origin === 'string') return `has ${lengthOf(input)} characters; ${maximum} are allowed`;
  if (origin !== 'array') return `must be at most ${maximum}, not ${shortly(input)}`;
  const steps = lists.has(String(path.at(-1)));
  return `has ${lengthOf(input)} entries; ${maximum} are allowed${steps ? ': put some into a group (steps), or use forEach' : ''}`;
}

const lists = new Set(['steps', 'race', 'fallback', 'finally']);

const lengthOf = (input: unknown): number => (input as { length: number }).length;
const shortly = (input: unknown): string => String(input).slice(0, 40);

/** What a text must look like, by the pattern of the field. */
const formats = new Map<string, string>([
  [patternOf(dnsLabel), 'a name of a-z, 0-9 and -, with a letter or digit at both ends'],
  [patternOf(duration), 'a whole number and one unit: 300ms, 90s, 5m, 2h or 1d'],
  [patternOf(eventName), 'a name of letters, digits, -, ., _ and /, with a letter or digit at both ends'],
  [
    patternOf(codePath),
    'a path of letters, digits, _, - and . such as data/rows.csv, within the folder of the program',
  ],
  [patternOf(quantity), 'a quantity in quotes, such as "500m", "2" or "1Gi"'],
  [patternOf(usd), 'US dollars in quotes, such as "0.50"'],
  [patternOf(envVar.shape.name), 'a name of letters, digits and _ that does not begin with a digit'],
  ['/^[a-z][a-zA-Z0-9_]*$/', 'a name of letters, digits and _ that begins with a small letter'],
  ['/^\\S+$/', 'a text without spaces'],
]);

function patternOf(schema: z.ZodType): string {
  const issue = schema.safeParse('\n').error?.issues.find(({ code }) => code === 'invalid_format');
  return issue?.code === 'invalid_format' ? (issue.pattern ?? '') : '';
}

// The arguments of a call, as a model wrote them: anything may be in them.
import type { Operation } from '@kadre/tools';
import { GatewayError } from '../errors.ts';
import { schemaCheck } from '../pipeline/json-schema.ts';
import { Refusal } from './refusal.ts';

const DEEPEST = 64;

/** Throws a Refusal that tells the model what is wrong. */
export async function readArguments(text: string, { inputSchema }: Operation): Promise<Record<string, unknown>> {
  const args = parse(text);
  const problem = await checked(inputSchema, args, 'input');
  if (problem !== undefined) throw invalid(`The arguments do not match the schema of the tool: ${problem}`);
  return args;
}

/** Says what is wrong with a value; undefined if nothing is. Throws a Refusal if the schema cannot be used. */
export async function checked(
  schema: Record<string, unknown>,
  value: unknown,
  which: 'input' | 'output',
): Promise<string | undefined> {
  try {
    return (await schemaCheck(schema))(value);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const why = `The ${which} schema of the tool cannot be used. ${error.message}`;
    throw new Refusal({ reason: 'ToolFailed', rule: `schema.${which}`, message: `${why} Somebody must mend it.` });
  }
}

function parse(text: string): Record<string, unknown> {
  // Some models write nothing where there is nothing to say.
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`The arguments are not JSON: ${(error as Error).message.split('"')[0]?.trim() ?? ''}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('The arguments must be a JSON object.');
  }
  mustBeHarmless(value, 0);
  return value as Record<string, unknown>;
}

/** Whoever copies a field `__proto__` carelessly changes what all objects are. */
function mustBeHarmless(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > DEEPEST) throw invalid(`The arguments are nested more than ${DEEPEST} levels deep.`);
  if (Object.hasOwn(value, '__proto__')) throw invalid('The arguments have a field __proto__, which no tool takes.');
  for (const inner of Object.values(value)) mustBeHarmless(inner, depth + 1);
}

/** What is wrong with them may name their fields, which are the agent's affair. */
const invalid = (message: string): Refusal =>
  new Refusal({
    reason: 'InvalidInput',
    rule: 'schema.input',
    message,
    why: 'the arguments are not what the schema asks for',
  });

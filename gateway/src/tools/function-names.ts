// Under which name a model calls what: unique, and always the same as long as a Tool has the same operations.
import { toolFunctionName } from '@kadre/crds';
import { createHash } from 'node:crypto';

/** Of OpenAI, Anthropic and Google alike. */
const LONGEST = 64;
const HASH = 8;

/** One name for each of the operations of a Tool, in their order. */
export function functionNames(tool: string, operations: readonly (string | undefined)[]): string[] {
  const plain = operations.map((operation) => toolFunctionName(tool, operation));
  const takers = new Map<string, number>();
  for (const name of plain) takers.set(name, (takers.get(name) ?? 0) + 1);
  return plain.map((name, index) => {
    const operation = operations[index];
    const spelledOut = operation === undefined || name.endsWith(`__${operation}`);
    if (name.length <= LONGEST && (takers.get(name) === 1 || spelledOut)) return name;
    return cut(name, JSON.stringify([tool, operation]));
  });
}

/** The name, or one that is short enough for models and no other's. */
export const shortName = (name: string): string => (name.length <= LONGEST ? name : cut(name, name));

function cut(name: string, unique: string): string {
  const hash = createHash('sha256').update(unique).digest('hex').slice(0, HASH);
  return `${name.slice(0, LONGEST - HASH - 1)}_${hash}`;
}

/** Whether a function of that name may be one of the Tool's: cheap, and never wrong if the answer is no. */
export function mayBeOf(tool: string, name: string): boolean {
  const kept = LONGEST - HASH - 1;
  return (
    name === tool || name.startsWith(`${tool}__`) || (tool.length >= kept - 2 && name.startsWith(tool.slice(0, kept)))
  );
}

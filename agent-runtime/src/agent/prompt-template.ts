// Prompts of custom endpoints: text in which $(CEL) stands for a value of the request.
import { AgentFailure } from '../failure.ts';

/** Fills in a request. Throws {@link AgentFailure} with reason InvalidExpression if an expression fails on its values. */
export type PromptTemplate = (request: unknown) => string;

/**
 * Strings are put in as they are, other values as JSON. `$$(` stands for a literal `$(`.
 * @throws {Error} if an expression is not CEL; the message says where.
 */
export async function compilePrompt(source: string): Promise<PromptTemplate> {
  const parts = split(source);
  if (parts.every((part) => 'text' in part)) {
    const fixed = parts.map(({ text }) => text).join('');
    return () => fixed;
  }
  const parse = await celParser();
  const compiled = parts.map((part) =>
    'text' in part ? part : { expression: part.expression, evaluate: parse(part.expression) },
  );
  return (request) => compiled.map((part) => ('text' in part ? part.text : show(part, request))).join('');
}

type Part = { text: string } | { expression: string };
type Evaluate = (context: { request: unknown }) => unknown;

function show({ expression, evaluate }: { expression: string; evaluate: Evaluate }, request: unknown): string {
  try {
    const value = evaluate({ request });
    return typeof value === 'string' ? value : JSON.stringify(value, plainNumbers);
  } catch (error) {
    throw new AgentFailure(
      'InvalidExpression',
      `The prompt of this endpoint needs $(${expression}): ${firstLine(error)}`,
    );
  }
}

/** CEL's integers arrive as bigint. */
function plainNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

async function celParser(): Promise<(expression: string) => Evaluate> {
  const { Environment } = await import('@marcbachmann/cel-js');
  const environment = new Environment({
    homogeneousAggregateLiterals: false,
    enableOptionalTypes: true,
  }).registerVariable('request', 'dyn');
  // JSON has one kind of number, so CEL's int and double must mix.
  for (const [left, right] of [['int', 'double'] as const, ['double', 'int'] as const]) {
    environment.registerOperator(
      `${left} + ${right}: double`,
      (a: number | bigint, b: number | bigint) => Number(a) + Number(b),
    );
    environment.registerOperator(
      `${left} - ${right}: double`,
      (a: number | bigint, b: number | bigint) => Number(a) - Number(b),
    );
    environment.registerOperator(
      `${left} * ${right}: double`,
      (a: number | bigint, b: number | bigint) => Number(a) * Number(b),
    );
    environment.registerOperator(
      `${left} / ${right}: double`,
      (a: number | bigint, b: number | bigint) => Number(a) / Number(b),
    );
    environment.registerOperator(
      `${left} % ${right}: double`,
      (a: number | bigint, b: number | bigint) => Number(a) % Number(b),
    );
  }
  environment.registerOperator('double % double: double', (a: number, b: number) => a % b);
  return (expression) => {
    try {
      const evaluate = environment.parse(expression);
      const { valid, error } = evaluate.check();
      if (!valid) throw error ?? new Error('type error');
      return evaluate as Evaluate;
    } catch (error) {
      throw new Error(`$(${expression}): ${firstLine(error)}`, { cause: error });
    }
  };
}

function split(source: string): Part[] {
  const parts: Part[] = [];
  let text = '';
  let at = 0;
  while (at < source.length) {
    if (source.startsWith('$$(', at)) {
      text += '$(';
      at += 3;
    } else if (source.startsWith('$(', at)) {
      const end = closingParenthesis(source, at + 2);
      if (text !== '') parts.push({ text });
      parts.push({ expression: source.slice(at + 2, end).trim() });
      text = '';
      at = end + 1;
    } else {
      text += source.charAt(at);
      at += 1;
    }
  }
  return text === '' && parts.length > 0 ? parts : [...parts, { text }];
}

/** Parentheses inside of CEL strings don't count. */
function closingParenthesis(source: string, start: number): number {
  let depth = 1;
  let quote = '';
  for (let at = start; at < source.length; at += 1) {
    const character = source.charAt(at);
    if (quote !== '') {
      if (character === '\\') at += 1;
      else if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '(') depth += 1;
    else if (character === ')' && (depth -= 1) === 0) return at;
  }
  throw new Error(`$(${source.slice(start, start + 40)}: the closing parenthesis is missing`);
}

function firstLine(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
}

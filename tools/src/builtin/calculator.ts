// Computes expressions exactly. Nothing of JavaScript is within their reach: they are read here, letter by letter.
import { z } from 'zod';
import { failure, textAnswer, type Executor } from '../executor.ts';
import {
  add,
  compare,
  divide,
  floor,
  format,
  fraction,
  multiply,
  negate,
  NumberError,
  parseFraction,
  power,
  remainder,
  round,
  squareRoot,
  subtract,
  type Fraction,
} from './fraction.ts';

const MAX_LENGTH = 2000;
const MAX_DEPTH = 100;

const input = z.object({
  expression: z
    .string()
    .max(MAX_LENGTH)
    .describe('Such as (1234.5 + 0.1) * 3 ^ 2, round(10 / 3, 2) or sqrt(2) * pi. Numbers have a decimal point.'),
});

const description = `Computes exactly, with any number of digits: + - * / % (remainder) ^ (power) and parentheses; abs, ceil, floor, max, min, round(number, decimals), sqrt; pi, e. Results that had to be rounded begin with ≈.`;

export const calculator: Executor = {
  describe: () => Promise.resolve({ operations: [{ description, inputSchema: z.toJSONSchema(input) }] }),
  call: (_errand, { args }) => {
    const parsed = input.safeParse(args);
    if (!parsed.success)
      return Promise.resolve(failure(`Write the expression as a text of at most ${MAX_LENGTH} letters.`));
    try {
      return Promise.resolve(textAnswer(calculate(parsed.data.expression)));
    } catch (error) {
      if (error instanceof NumberError) return Promise.resolve(failure(error.message));
      throw error;
    }
  },
};

/** @throws NumberError, which says where */
export function calculate(expression: string): string {
  return format(evaluate(tokensOf(expression)));
}

interface Token {
  text: string;
  /** From 1. */
  at: number;
}

const TOKEN = /\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\*\*|[-+*/%^(),]|[−×÷·]))/y;
const SAME = new Map([
  ['−', '-'],
  ['×', '*'],
  ['·', '*'],
  ['÷', '/'],
  ['**', '^'],
]);

function tokensOf(expression: string): Token[] {
  const tokens: Token[] = [];
  const end = expression.trimEnd().length;
  TOKEN.lastIndex = 0;
  for (let from = 0; from < end; from = TOKEN.lastIndex) {
    TOKEN.lastIndex = from;
    const found = TOKEN.exec(expression);
    if (!found) {
      const at = from + (/^\s*/.exec(expression.slice(from))?.[0].length ?? 0);
      throw new NumberError(`At character ${at + 1}: ${JSON.stringify(expression[at])} means nothing here.`);
    }
    const text = found[1] ?? found[2] ?? found[3] ?? '';
    tokens.push({ text: SAME.get(text) ?? text, at: TOKEN.lastIndex - text.length + 1 });
  }
  return tokens;
}

type Operator = (a: Fraction, b: Fraction) => Fraction;
const sums: Readonly<Record<string, Operator>> = { '+': add, '-': subtract };
const products: Readonly<Record<string, Operator>> = { '*': multiply, '/': divide, '%': remainder };

const zero = fraction(0n);
const constants: Readonly<Record<string, Fraction>> = {
  pi: { ...parseFraction('3.14159265358979323846264338327950288419716939937510'), exact: false },
  e: { ...parseFraction('2.71828182845904523536028747135266249775724709369995'), exact: false },
};

/** With how many arguments, at least and at most. */
const functions: Readonly<Record<string, readonly [number, number, (...args: [Fraction, ...Fraction[]]) => Fraction]>> =
  {
    abs: [1, 1, (a) => (compare(a, zero) < 0 ? negate(a) : a)],
    ceil: [1, 1, (a) => negate(floor(negate(a)))],
    floor: [1, 1, (a) => floor(a)],
    max: [1, 100, (...args) => args.reduce((a, b) => (compare(a, b) < 0 ? b : a))],
    min: [1, 100, (...args) => args.reduce((a, b) => (compare(a, b) > 0 ? b : a))],
    round: [1, 2, (a, decimals = zero) => round(a, decimals)],
    sqrt: [1, 1, (a) => squareRoot(a)],
  };

function evaluate(tokens: readonly Token[]): Fraction {
  let next = 0;
  let depth = 0;
  const peek = (): string | undefined => tokens[next]?.text;
  const where = (token: Token | undefined): string => (token ? `At character ${token.at}` : 'At the end');
  const unexpected = (wanted: string): NumberError => {
    const token = tokens[next];
    return new NumberError(`${where(token)}: ${wanted} is expected${token ? `, not ${token.text.slice(0, 40)}` : ''}.`);
  };
  const expect = (text: string): void => {
    if (peek() !== text) throw unexpected(text);
    next++;
  };
  /** Says where, for the arithmetic does not know. */
  const at = (token: Token | undefined, work: () => Fraction): Fraction => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof NumberError) || error.message.startsWith('At ')) throw error;
      throw new NumberError(`${where(token)}: ${error.message}.`);
    }
  };
  const nested = (work: () => Fraction): Fraction => {
    if (++depth > MAX_DEPTH)
      throw new NumberError(`${where(tokens[next])}: this is nested more than ${MAX_DEPTH} deep.`);
    const value = work();
    depth--;
    return value;
  };
  const leftToRight = (operators: Readonly<Record<string, Operator>>, operand: () => Fraction): Fraction => {
    let value = operand();
    for (;;) {
      const token = tokens[next];
      const operator = token && Object.hasOwn(operators, token.text) ? operators[token.text] : undefined;
      if (!operator) return value;
      next++;
      const left = value;
      const right = operand();
      value = at(token, () => operator(left, right));
    }
  };
  const sum = (): Fraction => leftToRight(sums, () => leftToRight(products, signed));
  const signed = (): Fraction =>
    nested(() => {
      if (peek() !== '-' && peek() !== '+') return raised();
      const sign = tokens[next++]?.text;
      return sign === '-' ? negate(signed()) : signed();
    });
  const raised = (): Fraction => {
    const base = operand();
    const token = tokens[next];
    if (token?.text !== '^') return base;
    next++;
    const exponent = signed();
    return at(token, () => power(base, exponent));
  };
  const operand = (): Fraction => {
    const token = tokens[next];
    if (!token) throw unexpected('a number');
    if (/^[\d.]/.test(token.text)) {
      next++;
      return at(token, () => parseFraction(token.text));
    }
    if (token.text === '(') {
      next++;
      const value = nested(sum);
      expect(')');
      return value;
    }
    if (/^[A-Za-z_]/.test(token.text)) return named(token);
    throw unexpected('a number');
  };
  const named = (token: Token): Fraction => {
    const name = token.text.toLowerCase();
    next++;
    const constant = Object.hasOwn(constants, name) ? constants[name] : undefined;
    if (constant) return constant;
    const found = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (!found) {
      const known = [...Object.keys(functions), ...Object.keys(constants)].join(', ');
      throw new NumberError(`At character ${token.at}: ${token.text.slice(0, 40)} is not known. There are ${known}.`);
    }
    expect('(');
    const args = [nested(sum)] as [Fraction, ...Fraction[]];
    while (peek() === ',') {
      next++;
      args.push(nested(sum));
    }
    expect(')');
    const [least, most, compute] = found;
    if (args.length < least || args.length > most) {
      throw new NumberError(
        `At character ${token.at}: ${name} takes ${least === most ? least : `${least} to ${most}`}.`,
      );
    }
    return at(token, () => compute(...args));
  };
  const value = sum();
  if (next < tokens.length) throw unexpected('an operator');
  return value;
}

// The functions and methods that expressions may call: CEL's own, as far as they make sense for JSON values.
import { ExpressionError } from './errors.ts';
import { anyType, boolType, numberType, stringType, type Kind, type Type } from './types.ts';
import { finite, shown, type Budget, type Json } from './values.ts';

export interface Callable {
  /** The kinds that each argument may have; a method's first is its receiver. */
  takes: Kind[][];
  /** How many of them must be there. */
  required: number;
  gives: Type;
  call: (budget: Budget, ...args: never[]) => Json;
}

const sizable: Kind[] = ['string', 'list', 'map'];
const text: Kind[] = ['string'];
const number: Kind[] = ['number'];
const scalar: Kind[] = ['string', 'number', 'bool'];

const anyEight: Kind[][] = Array.from({ length: 8 }, () => []);

function callable(takes: Kind[][], gives: Type, call: Callable['call'], required = takes.length): Callable {
  return { takes, required, gives, call };
}

const size = callable([sizable], numberType, (budget: Budget, value: string | Json[] | Record<string, Json>) => {
  if (typeof value === 'string') return letters(budget, value).length;
  return Array.isArray(value) ? value.length : Object.keys(value).length;
});

export const functions: ReadonlyMap<string, Callable> = new Map([
  ['size', size],
  ['dyn', callable([[]], anyType, (_: Budget, value: Json) => value)],
  ['string', callable([scalar], stringType, (_: Budget, value: string | number | boolean) => String(value))],
  ['double', callable([['number', 'string']], numberType, (_: Budget, value: string | number) => toNumber(value))],
  ['int', callable([['number', 'string']], numberType, (_: Budget, value: string | number) => toWhole(value))],
  ['bool', callable([['bool', 'string']], boolType, (_: Budget, value: boolean | string) => toBool(value))],
  // Branches of which one was taken are joined so: the others' outputs are null.
  [
    'coalesce',
    callable(anyEight, anyType, (_: Budget, ...values: Json[]) => values.find((one) => one !== null) ?? null, 1),
  ],
]);

export const methods: ReadonlyMap<string, Callable> = new Map([
  ['size', size],
  ['startsWith', textTest((value, part) => value.startsWith(part))],
  ['endsWith', textTest((value, part) => value.endsWith(part))],
  ['contains', textTest((value, part) => value.includes(part))],
  ['trim', textToText((value) => value.trim())],
  ['lowerAscii', textToText((value) => value.replace(/[A-Z]+/g, (part) => part.toLowerCase()))],
  ['upperAscii', textToText((value) => value.replace(/[a-z]+/g, (part) => part.toUpperCase()))],
  ['indexOf', callable([text, text, number], numberType, indexOf, 2)],
  ['lastIndexOf', callable([text, text], numberType, lastIndexOf)],
  ['substring', callable([text, number, number], stringType, substring, 2)],
  ['split', callable([text, text, number], { kind: 'list', element: stringType }, split, 2)],
  ['join', callable([['list'], text], stringType, join, 1)],
  ['sum', overNumbers('sum', (numbers) => numbers.reduce((sum, one) => sum + one, 0))],
  ['min', overNumbers('min', (numbers) => extreme('min', numbers, (one, least) => one < least))],
  ['max', overNumbers('max', (numbers) => extreme('max', numbers, (one, most) => one > most))],
  ['flatten', callable([['list']], { kind: 'list' }, flatten)],
  ['distinct', callable([['list']], { kind: 'list' }, distinct)],
]);

function textTest(test: (value: string, part: string) => boolean): Callable {
  return callable([text, text], boolType, (budget: Budget, value: string, part: string) => {
    budget.spendText(value.length + part.length);
    return test(value, part);
  });
}

function textToText(change: (value: string) => string): Callable {
  return callable([text], stringType, (budget: Budget, value: string) => {
    budget.spendText(value.length);
    return change(value);
  });
}

/** The characters as people count them, not UTF-16's halves of some of them. */
function letters(budget: Budget, value: string): string[] | string {
  budget.spendText(value.length);
  // Without surrogates both counts are the same, and the text serves as its own list.
  if (!/[\ud800-\udfff]/.test(value)) return value;
  budget.spend(value.length);
  return Array.from(value);
}

/** Translates a position in UTF-16 to one in characters. */
function position(budget: Budget, value: string, at: number): number {
  return at < 0 ? -1 : letters(budget, value.slice(0, at)).length;
}

function indexOf(budget: Budget, value: string, part: string, from = 0): number {
  const all = letters(budget, value);
  checkPosition(from, all.length, 'indexOf');
  const skipped = typeof all === 'string' ? from : all.slice(0, from).join('').length;
  return position(budget, value, value.indexOf(part, skipped));
}

function lastIndexOf(budget: Budget, value: string, part: string): number {
  budget.spendText(value.length + part.length);
  return position(budget, value, value.lastIndexOf(part));
}

function substring(budget: Budget, value: string, start: number, end?: number): string {
  const all = letters(budget, value);
  const stop = end ?? all.length;
  checkPosition(start, all.length, 'substring');
  checkPosition(stop, all.length, 'substring');
  if (stop < start) throw new ExpressionError(`substring cannot end at ${stop} before it starts at ${start}`);
  return typeof all === 'string' ? all.slice(start, stop) : all.slice(start, stop).join('');
}

function split(budget: Budget, value: string, separator: string, limit = -1): string[] {
  budget.spend(1 + value.length);
  if (!Number.isInteger(limit)) throw new ExpressionError(`split takes a whole number of parts, not ${limit}`);
  if (limit === 0) return [];
  const parts = value.split(separator);
  if (limit < 0 || parts.length <= limit) return parts;
  return [...parts.slice(0, limit - 1), parts.slice(limit - 1).join(separator)];
}

function join(budget: Budget, parts: Json[], separator = ''): string {
  const texts = parts.map((part) => {
    if (typeof part === 'string') return part;
    throw new ExpressionError(`join takes a list of texts; ${shown(part)} is none, string(…) makes it one`);
  });
  for (const one of texts) budget.spendText(one.length + separator.length);
  return texts.join(separator);
}

function overNumbers(name: string, reduce: (numbers: number[]) => number): Callable {
  return callable([['list']], numberType, (budget: Budget, list: Json[]) => {
    budget.spend(1 + list.length);
    const numbers = list.map((one) => {
      if (typeof one === 'number') return one;
      throw new ExpressionError(`${name} takes a list of numbers; ${shown(one)} is none`);
    });
    return finite(reduce(numbers));
  });
}

function extreme(name: string, numbers: number[], isBetter: (one: number, best: number) => boolean): number {
  const [first, ...rest] = numbers;
  if (first === undefined) throw new ExpressionError(`an empty list has no ${name}`);
  return rest.reduce((best, one) => (isBetter(one, best) ? one : best), first);
}

/** One level: a list of lists becomes a list. */
function flatten(budget: Budget, list: Json[]): Json[] {
  const flat = list.flatMap((one): Json | Json[] => one);
  budget.spend(1 + list.length + flat.length);
  return flat;
}

function distinct(budget: Budget, list: Json[]): Json[] {
  const seen = new Map<string, Json>();
  for (const one of list) {
    const key = canonical(one);
    budget.spendText(key.length);
    if (!seen.has(key)) seen.set(key, one);
  }
  return [...seen.values()];
}

/** The same text for equal values, whatever the order of their fields. */
function canonical(value: Json): string {
  return JSON.stringify(value, (_, one: Json) =>
    one !== null && typeof one === 'object' && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}

function checkPosition(at: number, length: number, name: string): void {
  if (Number.isInteger(at) && at >= 0 && at <= length) return;
  throw new ExpressionError(`${name} takes positions from 0 to ${length} here, not ${at}`);
}

function toNumber(value: string | number): number {
  if (typeof value === 'number') return value;
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : NaN;
  if (Number.isNaN(number)) throw new ExpressionError(`${shown(value)} is not a number`);
  return finite(number);
}

function toWhole(value: string | number): number {
  // -0 is a number in JSON too, but nobody who cuts off decimals expects it.
  return Math.trunc(toNumber(value)) + 0;
}

function toBool(value: boolean | string): boolean {
  if (typeof value === 'boolean') return value;
  const lower = value.toLowerCase();
  if (lower === 'true' || lower === 'false') return lower === 'true';
  throw new ExpressionError(`${shown(value)} is neither true nor false`);
}

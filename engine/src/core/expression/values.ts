// Values in expressions are JSON values, and there is one kind of number. docs/decisions/0005-numbers-in-expressions.md
import { ExpressionError, ExpressionLimitError } from './errors.ts';
import { isRecord, type Kind } from './types.ts';

export type Json = null | boolean | number | string | Json[] | { [field: string]: Json };

/** How many steps one evaluation may take: about 20 ms. A step is a node visited, an element, or 16 characters. */
const STEPS = 1_000_000;
const CHARACTERS_PER_STEP = 16;

/** What is left of the effort that one evaluation may take. */
export class Budget {
  #left = STEPS;

  spend(steps: number): void {
    this.#left -= steps;
    if (this.#left < 0)
      throw new ExpressionLimitError('takes more than a million steps: work on less data, or do it in a step');
  }

  spendText(characters: number): void {
    this.spend(1 + characters / CHARACTERS_PER_STEP);
  }
}

export function kindOf(value: Json): Kind {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'number':
      return 'number';
    case 'string':
      return 'string';
    default:
      return 'map';
  }
}

const nouns: Record<Kind, string> = {
  any: 'a value',
  null: 'null',
  bool: 'true or false',
  number: 'a number',
  string: 'a text',
  list: 'a list',
  map: 'an object',
};

/** The kind as it is called in a message. */
export const nounOf = (kind: Kind): string => nouns[kind];

/** Deep equality; values of different kinds are just not equal. */
export function equal(left: Json, right: Json, budget: Budget): boolean {
  budget.spend(1);
  if (left === right) return true;
  if (Array.isArray(left)) {
    if (!Array.isArray(right) || left.length !== right.length) return false;
    return left.every((element, i) => equal(element, right[i] as Json, budget));
  }
  if (!isRecord(left) || !isRecord(right)) return false;
  const names = Object.keys(left);
  if (names.length !== Object.keys(right).length) return false;
  return names.every((name) => Object.hasOwn(right, name) && equal(left[name] as Json, right[name] as Json, budget));
}

/** A number that JSON can hold. */
export function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new ExpressionError('the result is too large for a number');
}

export function fieldOf(object: Json, name: string): Json {
  if (!isRecord(object)) throw new ExpressionError(`${nounOf(kindOf(object))} has no field '${name}'`);
  if (Object.hasOwn(object, name)) return object[name] as Json;
  throw new ExpressionError(`there is no field '${name}'${choices(Object.keys(object))}`);
}

export function elementAt(list: Json[], index: Json): Json {
  if (typeof index !== 'number' || !Number.isInteger(index)) {
    throw new ExpressionError(`the position in a list must be a whole number, not ${shown(index)}`);
  }
  const element = list[index];
  if (element !== undefined) return element;
  throw new ExpressionError(`there is no element ${index} in a list of ${list.length}; the first is 0`);
}

/** `; there are: a, b` with as many names as help. */
export function choices(names: Iterable<string>): string {
  const all = [...names];
  if (all.length === 0) return '';
  return `; there ${all.length === 1 ? 'is' : 'are'}: ${all.slice(0, 12).join(', ')}${all.length > 12 ? ', …' : ''}`;
}

/** A value in a message: short, on one line. */
export function shown(value: Json): string {
  const kind = kindOf(value);
  if (kind === 'list' || kind === 'map') return nounOf(kind);
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

// What CEL's operators do, with one kind of number.
import { ExpressionError } from './errors.ts';
import { anyType, boolType, numberType, type Kind, type Type } from './types.ts';
import { equal, finite, kindOf, nounOf, shown, type Budget, type Json } from './values.ts';

export interface Operator {
  /** The type of the result, or undefined if no values of these types go together. */
  type: (left: Type, right: Type) => Type | undefined;
  apply: (left: Json, right: Json, budget: Budget) => Json;
}

const ordered: Kind[] = ['number', 'string', 'bool'];

export const operators: ReadonlyMap<string, Operator> = new Map([
  ['+', { type: sameKind(['number', 'string', 'list']), apply: add }],
  ['-', arithmetic('-', (left, right) => left - right)],
  ['*', arithmetic('*', (left, right) => left * right)],
  ['/', arithmetic('/', (left, right) => left / nonZero(right))],
  ['%', arithmetic('%', (left, right) => left % nonZero(right))],
  ['==', { type: comparable, apply: equal }],
  ['!=', { type: comparable, apply: (left, right, budget) => !equal(left, right, budget) }],
  ['<', comparison('<', (left, right) => left < right)],
  ['<=', comparison('<=', (left, right) => left <= right)],
  ['>', comparison('>', (left, right) => left > right)],
  ['>=', comparison('>=', (left, right) => left >= right)],
  ['in', { type: membership, apply: contains }],
]);

/** Why an operator cannot work on values of these kinds, and what would. */
export function mismatch(op: string, left: Kind, right: Kind): string {
  const kinds = `${nounOf(left)} ${op} ${nounOf(right)}`;
  const textAndOther = op === '+' && left !== right && (left === 'string' || right === 'string');
  if (textAndOther)
    return `${kinds} doesn't go together: string(…) makes a text of a number, or write $(…) inside the text`;
  if (op === '==' || op === '!=') return `${kinds} compares what is never equal`;
  return `${kinds} doesn't go together`;
}

function arithmetic(op: string, compute: (left: number, right: number) => number): Operator {
  return {
    type: sameKind(['number']),
    apply: (left, right) => {
      if (typeof left !== 'number' || typeof right !== 'number') throw clash(op, left, right);
      return finite(compute(left, right));
    },
  };
}

function comparison(op: string, compare: (left: never, right: never) => boolean): Operator {
  return {
    type: (left, right) => sameKind(ordered)(left, right) && boolType,
    apply: (left, right, budget) => {
      const kind = kindOf(left);
      if (kind !== kindOf(right) || !ordered.includes(kind)) throw clash(op, left, right);
      if (typeof left === 'string') budget.spendText(left.length);
      return compare(left as never, right as never);
    },
  };
}

function add(left: Json, right: Json, budget: Budget): Json {
  if (typeof left === 'number' && typeof right === 'number') return finite(left + right);
  if (typeof left === 'string' && typeof right === 'string') {
    budget.spendText(left.length + right.length);
    return left + right;
  }
  if (!Array.isArray(left) || !Array.isArray(right)) throw clash('+', left, right);
  budget.spend(left.length + right.length);
  return [...left, ...right];
}

function contains(member: Json, whole: Json, budget: Budget): boolean {
  if (Array.isArray(whole)) return whole.some((element) => equal(member, element, budget));
  if (kindOf(whole) === 'map' && typeof member === 'string') return Object.hasOwn(whole as object, member);
  throw clash('in', member, whole);
}

function nonZero(divisor: number): number {
  if (divisor !== 0) return divisor;
  throw new ExpressionError('division by zero');
}

function clash(op: string, left: Json, right: Json): ExpressionError {
  const values = [left, right].map(shown).join(` ${op} `);
  return new ExpressionError(`${mismatch(op, kindOf(left), kindOf(right))} (${values})`);
}

function sameKind(kinds: Kind[]): Operator['type'] {
  return (left, right) => {
    const known = [left, right].filter(({ kind }) => kind !== 'any');
    if (known.some(({ kind }) => !kinds.includes(kind) || kind !== known[0]?.kind)) return undefined;
    if (kinds.length === 1) return numberType;
    return known.length === 0 ? anyType : { kind: known[0]?.kind ?? 'any' };
  };
}

function comparable(left: Type, right: Type): Type | undefined {
  const known = [left.kind, right.kind].filter((kind) => kind !== 'any' && kind !== 'null');
  return known.length === 2 && known[0] !== known[1] ? undefined : boolType;
}

function membership(member: Type, whole: Type): Type | undefined {
  const fits =
    whole.kind === 'any' || whole.kind === 'list' || (whole.kind === 'map' && ['any', 'string'].includes(member.kind));
  return fits ? boolType : undefined;
}

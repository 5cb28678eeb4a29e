// What the pieces of a compiled expression share.
import type { ASTNode } from '@marcbachmann/cel-js';
import { ExpressionError } from './errors.ts';
import type { Kind, Type } from './types.ts';
import { nounOf, shown, type Budget, type Json } from './values.ts';

/** The names that an expression may use. */
export interface Scope {
  variables: ReadonlyMap<string, Type>;
  /** The steps whose outputs are there by then, and all others with why theirs isn't. */
  steps: ReadonlyMap<string, { output: Type } | { missing: string }>;
}

/** The values behind the names. */
export interface Values {
  variable: (name: string) => Json;
  output: (step: string) => Json;
}

export interface Expression {
  type: Type;
  /** Throws ExpressionError. */
  evaluate: (values: Values) => Json;
}

/** What a running evaluation has at hand; each macro's variable is one slot. */
export interface Frame {
  values: Values;
  budget: Budget;
  slots: Json[];
}

/** One compiled piece of an expression. */
export interface Node {
  type: Type;
  run: (frame: Frame) => Json;
}

/** Where a piece is being compiled. */
export interface Context {
  scope: Scope;
  locals: ReadonlyMap<string, { slot: number; type: Type }>;
  /** How many macros stand around it: the next free slot. */
  depth: number;
}

export type Compile = (ast: ASTNode, context: Context) => Node;

export function bool(value: Json, where: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new ExpressionError(`${where} takes true or false, not ${shown(value)}`);
}

/** Refuses what is known to be of another kind. No kinds: any will do. */
export function expectKind({ kind }: Type, kinds: Kind[], where: string): void {
  if (kind === 'any' || kinds.length === 0 || kinds.includes(kind)) return;
  throw new ExpressionError(`${where} takes ${kinds.map(nounOf).join(' or ')}, not ${nounOf(kind)}`);
}

// What the pieces of a compiled expression share.
import type { ASTNode } from '@marcbachmann/cel-js';
import { ExpressionError } from './errors.ts';
import type { Kind, Type } from './types.ts';
import { nounOf, shown, type Budget, type Json } from './values.ts';

/** A step as an expression sees it: what it gives, or why nothing of it is there by then and how to mend that. */
export type StepView = VisibleStep | { missing: string };

export interface VisibleStep {
  output: Type;
  /** Of a race: the names of its steps. */
  racers?: readonly string[];
}

/** The names that an expression may use. */
export interface Scope {
  variables: ReadonlyMap<string, Type>;
  /** `keys`: those to choose from. */
  steps: Pick<ReadonlyMap<string, StepView>, 'get' | 'keys'>;
  /** Gathers what is used: `input`, `steps.draft`. */
  uses?: Set<string>;
}

/** What expressions may ask of a step. */
export type StepField = 'output' | 'failure' | 'phase' | 'winner';

/** The values behind the names. */
export interface Values {
  variable: (name: string) => Json;
  step: (name: string, field: StepField) => Json;
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
  /** Of a text that is written out. */
  text?: string;
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

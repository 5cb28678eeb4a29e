// CEL's macros over lists and over the keys of objects: all, exists, exists_one, filter and map.
import type { ASTNode } from '@marcbachmann/cel-js';
import { ExpressionError } from './errors.ts';
import { bool, expectKind, type Compile, type Context, type Frame, type Node } from './node.ts';
import { anyType, boolType, stringType, type Type } from './types.ts';
import { kindOf, nounOf, type Json } from './values.ts';

const names = ['all', 'exists', 'exists_one', 'filter', 'map'] as const;
type MacroName = (typeof names)[number];

export function isMacro(name: string): name is MacroName {
  return (names as readonly string[]).includes(name);
}

/** `args`: the receiver, the variable, and one or two expressions. */
export function compileMacro(name: MacroName, args: [ASTNode, ...ASTNode[]], context: Context, compile: Compile): Node {
  const [receiver, variable, ...bodies] = args;
  const range = compile(receiver, context);
  expectKind(range.type, ['list', 'map'], name);
  if (variable?.op !== 'id' || bodies.length === 0 || bodies.length > (name === 'map' ? 2 : 1)) {
    throw new ExpressionError(`${name} takes a name and an expression, such as list.${name}(x, …)`);
  }
  const slot = context.depth;
  const type = elementType(range.type);
  const locals = new Map([...context.locals, [variable.args, { slot, type }] as const]);
  const inner: Context = { ...context, locals, depth: slot + 1 };
  const [first, second] = bodies.map((body) => compile(body, inner)) as [Node, Node?];
  if (name !== 'map' || second) expectKind(first.type, ['bool'], name);
  const each = (frame: Frame, visit: (element: Json) => boolean | undefined): void => {
    elements(range.run(frame), name).every((element) => {
      frame.slots[slot] = element;
      return visit(element) !== false;
    });
  };
  const holds = (frame: Frame): boolean => bool(first.run(frame), name);
  if (name === 'map') return second ? mapping(second, each, holds) : mapping(first, each, () => true);
  return quantifiers[name](each, holds, type);
}

type Each = (frame: Frame, visit: (element: Json) => boolean | undefined) => void;
type Holds = (frame: Frame) => boolean;

const quantifiers: Record<Exclude<MacroName, 'map'>, (each: Each, holds: Holds, element: Type) => Node> = {
  all: (each, holds) => ({
    type: boolType,
    run: (frame) => {
      let result = true;
      each(frame, () => (result = holds(frame)));
      return result;
    },
  }),
  exists: (each, holds) => ({
    type: boolType,
    run: (frame) => {
      let result = false;
      each(frame, () => !(result = holds(frame)));
      return result;
    },
  }),
  exists_one: (each, holds) => ({
    type: boolType,
    run: (frame) => {
      let count = 0;
      each(frame, () => {
        if (holds(frame)) count++;
        return count < 2;
      });
      return count === 1;
    },
  }),
  filter: (each, holds, element) => ({
    type: { kind: 'list', element },
    run: (frame) => {
      const kept: Json[] = [];
      each(frame, (one) => {
        if (holds(frame)) kept.push(one);
        return true;
      });
      return kept;
    },
  }),
};

function mapping(body: Node, each: Each, holds: Holds): Node {
  return {
    type: { kind: 'list', element: body.type },
    run: (frame) => {
      const results: Json[] = [];
      each(frame, () => {
        if (holds(frame)) results.push(body.run(frame));
        return true;
      });
      return results;
    },
  };
}

function elementType(range: Type): Type {
  if (range.kind === 'map') return stringType;
  return range.element ?? anyType;
}

function elements(range: Json, name: string): Json[] {
  if (Array.isArray(range)) return range;
  if (kindOf(range) === 'map') return Object.keys(range as object);
  throw new ExpressionError(`${name} takes a list or an object, not ${nounOf(kindOf(range))}`);
}

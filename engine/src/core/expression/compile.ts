// Turns the text of one CEL expression into a function. cel-js reads the text; the meaning is here, because numbers must
// behave as in JSON and because nobody may hold up the engine. docs/decisions/0005-numbers-in-expressions.md
import { Environment, type ASTNode } from '@marcbachmann/cel-js';
import { ExpressionError, ExpressionLimitError } from './errors.ts';
import { functions, methods, type Callable } from './functions.ts';
import { compileMacro, isMacro } from './macros.ts';
import { bool, expectKind, type Context, type Expression, type Node, type Scope } from './node.ts';
import { mismatch, operators } from './operators.ts';
import { spelled, stepReference } from './references.ts';
import { meant } from './suggest.ts';
import { anyType, boolType, commonType, numberType, type Type } from './types.ts';
import { Budget, choices, elementAt, fieldOf, finite, kindOf, nounOf, shown, type Json } from './values.ts';

const parser = new Environment({
  limits: { maxAstNodes: 2000, maxDepth: 100, maxListElements: 500, maxMapEntries: 500 },
});

/** Throws {@link ExpressionError} for text that is no expression, or one that cannot work in this scope. */
export function compileExpression(text: string, scope: Scope): Expression {
  const node = compile(parse(text), { scope, locals: new Map(), depth: 0 });
  return { type: node.type, evaluate: (values) => node.run({ values, budget: new Budget(), slots: [] }) };
}

function parse(text: string): ASTNode {
  try {
    return parser.parse(text).ast;
  } catch (error) {
    const summary = (error as { summary?: unknown }).summary;
    throw new ExpressionError(typeof summary === 'string' ? summary : 'cannot be read as an expression', {
      cause: error,
    });
  }
}

function compile(ast: ASTNode, context: Context): Node {
  const node = compileBare(ast, context);
  const { run } = node;
  return {
    ...node,
    run: (frame) => {
      frame.budget.spend(1);
      return run(frame);
    },
  };
}

function compileBare(ast: ASTNode, context: Context): Node {
  switch (ast.op) {
    case 'value':
      return literal(ast.args);
    case 'id':
      return variable(ast.args, context);
    case '.':
      return stepReference(ast, context) ?? field(compile(ast.args[0], context), ast.args[1]);
    case '[]':
      return stepReference(ast, context) ?? index(compile(ast.args[0], context), compile(ast.args[1], context));
    case 'call':
      return call(ast.args[0], ast.args[1], context);
    case 'rcall':
      return methodCall(ast.args[0], ast.args[1], ast.args[2], context);
    case 'list':
      return list(ast.args.map((element) => compile(element, context)));
    case 'map':
      return map(ast.args.map(([key, value]) => [compile(key, context), compile(value, context)]));
    case '?:':
      return conditional(ast.args.map((part) => compile(part, context)) as [Node, Node, Node]);
    case '&&':
    case '||':
      return logical(ast.op, compile(ast.args[0], context), compile(ast.args[1], context));
    case '!_':
      return negation(compile(ast.args, context));
    case '-_':
      return minus(compile(ast.args, context));
    case '.?':
    case '[?]':
      throw new ExpressionError('optional fields with ? are not available: use has(…)');
    default:
      return binary(ast.op, compile(ast.args[0], context), compile(ast.args[1], context));
  }
}

function literal(value: unknown): Node {
  const json = jsonLiteral(value);
  return { type: { kind: kindOf(json) }, run: () => json, ...(typeof json === 'string' && { text: json }) };
}

function jsonLiteral(value: unknown): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  if (typeof value === 'number') return finite(value);
  // 3 and 3u: cel-js gives a bigint, or an object around one.
  const whole = typeof value === 'object' ? (value as { valueOf: () => unknown }).valueOf() : value;
  if (typeof whole !== 'bigint') throw new ExpressionError('bytes are not available: use texts');
  if (Number.isSafeInteger(Number(whole))) return Number(whole);
  throw new ExpressionError(`${whole} is too large for an exact number: write it as a text`);
}

function variable(name: string, { scope, locals }: Context): Node {
  const local = locals.get(name);
  if (local) return { type: local.type, run: (frame) => frame.slots[local.slot] as Json };
  const type = scope.variables.get(name);
  if (!type) throw new ExpressionError(noVariable(name, scope, locals));
  scope.uses?.add(name);
  return { type, run: (frame) => frame.values.variable(name) };
}

/** Names that mean something in some places only. */
const elsewhere: Record<string, string> = {
  index: 'inside a step with forEach',
  round: 'inside a step with repeat',
  previous: 'inside a step with repeat',
  output: 'in repeat.until',
  outputs: 'in forEach.until',
  event: 'in wait.event.filter',
};

function noVariable(name: string, { variables, steps }: Scope, locals: Context['locals']): string {
  if (name === 'steps') return "steps is not a value: write steps.<name>.output, or steps['<name>'].output";
  const place = Object.hasOwn(elsewhere, name) ? elsewhere[name] : undefined;
  if (place !== undefined) return `${name} is known ${place} only`;
  if (steps.get(name)) return `there is no variable ${name}: the output of the step is ${spelled(name)}`;
  const known = [...locals.keys(), ...variables.keys(), 'steps'];
  return `there is no variable ${name}${meant(name, known) || choices(known)}`;
}

function field(object: Node, name: string): Node {
  const { type } = object;
  if (type.kind !== 'any' && type.kind !== 'map')
    throw new ExpressionError(`${nounOf(type.kind)} has no field '${name}'`);
  const known = type.fields?.get(name);
  if (!known && type.closed) {
    const fields = [...(type.fields?.keys() ?? [])];
    throw new ExpressionError(
      type.absent?.get(name) ?? `there is no field '${name}'${meant(name, fields) || choices(fields)}`,
    );
  }
  return { type: known ?? anyType, run: (frame) => fieldOf(object.run(frame), name) };
}

function index(whole: Node, key: Node): Node {
  const kind = whole.type.kind;
  if (kind !== 'any' && kind !== 'map' && kind !== 'list') throw new ExpressionError(`${nounOf(kind)} has no elements`);
  expectKind(
    key.type,
    kind === 'list' ? ['number'] : kind === 'map' ? ['string'] : ['number', 'string'],
    'the key in […]',
  );
  return {
    type: whole.type.element ?? anyType,
    run: (frame) => {
      const value = whole.run(frame);
      const at = key.run(frame);
      if (Array.isArray(value)) return elementAt(value, at);
      if (typeof at === 'string') return fieldOf(value, at);
      throw new ExpressionError(`${nounOf(kindOf(value))} has no element ${shown(at)}`);
    },
  };
}

function call(name: string, args: ASTNode[], context: Context): Node {
  const argument = args[0];
  if (name === 'has' && argument) return has(argument, context);
  const found = functions.get(name);
  if (!found) throw new ExpressionError(`there is no function ${name}${choices(functions.keys())}`);
  return callWith(
    name,
    found,
    args.map((arg) => compile(arg, context)),
  );
}

function methodCall(name: string, receiver: ASTNode, args: ASTNode[], context: Context): Node {
  if (isMacro(name)) return compileMacro(name, [receiver, ...args], context, compile);
  const found = methods.get(name);
  if (!found) throw new ExpressionError(`there is no method ${name}${choices(methods.keys())}`);
  return callWith(
    name,
    found,
    [receiver, ...args].map((arg) => compile(arg, context)),
  );
}

function callWith(name: string, { takes, required, gives, call: work }: Callable, args: Node[]): Node {
  if (args.length < required || args.length > takes.length)
    throw new ExpressionError(`${name} is called with too ${args.length < required ? 'few' : 'many'} arguments`);
  const parameters = args.map((node, i) => ({ node, kinds: takes[i] ?? [] }));
  for (const { node, kinds } of parameters) expectKind(node.type, kinds, name);
  return {
    type: gives,
    run: (frame) => {
      const values = parameters.map(({ node, kinds }) => {
        const value = node.run(frame);
        expectKind({ kind: kindOf(value) }, kinds, name);
        return value;
      });
      return work(frame.budget, ...(values as never[]));
    },
  };
}

/** `has(a.b)`: whether there is such a field. */
function has(ast: ASTNode, context: Context): Node {
  const path =
    ast.op === '.'
      ? ast.args
      : ast.op === '[]' && ast.args[1].op === 'value'
        ? ([ast.args[0], ast.args[1].args] as const)
        : undefined;
  const name = path?.[1];
  if (!path || typeof name !== 'string') throw new ExpressionError('has takes a field, such as has(input.topic)');
  const object = compile(path[0], context);
  expectKind(object.type, ['map'], 'has');
  return {
    type: boolType,
    run: (frame) => {
      const value = object.run(frame);
      return kindOf(value) === 'map' && Object.hasOwn(value as object, name);
    },
  };
}

function list(elements: Node[]): Node {
  const element = elements
    .map(({ type }) => type)
    .reduce<Type | undefined>((one, other) => (one ? commonType(one, other) : other), undefined);
  return {
    type: { kind: 'list', element: element ?? anyType },
    run: (frame) => elements.map((node) => node.run(frame)),
  };
}

function map(entries: [Node, Node][]): Node {
  for (const [key] of entries) expectKind(key.type, ['string'], 'a key of {…}');
  return {
    type: typeOfEntries(entries),
    run: (frame) => Object.fromEntries(entries.map(([key, value]) => [keyText(key.run(frame)), value.run(frame)])),
  };
}

function typeOfEntries(entries: [Node, Node][]): Type {
  const fields = entries.flatMap(([key, { type }]) => (key.text === undefined ? [] : [[key.text, type] as const]));
  return fields.length < entries.length ? { kind: 'map' } : { kind: 'map', fields: new Map(fields), closed: true };
}

function keyText(key: Json): string {
  if (typeof key === 'string') return key;
  throw new ExpressionError(`a key of {…} must be a text, not ${shown(key)}`);
}

function conditional([condition, whenTrue, whenFalse]: [Node, Node, Node]): Node {
  expectKind(condition.type, ['bool'], 'the condition before ?');
  return {
    type: commonType(whenTrue.type, whenFalse.type),
    run: (frame) => (bool(condition.run(frame), 'the condition before ?') ? whenTrue.run(frame) : whenFalse.run(frame)),
  };
}

/** As CEL has it: if one side settles the result, an error on the other doesn't matter. */
function logical(op: '&&' | '||', left: Node, right: Node): Node {
  for (const side of [left, right]) expectKind(side.type, ['bool'], op);
  const settling = op === '||';
  return {
    type: boolType,
    run: (frame) => {
      let failed: unknown;
      try {
        if (bool(left.run(frame), op) === settling) return settling;
      } catch (error) {
        if (error instanceof ExpressionLimitError) throw error;
        failed = error;
      }
      const second = bool(right.run(frame), op);
      if (failed !== undefined && second !== settling) throw failed as Error;
      return second;
    },
  };
}

function negation(operand: Node): Node {
  expectKind(operand.type, ['bool'], '!');
  return { type: boolType, run: (frame) => !bool(operand.run(frame), '!') };
}

function minus(operand: Node): Node {
  expectKind(operand.type, ['number'], '-');
  return {
    type: numberType,
    run: (frame) => {
      const value = operand.run(frame);
      if (typeof value === 'number') return value === 0 ? 0 : -value;
      throw new ExpressionError(`- takes a number, not ${nounOf(kindOf(value))}`);
    },
  };
}

function binary(op: string, left: Node, right: Node): Node {
  const operator = operators.get(op);
  if (!operator) throw new ExpressionError(`there is no operator ${op}${choices(operators.keys())}`);
  const never = op === '==' || op === '!=' ? (impossible(left, right) ?? impossible(right, left)) : undefined;
  if (never !== undefined) throw new ExpressionError(never);
  const type = operator.type(left.type, right.type);
  if (!type) throw new ExpressionError(mismatch(op, left.type.kind, right.type.kind));
  return { type, run: (frame) => operator.apply(left.run(frame), right.run(frame), frame.budget) };
}

/** A value compared with a text that it cannot be. */
function impossible({ type: { values } }: Node, { text }: Node): string | undefined {
  if (!values || text === undefined || values.includes(text)) return undefined;
  return `it is never ${shown(text)}${meant(text, values) || choices(values)}`;
}

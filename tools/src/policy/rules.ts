// The rules of a Tool's policy: CEL expressions over one call. Whoever writes them is trusted, whoever makes the arguments is
// not: a rule that cannot be evaluated allows nothing, and no arguments can hold up the gateway, which many share.
import { Environment, type ASTNode } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';

/** What a rule knows of a call. Its namespace is that of the Tool, and CEL keeps the word for itself. */
export interface CallFacts {
  args: Record<string, unknown>;
  /** Empty if the Tool has but one operation. */
  operation: string;
  agent: string;
  /** Null outside of runs, as are step and attempt. */
  run: { name: string; requestedBy: string | null } | null;
  step: string | null;
  attempt: number | null;
}

/** `trouble`: the rule could not be evaluated on these facts, and why. */
export type RuleVerdict = { allowed: true } | { allowed: false; trouble?: string };
export interface Rule {
  allows(facts: CallFacts): RuleVerdict;
}

/** Rules that walk through lists are asked about arguments up to this size: a walk within a text takes quadratic time. */
const LARGEST_WALKED_BYTES = 64 * 1024;
const MATCHES = 'matchesRe2';
const WALKS = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
const RUN_FIELDS = ['name', 'requestedBy'];
const FACTS = ['args', 'operation', 'agent', 'run', 'step', 'attempt'];
const MOST_PATTERNS = 1_000;

const patterns = new Map<string, RE2JS>();

/** The rule, or what is wrong with its text. */
export function compileRule(text: string): Rule | { problem: string } {
  try {
    const parsed = environment.parse(text);
    const walks = harden(parsed.ast, 0);
    const { valid, type, error } = parsed.check();
    if (!valid) return { problem: complaint(error) };
    if (type !== 'bool' && type !== 'dyn') return { problem: `it gives ${type ?? 'nothing'}, not true or false` };
    return { allows: (facts) => judge(parsed, facts, walks) };
  } catch (error) {
    return { problem: complaint(error) };
  }
}

function judge(rule: (context: object) => unknown, facts: CallFacts, walks: boolean): RuleVerdict {
  try {
    if (walks && Buffer.byteLength(JSON.stringify(facts.args)) > LARGEST_WALKED_BYTES)
      return { allowed: false, trouble: `the arguments are larger than ${LARGEST_WALKED_BYTES} bytes` };
    const value = rule(celValue(facts) as object);
    if (typeof value === 'boolean') return { allowed: value };
    return { allowed: false, trouble: 'it gave neither true nor false' };
  } catch (error) {
    return { allowed: false, trouble: complaint(error) };
  }
}

const environment = celEnvironment();

function celEnvironment(): Environment {
  const made = new Environment({
    limits: { maxAstNodes: 1_000, maxDepth: 50, maxListElements: 500, maxMapEntries: 100 },
    homogeneousAggregateLiterals: false,
  })
    .registerVariable('args', 'map<string, dyn>')
    .registerVariable('operation', 'string')
    .registerVariable('agent', 'string')
    .registerVariable('run', 'dyn')
    .registerVariable('step', 'dyn')
    .registerVariable('attempt', 'dyn')
    .registerFunction(`string.${MATCHES}(string): bool`, (value: string, pattern: string) =>
      patternOf(pattern).matcher(value).find(),
    );
  // JSON has one kind of number, so whole and broken ones go together. docs/decisions/0005-numbers-in-expressions.md
  const arithmetic: Record<string, (a: number, b: number) => number> = {
    '+': (a, b) => a + b,
    '-': (a, b) => a - b,
    '*': (a, b) => a * b,
    '/': (a, b) => a / b,
  };
  for (const [operator, apply] of Object.entries(arithmetic)) {
    for (const types of [`int ${operator} double`, `double ${operator} int`])
      made.registerOperator(`${types}: double`, (a: number | bigint, b: number | bigint) =>
        apply(Number(a), Number(b)),
      );
  }
  return made;
}

/**
 * Refuses what could take more than linear time, and names that are none. Whether there is a walk in it.
 * @throws {Error}
 */
function harden(node: ASTNode, depth: number): boolean {
  let walks = false;
  if (node.op === 'rcall') {
    const [name, , args] = node.args;
    if (name === 'matches') {
      const [pattern] = args;
      if (args.length !== 1 || pattern?.op !== 'value' || typeof pattern.args !== 'string')
        throw new Error('matches wants its pattern (RE2) written out, such as args.to.matches("^a+$")');
      patternOf(pattern.args);
      (node.args as unknown[])[0] = MATCHES;
    }
    if (WALKS.has(name)) {
      if (depth > 0) throw new Error(`${name} cannot stand within another walk through a list`);
      walks = true;
    }
  }
  const fact = unknownField(node);
  if (fact !== undefined) throw new Error(fact);
  const within = depth + (walks ? 1 : 0);
  for (const child of childrenOf(node.args)) walks = harden(child, within) || walks;
  return walks;
}

function unknownField(node: ASTNode): string | undefined {
  if (node.op !== '.') return undefined;
  const [object, field] = node.args;
  if (object.op !== 'id' || object.args !== 'run' || RUN_FIELDS.includes(field)) return undefined;
  return `run has no field ${field}; it has ${RUN_FIELDS.join(' and ')}`;
}

function childrenOf(args: unknown): ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf);
  return typeof args === 'object' && args !== null && 'op' in args ? [args as ASTNode] : [];
}

function patternOf(pattern: string): RE2JS {
  const known = patterns.get(pattern);
  if (known) return known;
  if (patterns.size >= MOST_PATTERNS) patterns.clear();
  const compiled = RE2JS.compile(pattern);
  patterns.set(pattern, compiled);
  return compiled;
}

/** JSON as CEL sees it: whole numbers are its ints. */
function celValue(value: unknown): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(celValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, celValue(field)]));
}

/** In a sentence: below it the parser draws where in the text it is. */
function complaint(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = text.split('\n', 1)[0]?.slice(0, 300) ?? '';
  return line.startsWith('Unknown variable') ? `${line}; there are: ${FACTS.join(', ')}` : line;
}

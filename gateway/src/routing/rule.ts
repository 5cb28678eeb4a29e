// The rule of a route by complexity: a CEL expression over what is asked. It runs for each call in a gateway that many
// share, so whatever could hold it up is refused: patterns are RE2's, lists are gone through once, texts are cut.
import { Environment, type ASTNode } from '@marcbachmann/cel-js';
import { routePaths, type RoutePath } from '@kadre/crds';
import { BoundedMap } from '@kadre/store';
import type { ChatCall } from '../pipeline/call.ts';
import { matchesScript } from '../providers/simulated/pattern.ts';
import { factsOf } from './facts.ts';

const CAPACITY = 1_000;
const MATCHES = 'matchesRe2';
const WALKS = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
/** They make much of little. */
const REFUSED = new Set(['bind', 'split']);

const environment = new Environment({
  limits: { maxAstNodes: 500, maxDepth: 50, maxListElements: 100, maxMapEntries: 100 },
})
  .registerVariable('prompt', 'string')
  .registerVariable('instructions', 'string')
  .registerVariable('inputTokens', 'int')
  .registerVariable('messages', 'int')
  .registerVariable('tools', 'list<string>')
  .registerVariable('images', 'int')
  .registerVariable('structured', 'bool')
  .registerVariable('reasoning', 'string')
  .registerVariable('streamed', 'bool')
  .registerVariable('agent', 'string')
  .registerVariable('step', 'string')
  .registerFunction(`string.${MATCHES}(string): bool`, (text: string, pattern: string) => {
    const result = matchesScript(pattern, text);
    if (typeof result === 'string') throw new Error(`the pattern ${pattern.slice(0, 60)} cannot be used: ${result}`);
    return result;
  });

type Rule = (call: ChatCall) => RoutePath;
type Compiled = { rule: Rule } | { problem: string };

const compiled = new BoundedMap<string, Compiled>(CAPACITY);

/** What is wrong with the text of a rule; undefined if nothing is. */
export function ruleProblem(text: string): string | undefined {
  const rule = compileOnce(text);
  return 'problem' in rule ? rule.problem : undefined;
}

/** Throws an Error that says in a sentence why the rule gives no path for this call. */
export function pathByRule(text: string, call: ChatCall): RoutePath {
  const rule = compileOnce(text);
  if ('problem' in rule) throw new Error(rule.problem);
  return rule.rule(call);
}

function compileOnce(text: string): Compiled {
  const known = compiled.get(text) ?? compile(text);
  compiled.set(text, known);
  return known;
}

function compile(text: string): Compiled {
  try {
    const parsed = environment.parse(text);
    harden(parsed.ast, 0);
    const { valid, type, error } = parsed.check();
    if (!valid) return { problem: firstLine(error) };
    if (type !== 'string' && type !== 'dyn') return { problem: `it gives ${type ?? 'nothing'}, not a string` };
    return { rule: (call) => pathOf(parsed(factsOf(call))) };
  } catch (error) {
    return { problem: firstLine(error) };
  }
}

function pathOf(value: unknown): RoutePath {
  const path = routePaths.find((one) => one === value);
  if (path) return path;
  throw new Error(`it gave ${JSON.stringify(String(value).slice(0, 60))}, which is none of ${routePaths.join(', ')}`);
}

/** Throws for what takes more than linear time. */
function harden(node: ASTNode, walks: number): void {
  if (node.op === 'rcall') {
    const [name, on] = node.args;
    if (REFUSED.has(name)) throw new Error(`${name} is not for rules`);
    if (name === 'matches') {
      const isLong = on.op !== 'id' || environment.hasVariable(on.args);
      if (walks > 0 && isLong) throw new Error('within a walk through a list, matches is for what is walked through');
      (node.args as unknown[])[0] = MATCHES;
    }
    if (WALKS.has(name)) {
      if (walks > 0) throw new Error(`${name} cannot stand within another walk through a list`);
      walks += 1;
    }
  }
  eachNode(node.args, (child) => harden(child, walks));
}

function eachNode(args: unknown, visit: (node: ASTNode) => void): void {
  if (Array.isArray(args)) for (const one of args) eachNode(one, visit);
  else if (typeof args === 'object' && args !== null && 'op' in args) visit(args as ASTNode);
}

/** Below it the parser draws where in the text it is. */
const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]?.slice(0, 300) ?? '';

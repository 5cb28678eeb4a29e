import { describe, expect, test } from '@jest/globals';
import { isAllowed } from './allow.ts';
import { compileRule, type CallFacts, type RuleVerdict } from './rules.ts';

const facts: CallFacts = {
  args: { amount: 40, rate: 0.5, to: 'ann@example.com', tags: ['a', 'b'], nested: { deep: [1, 2] }, none: null },
  operation: 'transfer',
  agent: 'clerk',
  run: { name: 'r-1', requestedBy: 'ann' },
  step: 'pay[0]',
  attempt: 2,
};

function judge(text: string, other: Partial<CallFacts> = {}): RuleVerdict {
  const rule = compileRule(text);
  if ('problem' in rule) throw new Error(rule.problem);
  return rule.allows({ ...facts, ...other });
}

describe('a rule knows', () => {
  test.each([
    'args.amount <= 100',
    'args.amount == 40 && args.amount == 40.0',
    'args.amount * args.rate == 20.0',
    'args.amount + 0.5 < 41',
    'args.amount - args.rate > 39 && args.rate - 1 < 0 && args.amount / args.rate == 80.0',
    'args.to.endsWith("@example.com")',
    'args.to.matches("^[a-z]+@example[.]com$")',
    'args["to"] in ["ann@example.com"]',
    'has(args.nested) && !has(args.missing)',
    'args.none == null',
    'args.nested.deep[1] == 2',
    'args.tags.all(tag, tag in ["a", "b", "c"])',
    'size(args.tags) == 2 && args.tags.exists(tag, tag == "a") && args.tags.filter(tag, tag == "b") == ["b"]',
    'operation == "transfer" && agent == "clerk"',
    'run.name == "r-1" && run.requestedBy == "ann" && step == "pay[0]" && attempt == 2',
  ])('%s', (text) => {
    expect(judge(text)).toEqual({ allowed: true });
  });

  test('that a call is outside of runs, and who asked for the run only if it is known', () => {
    const outside = { run: null, step: null, attempt: null };
    expect(judge('run == null && step == null && attempt == null', outside)).toEqual({ allowed: true });
    expect(judge('run != null && run.requestedBy == "ann"', outside)).toEqual({ allowed: false });
    expect(judge('run.requestedBy == "ann"', { run: { name: 'r', requestedBy: null } })).toEqual({ allowed: false });
  });
});

describe('a rule allows nothing', () => {
  test.each([
    ['that is false', 'args.amount > 100', undefined],
    ['when a field is missing', 'args.missing == 1', /missing/],
    ['when types do not go together', 'args.to > 5', /no such overload/],
    ['when it gives no truth', 'args.to', /neither true nor false/],
    ['when the run is not there', 'run.name == "x"', /name|null/],
    ['when what it divides by is nothing', 'args.amount / 0 == 1', /zero/],
  ])('%s: %s', (_, text, trouble) => {
    const verdict = judge(text, text.startsWith('run') ? { run: null } : {});
    expect(verdict).toMatchObject({ allowed: false });
    if (trouble) expect((verdict as { trouble?: string }).trouble).toMatch(trouble);
  });

  test('about arguments too large to walk through', () => {
    const args = { text: 'x'.repeat(100_000) };
    expect(judge('args.text.contains("x")', { args })).toEqual({ allowed: true });
    expect(judge('args.all(name, name == "text")', { args })).toMatchObject({
      allowed: false,
      trouble: expect.stringContaining('larger than 65536 bytes'),
    });
  });

  test('about arguments that nest deeper than anybody can go', () => {
    const args = JSON.parse(`{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`) as Record<string, unknown>;
    for (const text of ['has(args.a)', 'args.all(name, name == "a")'])
      expect(judge(text, { args })).toEqual({ allowed: false, trouble: expect.any(String) });
  });

  test('because of names that objects inherit', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty'])
      expect(judge(`has(args.${name}) || args["${name}"] != null`).allowed).toBe(false);
  });
});

describe('a rule is refused before any call', () => {
  test.each([
    ['that cannot be read', 'args.amount <', /Unexpected|token/],
    ['with a name that is none', 'arg.amount > 5', /Unknown variable: arg; there are: args, operation, agent/],
    ['about a field that a run has not', 'run.requestdBy == "ann"', /run has no field requestdBy; it has name and/],
    ['that is no question', 'size(operation)', /it gives int, not true or false/],
    ['that compares what is never equal', 'agent > 5', /no such overload/],
    ['with a pattern that is none', 'args.to.matches("(")', /missing closing/],
    ['with a pattern that only backtracking engines know', 'args.to.matches("(?=a)b")', /invalid/],
    ['with a pattern from the arguments', 'args.to.matches(args.pattern)', /wants its pattern/],
    ['with walks in walks', 'args.a.all(x, args.b.all(y, x != y))', /cannot stand within another walk/],
    ['with a function that is none', 'args.to.like("a")', /like/],
    ['that is too deep', `${'('.repeat(500)}true${')'.repeat(500)}`, /depth|Exceeded/],
  ])('%s', (_, text, problem) => {
    expect(compileRule(text)).toEqual({ problem: expect.stringMatching(problem) });
  });
});

test.each<[string[] | undefined, string, boolean]>([
  [undefined, 'anything', true],
  [['read'], 'read', true],
  [['read'], 'reader', false],
  [['read*'], 'read_file', true],
  [['*_file'], 'read_file', true],
  [['get*by*'], 'get_user_by_name', true],
  [['get*by*name'], 'get_by_nam', false],
  [['a*a'], 'a', false],
  [['*'], '', true],
  [['a.b'], 'a-b', false],
  [['x', 'y'], 'y', true],
])('with %j, %s is allowed: %s', (allow, operation, expected) => {
  expect(isAllowed(allow, operation)).toBe(expected);
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileExpression } from './compile.ts';
import { ExpressionError, ExpressionLimitError } from './errors.ts';
import type { Scope, StepField } from './node.ts';
import { anyType, numberType, typeOfSchema } from './types.ts';
import type { Json } from './values.ts';

const scope: Scope = {
  variables: new Map([
    ['input', anyType],
    ['item', anyType],
    ['index', numberType],
    [
      'typed',
      typeOfSchema({
        type: 'object',
        additionalProperties: false,
        properties: {
          n: { type: 'integer' },
          title: { type: 'string' },
          tags: { type: 'array', items: { type: 'string' } },
          any: {},
          size: { type: 'string', enum: ['small', 'large'] },
        },
      }),
    ],
  ]),
  steps: new Map<string, { output: typeof anyType } | { missing: string }>([
    ['draft', { output: anyType }],
    ['fact-check', { output: anyType }],
    ['later', { missing: 'later comes later' }],
  ]),
};

const input = {
  n: 5,
  x: 5.5,
  zero: 0,
  big: 9007199254740991,
  text: 'Grüße 👋',
  list: [3, 1.5, 2],
  names: ['b', 'a'],
  nothing: null,
  yes: true,
  map: { a: 1, 'with space': 2 },
  people: [
    { name: 'Ann', age: 30 },
    { name: 'Bob', age: 41.5 },
  ],
};
const outputs: Record<string, Json> = { draft: { score: 8 }, 'fact-check': 'fine' };
const values = {
  variable: (name: string): Json =>
    ({ input, item: 'x', index: 2, typed: { n: 1, title: 't', tags: ['a'], any: 1, size: 'small' } })[name] as Json,
  step: (step: string, field: StepField): Json =>
    ({
      output: outputs[step] ?? null,
      phase: 'Failed',
      failure: { reason: 'TimedOut', message: 'too late' },
      winner: null,
    })[field],
};
const evaluate = (text: string): Json => compileExpression(text, scope).evaluate(values);

describe('numbers behave as people expect', () => {
  test.each<[string, Json]>([
    ['input.n * 2', 10],
    ['input.x * 2', 11],
    ['2 * input.n', 10],
    ['input.n + 1', 6],
    ['input.n + 0.5', 5.5],
    ['input.n + input.x', 10.5],
    ['input.n / 2', 2.5],
    ['5 / 2', 2.5],
    ['6 / 3', 2],
    ['input.n % 2', 1],
    ['5.5 % 2', 1.5],
    ['-input.n', -5],
    ['-input.zero', 0],
    ['input.n == 5', true],
    ['input.n == 5.0', true],
    ['5 == 5.0', true],
    ['input.n != 5.5', true],
    ['input.x > 5', true],
    ['input.n < 5.5', true],
    ['3 >= 3.0', true],
    ['size(input.list) > 2', true],
    ['size(input.list) / 2', 1.5],
    ['size(input.list) * 1.5', 4.5],
    ['size(input.list) == 3.0', true],
    ['input.n - size(input.names)', 3],
    ['input.list[0]', 3],
    ['input.list[input.n - 5]', 3],
    ['input.list[size(input.list) - 1]', 2],
    ['input.list[1.0]', 1.5],
    ['input.names[index - 1]', 'a'],
    ['[10, 20, 30][index]', 30],
    ['"abc".substring(1, size("abc"))', 'bc'],
    ['"abc".substring(input.n - 4)', 'bc'],
    ['"a,b,c".split(",", 2)[1]', 'b,c'],
    ['"abc".indexOf("c") + 0.5', 2.5],
    ['3 in input.list', true],
    ['1.5 in input.list', true],
    ['4 in input.list', false],
    ['input.list == [3.0, 1.5, 2]', true],
    ['{"n": 5} == {"n": input.n}', true],
    ['int(input.x)', 5],
    ['int("42") + 0.5', 42.5],
    ['int(-0.5)', 0],
    ['double(input.n)', 5],
    ['double("1e3")', 1000],
    ['string(input.n)', '5'],
    ['string(5.0)', '5'],
    ['string(input.x)', '5.5'],
    ['input.list.map(n, n * 2)', [6, 3, 4]],
    ['input.list.filter(n, n > 1)', [3, 1.5, 2]],
    ['input.list.exists_one(n, n == 2.0)', true],
    ['input.big', 9007199254740991],
    ['3u + 1', 4],
    ['0x10', 16],
    ['input.n > 3 ? 1 : 0.5', 1],
  ])('%s is %j', (text, expected) => {
    expect(evaluate(text)).toEqual(expected);
  });

  test('any two JSON numbers add, compare and divide as in JavaScript', () => {
    const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }));
    fc.assert(
      fc.property(number, number, (a, b) => {
        const pair = (text: string): Json =>
          compileExpression(text, scope).evaluate({ ...values, variable: () => [a, b] });
        expect(pair('input[0] + input[1]')).toBe(a + b);
        expect(pair('input[0] < input[1]')).toBe(a < b);
        expect(pair('input[0] == input[1]')).toBe(a === b);
        if (Math.abs(b) > 1e-3) expect(pair('input[0] / input[1]')).toBe(a / b);
      }),
    );
  });
});

describe('an expression gives', () => {
  test.each<[string, Json]>([
    ['steps.draft.output.score >= 8', true],
    ["steps['fact-check'].output", 'fine'],
    ['steps["fact-check"].output', 'fine'],
    ['steps.fact_check.output', 'fine'],
    ['steps.draft.phase == "Failed"', true],
    ['steps.draft.failure.reason', 'TimedOut'],
    ['steps.fact_check.failure == null', false],
    ['input.map["with space"]', 2],
    ['has(input.map.a)', true],
    ['has(input.map.b)', false],
    ['has(input["n"])', true],
    ['has(input.nothing.x)', false],
    ['input.nothing == null', true],
    ['null != input.n', true],
    ['"5" == input.n', false],
    ['!input.yes || input.n > 1', true],
    ['input.people.filter(p, p.age > 35).map(p, p.name)', ['Bob']],
    ['input.people.map(p, p.age > 35, p.name)', ['Bob']],
    ['input.people.all(p, size(p.name) == 3)', true],
    ['input.people.exists(p, p.name.startsWith("B"))', true],
    ['input.map.exists(k, k == "a")', true],
    [
      'input.people.map(p, input.names.map(n, n + p.name))',
      [
        ['bAnn', 'aAnn'],
        ['bBob', 'aBob'],
      ],
    ],
    ['[1].map(x, [2].map(x, [3].map(y, x + y)))', [[[5]]]],
    ['size(input.text)', 7],
    ['input.text.substring(6)', '👋'],
    ['input.text.indexOf("👋")', 6],
    ['input.text.upperAscii()', 'GRüßE 👋'],
    ['" a ".trim()', 'a'],
    ['"ABC".lowerAscii()', 'abc'],
    ['"a-b".contains("-")', true],
    ['"ab".endsWith("b")', true],
    ['"abab".lastIndexOf("ab")', 2],
    ['["a", "b"].join("+")', 'a+b'],
    ['["a"].join()', 'a'],
    ['[1, 2.5].sum() + [].sum()', 3.5],
    ['[3, 1, 2].min() + [3, 1, 2].max()', 4],
    ['[[1], [2, [3]], 4].flatten()', [1, 2, [3], 4]],
    ['[{"a": 1, "b": 2}, {"b": 2, "a": 1}, 1, "1", 1].distinct()', [{ a: 1, b: 2 }, 1, '1']],
    ['coalesce(null, input.nothing, "x", "y")', 'x'],
    ['coalesce(null)', null],
    ['"abc".split("")', ['a', 'b', 'c']],
    ['input.names + ["c"]', ['b', 'a', 'c']],
    ['"a" in input.map', true],
    ['"a" + "b"', 'ab'],
    ['bool("true")', true],
    ['dyn(1)', 1],
    ['{"a": [1, {"b": null}]}', { a: [1, { b: null }] }],
    ['{"__proto__": 1}["__proto__"]', 1],
    ['true ? "x" : input.missing', 'x'],
    ['input.missing == 1 || true', true],
    ['true || input.missing == 1', true],
    ['false && input.missing', false],
    ['input.missing && false', false],
    ["r'\\d' + '''it's'''", "\\dit's"],
  ])('%s → %j', (text, expected) => {
    expect(evaluate(text)).toEqual(expected);
  });
});

describe('before a run, it is found that', () => {
  test.each([
    ['input.n +', /Unexpected token/],
    ['', /Unexpected token/],
    ['a b', /Unexpected/],
    ['nope', /no variable nope; there are: input, item, index, typed, steps/],
    ['steps.nope.output', /no step nope; there are: draft, fact-check/],
    ['steps.fact-check.output', /steps\['fact-check'\]\.output/],
    ['steps.later.output', /comes later/],
    ['steps.draft', /write steps.draft.output/],
    ['size(steps)', /steps is not a value/],
    ['steps.draft["score"]', /no field 'score'; there are: output, failure, phase/],
    ['steps.draft.result', /there are: output, failure, phase/],
    ['steps.draft.failure.reson', /did you mean reason/],
    ['steps.draft.phase + 1', /a text \+ a number/],
    ['steps.drafts.output', /no step drafts: did you mean draft\?/],
    ['steps.draft.phase == "Suceeded"', /it is never "Suceeded": did you mean Succeeded\?/],
    ['"x" != steps.draft.failure.reason', /it is never "x"; there are: AgentNotFound/],
    ['typed.size == "huge"', /it is never "huge"; there are: small, large/],
    ['draft.score', /no variable draft: the output of the step is steps\.draft\.output/],
    ['inptu.n', /no variable inptu: did you mean input\?/],
    ['round + 1', /round is known inside a step with repeat only/],
    ['outputs', /outputs is known in forEach\.until only/],
    ['{"a": 1}.b', /no field 'b'; there is: a/],
    ['(true ? {"a": 1} : null).b', /no field 'b'; there is: a/],
    ['steps[input.n].output', /steps is not a value/],
    ['typed.titel', /no field 'titel': did you mean title\?/],
    ['typed.name', /no field 'name'; there are: n, title, tags, any, size/],
    ['typed.n.x', /a number has no field/],
    ['typed.title * 2', /a text \* a number/],
    ['typed.n == "5"', /never equal/],
    ['typed.tags.map(t, t * 2)', /a text \* a number/],
    ['typed.tags["a"]', /takes a number/],
    ['typed.n < "a"', /doesn't go together/],
    ['"n: " + 5', /string\(…\)/],
    ['[1] + 2', /doesn't go together/],
    ['!5', /takes true or false/],
    ['1 && true', /takes true or false/],
    ['5 ? 1 : 2', /takes true or false/],
    ['-"a"', /takes a number/],
    ['foo(1)', /no function foo; there are: size/],
    ['"a".matches("b")', /no method matches/],
    ['size(1)', /size takes a text or a list or an object/],
    ['size()', /too few/],
    ['size("a", "b")', /too many/],
    ['has(input)', /has takes a field/],
    ['input.list.map(n)', /map/],
    ['{1: 2}', /takes a text/],
    ['b"x"', /bytes/],
    ['9007199254740993', /too large/],
    ['timestamp("x")', /no function/],
    ['1 in 2', /doesn't go together/],
    ['5["a"]', /no elements/],
  ])('%s is wrong', (text, message) => {
    expect(() => compileExpression(text, scope)).toThrow(ExpressionError);
    expect(() => compileExpression(text, scope)).toThrow(message);
  });
});

describe('on the values that it meets,', () => {
  test.each([
    ['input.missing', /no field 'missing'; there are: n, x/],
    ['input.n.x', /a number has no field 'x'/],
    ['input.list[3]', /no element 3 in a list of 3/],
    ['input.list[-1]', /no element -1/],
    ['input.list[0.5]', /whole number/],
    ['input.list["a"]', /whole number/],
    ['input.n + input.text', /a number \+ a text.*5 \+ "Gr/],
    ['input.n / input.zero', /division by zero/],
    ['input.n % 0', /division by zero/],
    ['1e308 * input.big', /too large/],
    ['input.text < input.n', /doesn't go together/],
    ['input.list < input.list', /doesn't go together/],
    ['input.n && true', /takes true or false, not 5/],
    ['input.n ? 1 : 2', /takes true or false/],
    ['int("4x")', /is not a number/],
    ['double("Infinity")', /is not a number/],
    ['double("1e999")', /too large/],
    ['bool("maybe")', /neither true nor false/],
    ['"abc".substring(2, 1)', /cannot end/],
    ['"abc".substring(4)', /positions from 0 to 3/],
    ['[1].join()', /join takes a list of texts/],
    ['["a"].sum()', /sum takes a list of numbers/],
    ['[].min()', /an empty list has no min/],
    ['size(input.n)', /size takes/],
    ['input.n.map(x, x)', /takes a list or an object/],
    ['input.names.filter(n, n)', /takes true or false/],
    ['{input.n: 1}', /must be a text/],
    ['-input.text', /takes a number/],
    ['input.n in input.text', /doesn't go together/],
    ['"a".split("b", 0.5)', /whole number/],
    ['input.names.split(",")', /split takes a text/],
    ['input.missing || false', /no field/],
  ])('%s fails with a message for its author', (text, message) => {
    const expression = compileExpression(text, scope);
    expect(() => expression.evaluate(values)).toThrow(ExpressionError);
    expect(() => expression.evaluate(values)).toThrow(message);
  });
});

describe('nobody can hold up the engine with', () => {
  const many = Array.from({ length: 2000 }, (_, i) => i);
  const long = 'x'.repeat(3_000_000);
  test.each([
    ['nested loops', 'input.all(a, input.all(b, input.all(c, a + b + c >= 0)))', many],
    ['a loop whose error is swallowed', 'input.all(a, input.all(b, a + b >= 0)) || true', many],
    ['long texts in a loop', '[1,2,3,4,5,6,7,8,9].map(i, input + input).join().contains("y")', long],
    [
      'lists that double',
      '[input + input, input].map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x)',
      many,
    ],
    ['comparing large values over and over', 'input.all(a, input == input + [])', many],
  ])('%s', (_, text, value) => {
    const expression = compileExpression(text, scope);
    expect(() => expression.evaluate({ ...values, variable: () => value })).toThrow(ExpressionLimitError);
  });

  test('an expression of a thousand parentheses or a megabyte', () => {
    expect(() => compileExpression(`${'('.repeat(1000)}1${')'.repeat(1000)}`, scope)).toThrow(ExpressionError);
    expect(() => compileExpression(Array(100_000).fill('1').join('+'), scope)).toThrow(ExpressionError);
  });

  test('rubbish: any text either compiles or gives an ExpressionError', () => {
    const piece = fc.constantFrom(
      'input',
      '.',
      'n',
      '(',
      ')',
      '[',
      ']',
      '"',
      "'",
      '+',
      '?',
      ':',
      '1',
      '0.5',
      ' ',
      'steps',
      'map',
      ',',
      '{',
      '}',
      '!',
      '&&',
      'in',
      '\\',
      '`',
    );
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
        (text) => {
          try {
            compileExpression(text, scope).evaluate(values);
          } catch (error) {
            expect(error).toBeInstanceOf(ExpressionError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

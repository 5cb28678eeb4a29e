import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Scope } from './node.ts';
import { escape, scan } from './scan.ts';
import { checkSize, compileTemplate, compileText, TemplateError } from './template.ts';
import { anyType } from './types.ts';
import type { Json } from './values.ts';

const scope: Scope = { variables: new Map([['input', anyType]]), steps: new Map() };
const fail = (path: string, message: string): never => {
  throw new Error(`${path}: ${message}`);
};
const values = (input: Json) => ({ variable: () => input, step: () => null });
const render = (template: unknown, input: Json): Json =>
  compileTemplate(template, 'field', scope, fail).evaluate(values(input));

describe('a template', () => {
  test.each<[string, unknown, Json, Json]>([
    ['of one expression keeps the type', '$(input)', 5.5, 5.5],
    ['of one expression keeps an object', '$(input.a)', { a: { b: [1] } }, { b: [1] }],
    ['with text around makes a text', 'n=$(input)', 5, 'n=5'],
    ['of two expressions makes a text', '$(input)$(input)', 5, '55'],
    ['writes objects as JSON', 'see $(input)', { a: [1, null] }, 'see {"a":[1,null]}'],
    ['writes null as JSON', '<$(input)>', null, '<null>'],
    ['keeps texts bare', '<$(input)>', 'a"b', '<a"b>'],
    [
      'reaches into objects and lists',
      { a: ['$(input)', { b: 'x$(input)' }], c: 1, d: null, e: true },
      2,
      { a: [2, { b: 'x2' }], c: 1, d: null, e: true },
    ],
    ['leaves the names of fields alone', { '$(input)': 1 }, 2, { '$(input)': 1 }],
    ['takes $$( for a literal $(', 'pay $$(input) or $(input)', 3, 'pay $(input) or 3'],
    ['that is only an escape is a text', '$$(input)', 3, '$(input)'],
    ['leaves other dollars alone', '$5 $ $$ ${x} $$$(y)', 3, '$5 $ $$ ${x} $$(y)'],
    ['may hold parentheses', '$((input + 1) * (2))', 2, 6],
    ['may hold a parenthesis in quotes', '$("a)" + \'b(\' + input)!', 'c', 'a)b(c!'],
    ['may hold a quote behind a backslash', '$("\\")" + input)', 'c', '")c'],
    ['may hold raw and triple quotes', `$(r"\\)" + '''it's )''' + input)`, 'c', "\\)it's )c"],
    ['may be empty', '', 1, ''],
  ])('%s', (_, template, input, expected) => {
    expect(render(template, input)).toEqual(expected);
  });

  test.each([
    ['an expression without an end', 'a $(input', /no closing \)/],
    ['a quote without an end', '$("a)', /never closed/],
    ['a mistake deep inside', { a: [{ b: '$(nope)' }] }, /^field\.a\[0\]\.b: there is no variable nope/],
  ])('is refused for %s', (_, template, message) => {
    expect(() => render(template, 1)).toThrow(message);
  });

  test('names the field when it fails on a value', () => {
    expect(() => render({ a: '$(input.x)' }, {})).toThrow(TemplateError);
    expect(() => render({ a: '$(input.x)' }, {})).toThrow("field.a: there is no field 'x'");
  });

  test('nests at most so deep', () => {
    const deep = Array.from({ length: 100 }).reduce<unknown>((inner) => [inner], '$(input)');
    expect(() => render(deep, 1)).toThrow(/nests deeper/);
  });

  test.each([
    ['a text', () => compileText('$(input)$(input)', 'field', scope, fail).evaluate(values('x'.repeat(3_000_000)))],
    ['a value in a text', () => render('x $(input)', Array(3_000_000).fill(10) as number[])],
    ['a value', () => checkSize([['x'.repeat(100)]], 50)],
  ])('does not make %s larger than the wire carries', (_, make) => {
    expect(make).toThrow(/characters/);
  });

  test('a deep value is refused rather than overflowing the stack', () => {
    const deep = Array.from({ length: 5000 }).reduce<Json>((inner) => [inner], 1);
    expect(() => checkSize(deep)).toThrow(/nests deeper/);
  });

  test('any text that is escaped stands for itself', () => {
    const text = fc
      .array(fc.constantFrom('$', '(', ')', '$(', '$$(', 'a', '"'), { maxLength: 10 })
      .map((pieces) => pieces.join(''));
    fc.assert(fc.property(text, (one) => expect(scan(escape(one))).toEqual([{ text: one }])));
  });
});

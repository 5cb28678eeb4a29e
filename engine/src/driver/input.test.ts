import { describe, expect, test } from '@jest/globals';
import { inputProblem, schemaProblems } from './input.ts';

describe('the input of a run', () => {
  const two = {
    type: 'object',
    properties: { a: { type: 'string', pattern: '^a+$' }, b: { type: 'string', pattern: '^b+$' } },
  };
  test.each<[string, Record<string, unknown>, unknown, string | undefined]>([
    ['that fits passes', two, { a: 'aa', b: 'b' }, undefined],
    ['is checked against each pattern', two, { a: 'aa', b: 'a' }, 'input.b must match pattern "^b+$"'],
    ['is named down to the element', { items: { type: 'number' } }, [1, 'x'], 'input.1 must be number'],
    ['may be anything without a schema', {}, null, undefined],
    [
      'may follow draft 7',
      { $schema: 'http://json-schema.org/draft-07/schema#', type: 'string' },
      5,
      'input must be string',
    ],
    [
      'may follow 2020-12',
      { $schema: 'https://json-schema.org/draft/2020-12/schema', prefixItems: [{ type: 'string' }] },
      [5],
      'input.0 must be string',
    ],
    ['may use words that the checker does not know', { 'x-title': 'X', format: 'whatever' }, 5, undefined],
  ])('%s', (_, schema, input, problem) => {
    expect(inputProblem(schema, input)).toBe(problem);
  });

  test('is checked by each schema, although both have the same $id', () => {
    expect(inputProblem({ $id: 'x', type: 'string' }, 5)).toBe('input must be string');
    expect(inputProblem({ $id: 'x', type: 'number' }, 5)).toBeUndefined();
  });

  test('may be of more workflows than are kept compiled', () => {
    for (let i = 0; i < 250; i++) expect(inputProblem({ const: i }, i)).toBeUndefined();
    expect(inputProblem({ const: 0 }, 1)).toBe('input must be equal to constant');
  });
});

describe('a schema', () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['of an unknown type', { type: 'objekt' }, /must be equal to one of the allowed values/],
    ['with a broken pattern', { pattern: '(' }, /missing closing \)/],
    ['with a pattern that takes for ever to match', { pattern: '(a{500}){500}' }, /repe/],
    ['with a pattern that looks ahead', { pattern: '(?=a)' }, /invalid/],
    ['that points outside', { $ref: 'https://example.com/x' }, /can't resolve reference/],
  ])('%s is refused', (_, schema, message) => {
    expect(schemaProblems(schema)).toEqual([
      { path: 'input.schema', message: expect.stringMatching(message) as unknown },
    ]);
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compilePrompt } from './prompt-template.ts';

const request = { text: 'a (b) "c"', n: 5, x: 5.5, list: [1, 'two'], nothing: null, deep: { er: true } };

describe('the prompt of an endpoint', () => {
  test.each([
    ['has nothing to fill in', 'Hello', 'Hello'],
    ['takes a string as it is', 'Sum up: $(request.text)!', 'Sum up: a (b) "c"!'],
    ['takes other values as JSON', '$(request.list) $(request.deep) $(request.nothing)', '[1,"two"] {"er":true} null'],
    [
      'reckons with whole and broken numbers alike',
      '$(request.n * 2) $(request.x * 2) $(request.n / 2) $(request.n % 2) $(1 + request.x)',
      '10 11 2.5 1 6.5',
    ],
    ['counts and indexes', '$(size(request.list)) $(request.list[request.n - 5])', '2 1'],
    [
      'knows parentheses inside of expressions and strings',
      '$((request.n + 1) * 2) $(")" + "(") $("\\")")',
      '12 )( ")',
    ],
    ['has an escape', 'cost: $$(n)', 'cost: $(n)'],
    ['can give a default', '$(request.?missing.orValue("none"))', 'none'],
    ['leaves other dollars alone', '5$ $HOME ${x} )', '5$ $HOME ${x} )'],
  ])('%s', async (_name, source, filled) => {
    expect((await compilePrompt(source))(request)).toBe(filled);
  });

  test('says which expression the request has no value for', async () => {
    const prompt = await compilePrompt('x $(request.missing)');
    expect(() => prompt(request)).toThrow(/needs \$\(request\.missing\): No such key: missing/);
    expect(() => prompt('no object')).toThrow(expect.objectContaining({ reason: 'InvalidExpression' }));
  });

  test.each([
    ['an expression that is not closed', 'x $(request.text', /closing parenthesis is missing/],
    ['an expression that is no CEL', '$(request.)', /^\$\(request\.\): /],
    ['an unknown variable', '$(input.x)', /^\$\(input\.x\): .*input/],
    ['an empty expression', '$()', /^\$\(\): /],
  ])('%s is refused when it is compiled', async (_name, source, message) => {
    await expect(compilePrompt(source)).rejects.toThrow(message);
  });

  test('whatever a request holds is data and never evaluated', async () => {
    const prompt = await compilePrompt('<$(request.text)>');
    fc.assert(fc.property(fc.string(), (text) => prompt({ text: `$(request)${text}` }) === `<$(request)${text}>`));
  });
});

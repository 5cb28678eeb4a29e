import { describe, expect, test } from '@jest/globals';
import { jsonOrText, readInput, readLimits } from './input.ts';

const schema = { properties: { version: { type: 'string' }, n: { type: 'integer' } } };
const read = (input: string[], base?: unknown) => readInput({ input }, base, schema, () => Promise.resolve(''));

describe('the input of a run', () => {
  test.each<[string, string[], unknown, unknown]>([
    ['is not there if nobody gives one', [], undefined, undefined],
    ['is that of the manifest', [], { n: 1 }, { n: 1 }],
    ['has single fields set over it', ['n=2'], { n: 1, m: 1 }, { n: 2, m: 1 }],
    ['has JSON read as such', ['topics=["gpu"]', 'flag=true'], undefined, { topics: ['gpu'], flag: true }],
    ['has all else taken as text', ['title=a=b c'], undefined, { title: 'a=b c' }],
    ['keeps texts that look like numbers', ['version=1.10', 'n=1'], undefined, { version: '1.10', n: 1 }],
    ['can be given whole', ['{"a": 1}', 'b=2'], undefined, { a: 1, b: 2 }],
  ])('%s', async (_, input, base, expected) => {
    expect(await read(input, base)).toEqual(expected);
  });

  test('comes from standard input as YAML, too', async () => {
    const options = { input: ['n=2'], inputFile: '-' };
    expect(await readInput(options, { old: 1 }, {}, () => Promise.resolve('n: 1\nlist: [a]'))).toEqual({
      n: 2,
      list: ['a'],
    });
  });

  test.each([[['novalue']], [['=1']], [['{"a": }']]])('%j is refused with how to write it', async (input) => {
    await expect(read(input)).rejects.toThrow(/--input/);
  });

  test('a file that is not there is named', async () => {
    const options = { input: [], inputFile: '/nowhere.json' };
    await expect(readInput(options, undefined, {}, () => Promise.resolve(''))).rejects.toThrow(
      /nowhere.json cannot be read/,
    );
  });
});

test('limits are read over those of the manifest, and wrong ones refused', () => {
  expect(readLimits([], { steps: 5 })).toEqual({ steps: 5 });
  expect(readLimits(['costUsd=0.50,duration=10m', 'tokens=100'], { steps: 5 })).toEqual({
    steps: 5,
    costUsd: '0.50',
    duration: '10m',
    tokens: 100,
  });
  for (const wrong of ['cost=1', 'duration=soon', 'steps=many', 'steps']) {
    expect(() => readLimits([wrong], undefined)).toThrow(/--limits/);
  }
});

test('what is no JSON is text', () => {
  expect(['5', 'five', '"5"', '{'].map(jsonOrText)).toEqual([5, 'five', '5', '{']);
});

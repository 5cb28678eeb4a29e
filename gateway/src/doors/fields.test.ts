import { describe, expect, test } from '@jest/globals';
import { Fields } from './fields.ts';

describe('a field that is wrong', () => {
  const body = {
    model: '',
    list: [{ text: 1 }, 'x'],
    number: 'ten',
    big: 11,
    half: 1.5,
    flag: 'yes',
    kind: 'z',
    long: 'abc',
  };
  test.each<[string, (fields: Fields) => unknown, string]>([
    ['is missing', (fields) => fields.required('nothing'), 'nothing is missing.'],
    ['is empty', (fields) => fields.required('model'), 'model must not be empty.'],
    ['has the wrong type', (fields) => fields.number('number'), 'number must be a number.'],
    ['is too large', (fields) => fields.number('big', 0, 10), 'big must be between 0 and 10.'],
    ['is too small', (fields) => fields.integer('big', 12), 'big must be at least 12.'],
    ['is not whole', (fields) => fields.integer('half'), 'half must be a whole number.'],
    ['is no flag', (fields) => fields.boolean('flag'), 'flag must be true or false.'],
    ['is none of several', (fields) => fields.oneOf('kind', ['a', 'b']), 'kind must be one of a, b.'],
    ['is too long', (fields) => fields.string('long', 2), 'long must have at most 2 characters.'],
    ['has too many entries', (fields) => fields.list('list', 1), 'list must have at most 1 entries.'],
    ['is no list', (fields) => fields.list('model', 1), 'model must be a list.'],
    ['stands in a list', (fields) => fields.objects('list', 9), 'list[1] must be an object.'],
    ['is no string in a list', (fields) => fields.strings('list', 9), 'list[0] must be a string.'],
    ['stands deep', () => new Fields(body.list[0], 'list[0]').string('text'), 'list[0].text must be a string.'],
    ['is all of it', () => new Fields([]), 'The body must be an object.'],
  ])('%s', (_name, read, message) => {
    expect(() => read(new Fields(body))).toThrow(expect.objectContaining({ status: 400, message }));
  });
});

test('null counts as absent, and what nobody has read is the rest', () => {
  const fields = new Fields({ a: null, b: 'b', c: null, d: 1, e: [2] });
  expect(fields.string('a')).toBeUndefined();
  expect(fields.string('b')).toBe('b');
  expect(fields.rest()).toEqual({ d: 1, e: [2] });
});

test('names that every object has are no fields', () => {
  expect(new Fields({}).any('constructor')).toBeUndefined();
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { functionNames, mayBeOf } from './function-names.ts';

describe('the name under which a model calls an operation', () => {
  test.each<[string, (string | undefined)[], string[]]>([
    ['calculator', [undefined], ['calculator']],
    ['github', ['create_issue', 'list-issues'], ['github__create_issue', 'github__list-issues']],
    ['pets', ['list.pets'], ['pets__list_pets']],
    ['pets', ['list.pets', 'list_pets'], ['pets__list_pets_1e59ef20', 'pets__list_pets']],
  ])('of Tool %s with %j', (tool, operations, names) => {
    expect(functionNames(tool, operations)).toEqual(names);
  });

  test('is one that all providers take, unique, stable, and found again, whatever the operations are called', () => {
    const toolName = fc.stringMatching(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/);
    const operations = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 100 }), { maxLength: 20 });
    fc.assert(
      fc.property(toolName, operations, (tool, all) => {
        const names = functionNames(tool, all);
        expect(new Set(names).size).toBe(all.length);
        for (const name of names) {
          expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
          expect(mayBeOf(tool, name)).toBe(true);
        }
        expect(functionNames(tool, [...all].reverse())).toEqual(names.reverse());
      }),
      { numRuns: 200 },
    );
  });

  test('is not sought among the operations of Tools that cannot have it', () => {
    expect(mayBeOf('pets', 'pets-2__list')).toBe(false);
    expect(mayBeOf('pets', 'pet')).toBe(false);
  });
});

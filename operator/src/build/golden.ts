// Golden tests: each folder of testdata holds an input and the plan that shall come of it.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';

/** The clock of all golden tests. */
const goldenNow = new Date('2026-01-01T12:00:00.000Z');

/**
 * One test for each `testdata/<case>/{input,plan}.yaml` beside the calling file. `UPDATE_GOLDENS=1` writes the plans anew;
 * read the diff before you commit it.
 */
export function testGoldens(folder: string, decide: (input: never, now: Date) => unknown): void {
  const testdata = join(folder, 'testdata');
  for (const name of readdirSync(testdata)) {
    test(name.replaceAll('-', ' '), () => {
      const input = parse(readFileSync(join(testdata, name, 'input.yaml'), 'utf8')) as never;
      const planned = JSON.parse(JSON.stringify(decide(input, goldenNow))) as unknown;
      const file = join(testdata, name, 'plan.yaml');
      if (process.env.UPDATE_GOLDENS === '1')
        writeFileSync(file, stringify(planned, { lineWidth: 0, aliasDuplicateObjects: false, singleQuote: true }));
      expect(existsSync(file)).toBe(true);
      expect(planned).toEqual(parse(readFileSync(file, 'utf8')));
    });
  }
}

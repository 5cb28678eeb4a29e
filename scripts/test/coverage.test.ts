import { describe, expect, test } from '@jest/globals';
import { leastReached, percentage, reached, type CoverageReport } from './coverage.ts';

/** A report in which each line has one statement; `hits` says how often each was run. */
function report(file: string, hits: number[]): CoverageReport {
  const statementMap = Object.fromEntries(hits.map((_hit, i) => [`${i}`, { start: { line: i + 1 } }]));
  return { [file]: { statementMap, s: Object.fromEntries(hits.map((hit, i) => [`${i}`, hit])) } };
}

describe('lines that tests reach', () => {
  test('count once, whichever layer reaches them', () => {
    const files = reached([report('/r/a.ts', [1, 0, 0, 0]), report('/r/a.ts', [5, 2, 0, 0])]);
    expect(files.get('/r/a.ts')).toEqual({ covered: 2, total: 4 });
    expect(percentage([...files.values()])).toBe(50);
  });

  test('count over all files by their length', () => {
    const files = reached([{ ...report('/r/a.ts', [1]), ...report('/r/b.ts', [1, 0]) }]);
    expect(percentage([...files.values()])).toBe(66.6);
  });

  test('are none where nothing was run', () => {
    expect(percentage([])).toBe(0);
  });

  test('are missing most in the files that are named first', () => {
    const files = reached([{ ...report('/r/a.ts', [0]), ...report('/r/b.ts', [0, 0]), ...report('/r/c.ts', [1]) }]);
    expect(leastReached('/r', files, 5)).toEqual(['    2  b.ts', '    1  a.ts']);
  });
});

import { describe, expect, test } from '@jest/globals';
import { countsOf, sum, verdict, type JestReport } from './tally.ts';

const report: JestReport = {
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numRuntimeErrorTestSuites: 0,
};

describe('what a run of Jest counts for', () => {
  test.each([
    ['all passed', report, 0, { passed: 3, failed: 0, skipped: 0 }],
    ['one failed', { ...report, numFailedTests: 1 }, 1, { passed: 3, failed: 1, skipped: 0 }],
    ['a file that does not load', { ...report, numRuntimeErrorTestSuites: 2 }, 1, { passed: 3, failed: 2, skipped: 0 }],
    [
      'skipped and planned tests',
      { ...report, numPendingTests: 1, numTodoTests: 1 },
      0,
      { passed: 3, failed: 0, skipped: 2 },
    ],
    ['no test at all, which Jest refuses', { ...report, numPassedTests: 0 }, 1, { passed: 0, failed: 1, skipped: 0 }],
    ['Jest died without a report', undefined, 137, { passed: 0, failed: 1, skipped: 0 }],
  ])('%s', (_name, found, exitCode, counts) => {
    expect(countsOf(found, exitCode)).toEqual(counts);
  });
});

describe('the last line', () => {
  test.each([
    ['says how many passed and failed', { passed: 12, failed: 0, skipped: 0 }, '12 passed, 0 failed'],
    ['says how many were skipped, if any', { passed: 12, failed: 1, skipped: 2 }, '12 passed, 1 failed, 2 skipped'],
  ])('%s', (_name, counts, line) => {
    expect(verdict(counts)).toBe(line);
  });

  test('counts all layers together', () => {
    const one = { passed: 1, failed: 0, skipped: 0 };
    const two = { passed: 2, failed: 1, skipped: 4 };
    expect(verdict(sum([one, two]))).toBe('3 passed, 1 failed, 4 skipped');
  });
});

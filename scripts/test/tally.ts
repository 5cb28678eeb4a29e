// What the checks came to, and the line that says so.

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The part of Jest's `--json` report that counts. */
export interface JestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  /** Files that could not be run at all; their tests appear in no other number. */
  numRuntimeErrorTestSuites: number;
}

export const PASSED: Counts = { passed: 1, failed: 0, skipped: 0 };
export const FAILED: Counts = { passed: 0, failed: 1, skipped: 0 };

/**
 * @param exitCode of Jest. A report without failures does not outweigh it: Jest also fails for what is no test, such as
 *   a layer in which it found none.
 */
export function countsOf(report: JestReport | undefined, exitCode: number): Counts {
  if (!report) return FAILED;
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

export function sum(all: Counts[]): Counts {
  const add = (pick: (counts: Counts) => number) => all.reduce((total, counts) => total + pick(counts), 0);
  return { passed: add((c) => c.passed), failed: add((c) => c.failed), skipped: add((c) => c.skipped) };
}

/** `12 passed, 0 failed`, and how many were skipped if any were. */
export function verdict({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

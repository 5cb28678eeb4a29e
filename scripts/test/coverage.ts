// How many lines of the sources the tests reach. Unit and integration tests count together: a controller is best tried on a
// real API server, and a decision without one.
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** The part of Istanbul's `coverage-final.json` that says which lines were reached. */
export type CoverageReport = Record<
  string,
  { statementMap: Record<string, { start: { line: number } }>; s: Record<string, number> }
>;

export interface Covered {
  covered: number;
  total: number;
}

/** @returns for each file how many of its lines any of the reports has reached */
export function reached(reports: CoverageReport[]): Map<string, Covered> {
  const files = new Map<string, Map<number, boolean>>();
  for (const [file, { statementMap, s }] of reports.flatMap((report) => Object.entries(report))) {
    const lines = files.get(file) ?? new Map<number, boolean>();
    for (const [id, { start }] of Object.entries(statementMap)) {
      lines.set(start.line, (lines.get(start.line) ?? false) || (s[id] ?? 0) > 0);
    }
    files.set(file, lines);
  }
  return new Map(
    [...files].map(([file, lines]) => [
      file,
      { covered: [...lines.values()].filter(Boolean).length, total: lines.size },
    ]),
  );
}

/** In percent, rounded down, so that it never says more than is true. */
export function percentage(all: Covered[]): number {
  const total = all.reduce((sum, file) => sum + file.total, 0);
  const covered = all.reduce((sum, file) => sum + file.covered, 0);
  return total === 0 ? 0 : Math.floor((covered / total) * 1000) / 10;
}

/** The files with most lines that no test reaches, one a line. */
export function leastReached(root: string, files: Map<string, Covered>, count: number): string[] {
  return [...files]
    .map(([file, { covered, total }]) => ({ file, missing: total - covered }))
    .filter(({ missing }) => missing > 0)
    .sort((a, b) => b.missing - a.missing)
    .slice(0, count)
    .map(({ file, missing }) => `${String(missing).padStart(5)}  ${relative(root, file)}`);
}

/** @returns the report that the tests of a project left, if they ran */
export async function readCoverage(root: string, project: string): Promise<CoverageReport | undefined> {
  try {
    return JSON.parse(await readFile(join(root, 'coverage', project, 'coverage-final.json'), 'utf8')) as CoverageReport;
  } catch {
    return undefined;
  }
}

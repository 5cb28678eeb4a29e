// Runs a program as a check.
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { countsOf, FAILED, PASSED, type Counts, type JestReport } from './tally.ts';

export interface RunOptions {
  /** Ends the program early. */
  signal: AbortSignal;
  /** After this long the program is taken for hung. Milliseconds. */
  timeoutMs: number;
  env?: Record<string, string>;
}

/** @returns the exit code; what a signal ended counts as 1 */
export function run(command: string, args: string[], { signal, timeoutMs, env }: RunOptions): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...env },
      signal,
      timeout: timeoutMs,
      killSignal: 'SIGTERM',
    });
    child.once('error', (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(1);
    });
    child.once('close', (code) => resolve(code ?? 1));
  });
}

export async function runCheck(command: string, args: string[], options: RunOptions): Promise<Counts> {
  return (await run(command, args, options)) === 0 ? PASSED : FAILED;
}

/** @param project as jest.config.mjs calls it */
export async function runJest(root: string, project: string, args: string[], options: RunOptions): Promise<Counts> {
  const folder = join(root, '.cache', 'test');
  const report = join(folder, `${project}.json`);
  await mkdir(folder, { recursive: true });
  await rm(report, { force: true });
  const jest = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '--selectProjects',
    project,
    '--json',
    `--outputFile=${report}`,
    ...args,
  ];
  const exitCode = await run(process.execPath, jest, options);
  return countsOf(await readReport(report), exitCode);
}

async function readReport(file: string): Promise<JestReport | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as JestReport;
  } catch {
    return undefined;
  }
}

import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import type { Report } from './report.ts';

const run = promisify(execFile);

/**
 * Runs a program to its end and returns its standard output. Throws an Error with the end of its standard error when it cannot
 * be started or its exit code is not 0.
 */
export async function capture(
  program: string,
  args: readonly string[],
  env: Readonly<NodeJS.ProcessEnv> = {},
): Promise<string> {
  try {
    const { stdout } = await run(program, args, { env: { ...process.env, ...env }, maxBuffer: 64 * 2 ** 20 });
    return stdout;
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    throw new Error(`${program} ${args[0] ?? ''} failed: ${stderr.trim().slice(-2000) || message}`, { cause: error });
  }
}

/** Whether the program exits with code 0. */
export async function succeeds(program: string, args: readonly string[]): Promise<boolean> {
  return await capture(program, args).then(
    () => true,
    () => false,
  );
}

/** Runs a program to its end and passes each line of its output on. Throws an Error when its exit code is not 0. */
export async function runVisibly(
  program: string,
  args: readonly string[],
  env: Readonly<NodeJS.ProcessEnv>,
  report: Report,
): Promise<void> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => report(`  ${line}`));
  }
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`${[program, ...args].join(' ')} failed with code ${String(code)}`);
}

// How a contender talks with the benchmark: a line `{"load","count"}` comes in on standard input, a line `{"seconds"}` or
// `{"error"}` goes out on descriptor 3; standard output is the libraries'. When standard input ends, so does the
// contender, with the servers that it started: nothing is left behind, however the benchmark ends.
import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Resolves when the work is done and safe on disk. */
type Load = (count: number) => Promise<unknown>;

/** Where the contender keeps what it stores: empty at first, and on the same disk for all. */
export const dataFolder = process.env['BENCH_DATA'] ?? '';

const children: ChildProcess[] = [];
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

const say = (line: object) => writeSync(3, `${JSON.stringify(line)}\n`);

/** To be called once all is ready for the first load. */
export function serve(loads: Record<string, Load>): void {
  say({ ready: true });
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => void answer(loads, JSON.parse(line) as { load: string; count: number }));
  lines.on('close', () => process.exit(0));
}

async function answer(loads: Record<string, Load>, { load, count }: { load: string; count: number }): Promise<void> {
  try {
    const started = performance.now();
    await loads[load]?.(count);
    say({ seconds: (performance.now() - started) / 1000 });
  } catch (error) {
    say({ error: error instanceof Error ? error.message : String(error) });
  }
}

/** Starts a server of the contender; what it prints goes into a file beside its data. */
export function startServer(command: string, args: string[], env: Record<string, string> = {}): void {
  const options = { cwd: dataFolder, env: { ...process.env, ...env } };
  const log = openSync(join(dataFolder, 'server.log'), 'w');
  const child = spawn(command, args, { ...options, stdio: ['ignore', log, log] });
  const gone = (why: unknown) => {
    say({ error: `${command} ended: ${String(why)}` });
    process.exit(1);
  };
  child.on('error', gone).on('exit', gone);
  children.push(child);
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** What `connect` resolves to, once it no longer rejects: a server that was just started needs a moment. */
export async function patiently<T>(connect: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await connect();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Does it for 0 … count - 1, so many at once. */
export async function inParallel(count: number, width: number, work: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < count; i = next++) await work(i);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

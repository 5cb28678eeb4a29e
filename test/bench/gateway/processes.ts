// The processes of a measurement. The gateway has one core to itself, so that its requests a second are those of one core;
// upstream and clients share the others.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

export type Place = 'gateway' | 'others';

/** What the kernel counts in, wherever Linux runs. */
const TICKS_PER_SECOND = 100;

const cores: Record<Place, string> = { gateway: '1', others: cpus().length > 2 ? `0,2-${cpus().length - 1}` : '0' };

/** Whether the figures are those of one core. */
export const pinned = canPin();

const children = new Set<ChildProcess>();
let watched = false;

/** Nothing is left behind when the benchmark is broken off. */
function watch(): void {
  if (watched) return;
  watched = true;
  process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
}

interface Started {
  command: string;
  args: string[];
  env?: Record<string, string>;
  place: Place;
  /** An open file; what it prints goes there. */
  log: number;
  cwd?: string;
  /** Whether it speaks with us. */
  ipc: boolean;
}

export function start({ command, args, env, place, log, cwd, ipc }: Started): ChildProcess {
  const [program = '', ...rest] = [...(pinned ? ['taskset', '-c', cores[place]] : []), command, ...args];
  const child = spawn(program, rest, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, NODE_ENV: 'production', ...env },
    stdio: ipc ? ['ignore', log, log, 'ipc'] : ['ignore', log, log],
  });
  watch();
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** What it says next. Rejects if it ends before, or says that it failed. */
export function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`a process of the benchmark ended with ${code}`));
    child.once('error', reject).once('exit', ended);
    child.once('message', (message: T & { error?: string }) => {
      child.off('error', reject).off('exit', ended);
      if (message.error === undefined) resolve(message);
      else reject(new Error(message.error));
    });
  });
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), 3000);
  await gone;
  clearTimeout(patience);
}

/** Seconds of processor time so far, all threads together. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory in MiB. */
export function residentMiB(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}

function canPin(): boolean {
  if (cpus().length < 2) return false;
  try {
    execFileSync('taskset', ['-c', '0,1', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Binaries } from './binaries.ts';

/**
 * Programs that share a temporary directory and end with this process, however this process ends: each runs under a `tether`
 * that holds on to a pipe of ours. The directory goes with them.
 */
export class TetheredGroup {
  readonly directory: string;
  readonly #binaries: Binaries;
  readonly #children = new Map<string, Child>();

  constructor(binaries: Binaries, prefix: string) {
    this.#binaries = binaries;
    this.directory = mkdtempSync(path.join(tmpdir(), prefix));
  }

  /** Starts `kadre-cluster` with these arguments, the first of which is the program's name. */
  start(args: readonly string[]): void {
    const [name = ''] = args;
    const log = openSync(this.logFile(name), 'a');
    // One tether removes the directory: the first, because from then on there is always one.
    const remove = this.#children.size === 0 ? ['-remove', this.directory] : [];
    const child = spawn(this.#binaries.tether, [...remove, this.#binaries.kadreCluster, ...args], {
      cwd: this.directory,
      stdio: ['pipe', log, log],
    });
    closeSync(log);
    // A test that forgets to stop its cluster still ends, and with it the cluster.
    child.unref();
    (child.stdin as unknown as { unref(): void }).unref();
    this.#children.set(name, { process: child, ended: whenEnded(child) });
  }

  /** Whether the program was started and has not ended. */
  isRunning(name: string): boolean {
    const child = this.#children.get(name)?.process;
    return child?.exitCode === null && child.signalCode === null;
  }

  /** Kills the program with SIGKILL and waits until it is gone. */
  async kill(name: string): Promise<void> {
    const child = this.#children.get(name);
    child?.process.ref();
    child?.process.stdin?.end();
    await child?.ended;
  }

  /** Kills every program and removes the directory. */
  async stop(): Promise<void> {
    await Promise.all([...this.#children.keys()].map((name) => this.kill(name)));
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Where the program's output goes. */
  logFile(name: string): string {
    return path.join(this.directory, `${name}.log`);
  }
}

interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<void>;
}

function whenEnded(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
}

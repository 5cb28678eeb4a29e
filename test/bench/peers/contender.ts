// One engine that is measured: a process that is started for a turn, given loads, and stopped.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export interface Contender {
  /** With its version. */
  name: string;
  command: string;
  args: string[];
  env?: Record<string, string>;
  /** What must be there for a turn, and is empty at its begin. */
  database?: () => Promise<Database>;
}

export interface Database {
  env: Record<string, string>;
  remove: () => Promise<void>;
}

export type Outcome = { seconds: number } | { error: string } | { late: true };

export const secondsOf = (outcomes: Outcome[]): number[] =>
  outcomes.flatMap((outcome) => ('seconds' in outcome ? [outcome.seconds] : []));

const START_MS = 30_000;
const STOP_MS = 5_000;

/** What `serve.ts` says. */
type Line = { ready: true } | { seconds: number } | { error: string };

export class Turn {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #database: Database | undefined;
  readonly #lines: Line[] = [];
  #wake = () => {};
  /** Nothing more can be measured in this turn. */
  spent = false;

  /** Starts the engine with nothing stored. Rejects if it does not come up. */
  static async begin(contender: Contender, folder: string): Promise<Turn> {
    const database = await contender.database?.();
    const turn = new Turn(contender, folder, database);
    const line = await turn.#next(START_MS);
    if (line && 'ready' in line) return turn;
    const why = line && 'error' in line ? line.error : `not ready after ${START_MS / 1000} s`;
    await turn.end();
    throw new Error(`${contender.name} does not start: ${why}`);
  }

  private constructor({ command, args, env }: Contender, folder: string, database: Database | undefined) {
    this.#folder = folder;
    this.#database = database;
    rmSync(folder, { recursive: true, force: true });
    const data = join(folder, 'data');
    mkdirSync(data, { recursive: true });
    const log = openSync(join(folder, 'log'), 'w');
    this.#child = spawn(command, args, {
      cwd: folder,
      env: { ...process.env, NODE_ENV: 'production', ...env, ...database?.env, BENCH_DATA: data },
      stdio: ['pipe', log, log, 'pipe'],
      // A group of its own, so that what it started can be ended with it.
      detached: true,
    });
    closeSync(log);
    // It may be gone when we tell it to go.
    this.#child.stdin?.on('error', () => {});
    createInterface({ input: this.#child.stdio[3] as Readable }).on('line', (line) =>
      this.#take(JSON.parse(line) as Line),
    );
    this.#child.on('error', (error) => this.#take({ error: error.message }));
    this.#child.on('exit', (code, signal) =>
      this.#take({ error: `it ended with ${code ?? signal ?? 0}: ${this.#said()}` }),
    );
  }

  async measure(load: string, count: number, limitMs: number): Promise<Outcome> {
    this.#lines.length = 0;
    this.#child.stdin?.write(`${JSON.stringify({ load, count })}\n`);
    const line = await this.#next(limitMs);
    this.spent = !line || !('seconds' in line);
    if (!line) return { late: true };
    return 'ready' in line ? { error: 'it began anew' } : line;
  }

  async end(): Promise<void> {
    const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
    const gone = ended ? Promise.resolve() : new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin?.end();
    const patience = setTimeout(() => this.#kill(), STOP_MS);
    await gone;
    clearTimeout(patience);
    this.#kill();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
    await this.#database?.remove();
  }

  #kill(): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // All of it has ended by itself.
    }
  }

  #take(line: Line): void {
    this.#lines.push(line);
    this.#wake();
  }

  /** The next line, or undefined if there is none in that time. */
  async #next(limitMs: number): Promise<Line | undefined> {
    if (this.#lines.length === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, limitMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this.#lines.shift();
  }

  /** The last thing that it printed. */
  #said(): string {
    const lines = readFileSync(join(this.#folder, 'log'), 'utf8').trim().split('\n');
    return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '';
  }
}

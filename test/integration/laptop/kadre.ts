// `kadre` as people start it from a checkout, with a history of its own.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PROGRAM = join(ROOT, 'cli/src/main.ts');

export interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

export class Laptop {
  readonly folder: string;
  readonly #children = new Set<ChildProcess>();
  readonly #closing: (() => unknown)[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<Laptop> {
    return new Laptop(await mkdtemp(join(tmpdir(), 'kadre-laptop-')));
  }

  get history(): string {
    return join(this.folder, 'history');
  }

  /** Writes manifests, and returns where. */
  async manifests(text: string): Promise<string> {
    const file = join(this.folder, 'manifests.yaml');
    await writeFile(file, text);
    return file;
  }

  kadre(args: string[], options: { env?: Record<string, string>; input?: string } = {}): Promise<Ended> {
    return this.start(args, options).ended;
  }

  /** A run that is not waited for. */
  start(args: string[], { env = {}, input = '' }: { env?: Record<string, string>; input?: string } = {}) {
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], HOME: this.folder, KADRE_STORE: this.history, ...env },
    });
    this.#children.add(child);
    const told = { stdout: '', stderr: '' };
    const waiting = new Set<() => void>();
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text: string) => {
        told[stream] += text;
        for (const look of waiting) look();
      });
    }
    child.stdin.on('error', () => undefined).end(input);
    const ended = new Promise<Ended>((resolve) => child.once('close', (status) => resolve({ status, ...told })));
    const says = (text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!told.stderr.includes(text)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        void ended.then(() => reject(new Error(`it ended without saying ${text}:\n${told.stderr}`)));
        look();
      });
    return { ended, says, kill: (signal: NodeJS.Signals) => void child.kill(signal) };
  }

  /** Something that must not outlive the test, whatever becomes of it. */
  closing(close: () => unknown): void {
    this.#closing.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closing) await close();
    for (const child of this.#children) if (child.exitCode === null) child.kill('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Each of the `started` lines of standard error: what was carried out, not what was taken over. */
export function startedSteps({ stderr }: Ended): string[] {
  return [...stderr.matchAll(/ {2}(\S+) started$/gm)].map(([, step]) => step ?? '');
}

const api = 'apiVersion: kadre.dev/v1alpha1';

export const simulated = `${api}
kind: Model
metadata: {name: m}
spec:
  provider: simulated
  price: {inputPerMillion: '1', outputPerMillion: '1'}
  simulated:
    script:
      - {match: '^fail', error: {status: 400, message: refused}}
      - {reply: 'Reply to $(prompt)'}
---
${api}
kind: Agent
metadata: {name: writer}
spec: {instructions: Write., model: m}
`;

/** An agent whose answers cost 10 USD each, and a Budget. */
export const costly = (budget: string, agent: string): string => `${api}
kind: Model
metadata: {name: m}
spec:
  provider: simulated
  price: {inputPerMillion: '0', outputPerMillion: '1000000'}
  parameters: {maxTokens: 10}
  simulated: {script: [{reply: Hello, usage: {inputTokens: 5, outputTokens: 10}}]}
---
${api}
kind: Agent
metadata: {name: writer}
spec:
  instructions: Write.
  model: m
  ${agent}
---
${api}
kind: Budget
metadata: {name: pocket}
spec: {period: total, ${budget}}
`;

/** A workflow over the agent `writer`; `steps` is YAML, indented by four. */
export function workflow(name: string, steps: string, more = ''): string {
  return `${simulated}---\n${api}\nkind: Workflow\nmetadata: {name: ${name}}\nspec:\n  steps:\n${steps}\n${more}`;
}

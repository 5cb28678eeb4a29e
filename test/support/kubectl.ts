// The cluster as its users see it: through kubectl.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '..', '..');

/** The folder of the kubectl that comes with the cluster built here, if there is one. */
export function ownKubectlFolder(): string | undefined {
  const folder = join(root, '.cluster', 'bin');
  return existsSync(join(folder, 'kubectl')) ? folder : undefined;
}

function kubectlPath(): string {
  const own = ownKubectlFolder();
  return own === undefined ? 'kubectl' : join(own, 'kubectl');
}

class KubectlError extends Error {
  override name = 'KubectlError';
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; uid: string; labels?: Record<string, string>; generation?: number };
  // Tests look into objects of many kinds; each says what it expects there.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [field: string]: any;
}

export type Kubectl = ReturnType<typeof kubectlFor>;

/** @param namespace used where an object or a command names none */
export function kubectlFor(kubeconfig: string, namespace = 'default') {
  const base = ['--kubeconfig', kubeconfig, '--namespace', namespace];

  /** Resolves with what kubectl prints; rejects with what it complains about. */
  const run = (args: string[], input?: string): Promise<string> => capture(kubectlPath(), [...base, ...args], input);

  const get = async (...args: string[]): Promise<KubeObject | undefined> => {
    const text = await run(['get', ...args, '--ignore-not-found', '-o', 'json']);
    return text.trim() === '' ? undefined : (JSON.parse(text) as KubeObject);
  };

  const list = async (...args: string[]): Promise<KubeObject[]> => {
    const text = await run(['get', ...args, '-o', 'json']);
    return (JSON.parse(text) as { items: KubeObject[] }).items;
  };

  const apply = (manifest: string): Promise<string> =>
    run(['apply', '--server-side', '--force-conflicts', '-f', '-'], manifest);

  return {
    kubeconfig,
    namespace,
    run,
    get,
    list,
    apply,
    portForward: (target: string, port: number) => forward(base, target, port),
  };
}

/**
 * Calls `look` until it returns something, and returns that. After `seconds` it gives up with what `look` said last:
 * a bound against hanging for ever, not a promise of speed.
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  seconds = 240,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    let last = 'nothing yet';
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() > deadline) throw new Error(`${what} did not come about in ${seconds} s: ${last}`);
    await sleep(300);
  }
}

/** Runs a program to its end. Its standard error goes into the error if it fails. */
export function capture(program: string, args: string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString());
      else
        reject(new KubectlError(Buffer.concat(err).toString().trim() || `${program} ended with code ${String(code)}`));
    });
    // A program that ends before it has read its input is reported by its exit code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
  });
}

/** A local port that leads to a Service or a pod, as a user would open it. */
async function forward(base: string[], target: string, port: number): Promise<{ url: string; stop: () => void }> {
  const child: ChildProcess = spawn(kubectlPath(), [...base, 'port-forward', target, `:${port}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (!child.stdout || !child.stderr) throw new Error('no pipes');
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    const found = /127\.0\.0\.1:(\d+)/.exec(line);
    if (found) {
      child.stdout.resume();
      return { url: `http://127.0.0.1:${found[1] ?? ''}`, stop: () => child.kill() };
    }
  }
  throw new KubectlError(`port-forward to ${target} ended: ${complaint.trim()}`);
}

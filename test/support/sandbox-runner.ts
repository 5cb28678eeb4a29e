// The runner of a sandbox as a process of its own, as it is in a pod, though without the pod around it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SandboxPlace } from '@kadre/sandbox';

const RUNNER = join(import.meta.dirname, '..', '..', 'sandbox', 'runner');
const NOBODY = 65532;

export interface RunningSandbox extends SandboxPlace {
  pid: number;
  /** Resolves with its exit code when it is over; null after a signal. */
  over: Promise<number | null>;
  stop(): Promise<void>;
}

/** Root cannot run code in it, so that root's tests run it as nobody. */
export async function startSandboxRunner(key = 'the key of a sandbox'): Promise<RunningSandbox> {
  const work = await mkdtemp(join(tmpdir(), 'kadre-sandbox-'));
  const root = process.getuid?.() === 0;
  if (root) await chown(work, NOBODY, NOBODY);
  const args = ['-I', '-B', RUNNER, '--host', '127.0.0.1', '--port', '0', '--work', work];
  const child = spawn('/usr/bin/python3', args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { KADRE_SANDBOX_KEY: key },
    cwd: '/',
    ...(root && { uid: NOBODY, gid: NOBODY }),
  });
  const over = once(child, 'close').then(async ([code]) => {
    await rm(work, { recursive: true, force: true });
    return code as number | null;
  });
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), 'line'),
    over.then((code) => Promise.reject(new Error(`the runner ended with code ${code ?? 'none'} at once`))),
  ])) as [string];
  const { listening } = JSON.parse(line) as { listening: number };
  return {
    url: `http://127.0.0.1:${listening}`,
    key,
    pid: child.pid ?? 0,
    over,
    stop: async () => {
      child.kill('SIGKILL');
      await over;
    },
  };
}

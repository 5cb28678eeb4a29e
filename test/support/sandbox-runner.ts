// The runner of a sandbox as a process of its own, as it is in a pod, though without the pod around it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp } from 'node:fs/promises';
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
export async function startSandboxRunner(key = 'the key of a sandbox', uid = NOBODY): Promise<RunningSandbox> {
  const work = await mkdtemp(join(tmpdir(), 'kadre-sandbox-'));
  const root = process.getuid?.() === 0;
  if (root) await chown(work, uid, uid);
  const args = ['-I', '-B', RUNNER, '--host', '127.0.0.1', '--port', '0', '--work', work, '--patience', '1'];
  const child = spawn('/usr/bin/python3', args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { KADRE_SANDBOX_KEY: key },
    cwd: '/',
    ...(root && { uid, gid: uid }),
  });
  const over = once(child, 'close').then(([code]) => {
    // Programs make folders that are deeper than Node can reach.
    spawnSync('rm', ['-rf', work]);
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

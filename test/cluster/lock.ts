import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Report } from './report.ts';

/**
 * Runs `task` while no other process on this machine runs one under the same name.
 *
 * The lock is a socket in Linux's abstract namespace: the kernel gives it to one process and takes it back when that process
 * ends, however it ends. Elsewhere there are no such sockets and the task runs unlocked.
 */
export async function withLock<T>(name: string, report: Report, task: () => Promise<T>): Promise<T> {
  if (process.platform !== 'linux') return await task();
  const address = `\0kadre-${createHash('sha256').update(name).digest('hex')}`;
  let told = false;
  for (;;) {
    const held = await take(address);
    if (held !== undefined) {
      try {
        return await task();
      } finally {
        held.close();
      }
    }
    if (!told) report('another process is at this already; waiting for it');
    told = true;
    await delay(200);
  }
}

async function take(address: string): Promise<{ close(): void } | undefined> {
  const server = createServer();
  return await new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(address, () => resolve(server));
    // Whoever forgets a lock still ends.
    server.unref();
  });
}

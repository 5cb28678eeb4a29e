import { afterEach, describe, expect, test } from '@jest/globals';
import { createFence } from './fence.ts';
import { startRoleThread, type RoleHandle } from './role-handle.ts';
import type { RoleData } from './role-protocol.ts';

const data = { role: 'engine', config: {}, fence: createFence() } as RoleData;
const thread = (body: string) =>
  new URL(`data:text/javascript,import { parentPort } from 'node:worker_threads'; ${encodeURIComponent(body)}`);
const start = (body: string) => {
  let tell: (why: string) => void;
  const exit = new Promise<string>((resolve) => (tell = resolve));
  const handle = startRoleThread(thread(body), data, (why) => tell(why));
  handles.push(handle);
  return { handle, exit };
};
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

const handles: RoleHandle[] = [];
afterEach(async () => {
  for (const handle of handles.splice(0)) await handle.stop(0);
});

describe('a thread that is well', () => {
  const well = `
    parentPort.postMessage({ type: 'ready' });
    parentPort.postMessage({ type: 'heartbeat', lagP99: 1, lagMax: 2 });
    parentPort.on('message', (m) => {
      if (m.type === 'stop') parentPort.close();
      else parentPort.postMessage({ type: 'metrics', id: m.id, metrics: [{ name: 'x' }] });
    });`;

  test('tells that it is ready, how late its timers are, and its metrics', async () => {
    const { handle } = start(well);
    await until(() => handle.ready() && handle.lag().max > 0);
    expect(handle.lag()).toEqual({ p99: 1, max: 2 });
    expect(await handle.metrics()).toEqual([{ name: 'x' }]);
  });

  test('ends when asked to, and that is no failure', async () => {
    const { handle, exit } = start(well);
    await until(() => handle.ready());
    await handle.stop(60_000);
    expect(handle.ready()).toBe(false);
    expect(await Promise.race([exit, Promise.resolve('nothing said')])).toBe('nothing said');
  });
});

describe('a thread that is not well', () => {
  test('says why it ended when it throws', async () => {
    const { exit } = start(`throw new Error('no disk');`);
    expect(await exit).toContain('no disk');
  });

  test('says the code when it just ends', async () => {
    const { exit } = start(`process.exit(7);`);
    expect(await exit).toContain('7');
  });

  test('that does not answer holds nobody up: no metrics, and it is ended when it will not stop', async () => {
    const { handle } = start(`parentPort.on('message', () => {}); parentPort.postMessage({ type: 'ready' });`);
    await until(() => handle.ready());
    expect(await handle.metrics()).toEqual([]);
    await handle.stop(1);
    expect(handle.ready()).toBe(false);
  });
});

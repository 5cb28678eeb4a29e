import { createServer, type RequestListener, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { runInSandbox } from './client.ts';
import { DEFAULT_SANDBOX_LIMITS, type SandboxJob, type SandboxOutput } from './protocol.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A runner that is not ours, or no longer. */
async function runnerThat(answers: RequestListener): Promise<{ url: string; key: string }> {
  server = createServer(answers).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, key: 'key' };
}

const limits = { ...DEFAULT_SANDBOX_LIMITS, outputBytes: 1000, fileBytes: 1000 };
const job: SandboxJob = { language: 'python', source: '', limits };
const { signal } = new AbortController();
const end = { end: { reason: 'Exited', exitCode: 0, files: [], leftOut: [], durationMs: 1 } };

describe('a runner is believed no more than it may say', () => {
  const line = (event: unknown) => `${JSON.stringify(event)}\n`;
  test.each([
    ['rubbish', 'rubbish\n'],
    ['an event that there is not', line({ shell: 'rm' })],
    ['a file out of the folder', line({ end: { ...end.end, files: [{ path: '../x', text: '' }] } })],
    ['no end', line({ stdout: 'hello' })],
    ['half of its end', JSON.stringify(end)],
    ['far too much', 'x'.repeat(2_000_000)],
    ['far too many lines', line({ stdout: '' }).repeat(100_000)],
  ])('as when it says %s', async (_what, text) => {
    const place = await runnerThat((_, response) => response.end(text));
    await expect(runInSandbox(place, job, { signal })).rejects.toMatchObject({ fault: 'Died', mayHaveRun: true });
  });

  test('though its lines may come in any pieces', async () => {
    const text = Buffer.from(line({ stdout: 'grün\n' }) + line({ stderr: 'b' }) + line(end));
    const place = await runnerThat((_, response) => {
      for (const byte of text) response.write(Buffer.of(byte));
      response.end();
    });
    const said: SandboxOutput[] = [];
    expect(await runInSandbox(place, job, { signal, onOutput: (piece) => said.push(piece) })).toEqual(end.end);
    expect(said).toEqual([{ stdout: 'grün\n' }, { stderr: 'b' }]);
  });
});

describe('it is told apart', () => {
  test.each([
    [409, 'Taken', 'has had its one job'],
    [401, 'Refused', '(401): the key is another one'],
    [400, 'Refused', '(400): the key is another one'],
  ])('what a runner means with %d', async (status, fault, message) => {
    const place = await runnerThat((_, response) => response.writeHead(status).end('the key is another one'));
    const failed = expect(runInSandbox(place, job, { signal })).rejects;
    await failed.toMatchObject({ fault, mayHaveRun: false, message: expect.stringContaining(message) });
  });

  test('whether a sandbox was there at all', async () => {
    const place = await runnerThat(() => undefined);
    server?.close();
    await expect(runInSandbox(place, job, { signal })).rejects.toMatchObject({ fault: 'Unreachable' });
  });

  test('whether it died half-way', async () => {
    const place = await runnerThat((request) => request.socket.destroy());
    await expect(runInSandbox(place, job, { signal })).rejects.toMatchObject({ fault: 'Died' });
  });

  test('whether it says nothing any more', async () => {
    const place = await runnerThat((_, response) => response.writeHead(200).write('\n'.slice(1)));
    const hasty = { ...job, limits: { ...limits, timeoutMs: 1 } };
    const failed = runInSandbox(place, hasty, { signal, graceMs: 1 });
    await expect(failed).rejects.toMatchObject({ fault: 'Died', message: 'The sandbox did not answer in its time.' });
  });

  test('whether the caller gave up: then the runner sees its connection broken', async () => {
    const left = new AbortController();
    let broken: Promise<unknown> | undefined;
    const place = await runnerThat((request) => {
      broken = once(request.socket, 'close');
      left.abort(new Error('given up'));
    });
    await expect(runInSandbox(place, job, { signal: left.signal })).rejects.toThrow('given up');
    await broken;
  });
});

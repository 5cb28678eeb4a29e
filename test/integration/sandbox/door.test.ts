// What the runner answers to those who knock, right or wrong.
import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { MAX_JOB_BYTES, runInSandbox } from '@kadre/sandbox';
import { startSandboxRunner, type RunningSandbox } from '../../support/sandbox-runner.ts';
import { jobOf } from './jobs.ts';

let sandbox: RunningSandbox;
beforeEach(async () => {
  sandbox = await startSandboxRunner();
});
afterEach(() => sandbox.stop());

const signal = AbortSignal.timeout(60_000);
const hello = jobOf('print("hello")');

async function post(body: unknown, key = sandbox.key): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${key}` };
  const answer = await fetch(`${sandbox.url}/job`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: answer.status, text: await answer.text() };
}

describe('a sandbox', () => {
  test('is ready until it has had its job, takes no second one, and is over afterwards', async () => {
    const healthy = () => fetch(`${sandbox.url}/healthz`).then(({ status }) => status);
    expect(await healthy()).toBe(200);
    let second: Promise<unknown> | undefined;
    let health: Promise<number> | undefined;
    const onOutput = () => {
      second ??= runInSandbox(sandbox, hello, { signal });
      second.catch(() => undefined);
      health ??= healthy();
    };
    const job = jobOf('import time\nprint("begun", flush=True)\ntime.sleep(1)');
    expect(await runInSandbox(sandbox, job, { signal, onOutput })).toMatchObject({ reason: 'Exited' });
    await expect(second).rejects.toMatchObject({ fault: 'Taken', mayHaveRun: false });
    expect(await health).toBe(503);
    expect(await sandbox.over).toBe(0);
    await expect(runInSandbox(sandbox, hello, { signal })).rejects.toMatchObject({ fault: 'Unreachable' });
  });

  test('is not used up by jobs that it refuses', async () => {
    const limits = hello.limits;
    const refused: [unknown, string][] = [
      ['rubbish', 'the job must be an object'],
      [{ ...hello, language: 'cobol' }, 'language is unknown'],
      [{ ...hello, more: 1 }, 'the job has unknown fields: more'],
      [{ ...hello, limits: { ...limits, processes: 1.5 } }, 'limits.processes must be a whole number'],
      [{ ...hello, limits: { ...limits, timeoutMs: 1e9 } }, 'limits.timeoutMs must be a whole number'],
      [{ ...hello, source: 'x'.repeat(1024 * 1024 + 1) }, 'source must be text'],
      [{ ...hello, files: [{ path: '../up', text: '' }] }, 'is no path for a file'],
      [{ ...hello, files: [{ path: '/etc/passwd', text: '' }] }, 'is no path for a file'],
      [{ ...hello, files: [{ path: 'a\nb', text: '' }] }, 'is no path for a file'],
      [{ ...hello, files: [{ path: 'a', text: '', base64: '' }] }, 'either text or base64'],
      [{ ...hello, files: [{ path: 'a', base64: '?' }] }, 'cannot be decoded'],
      [{ ...hello, files: [{ path: 'main.py', text: '' }] }, 'or it is the program itself'],
      [
        {
          ...hello,
          files: [
            { path: 'a', text: '' },
            { path: 'a/b', text: '' },
          ],
        },
        'lies in what is a file',
      ],
    ];
    for (const [job, message] of refused) {
      expect(await post(job)).toEqual({ status: 400, text: expect.stringContaining(message) });
    }
    expect(await post(hello, 'another key')).toMatchObject({ status: 401 });
    expect(await post('x'.repeat(MAX_JOB_BYTES))).toMatchObject({ status: 413 });
    await expect(
      runInSandbox(sandbox, { ...hello, files: [{ path: '..', text: '' }] }, { signal }),
    ).rejects.toMatchObject({ fault: 'Refused', message: expect.stringContaining('is no path for a file') });
    expect(await runInSandbox(sandbox, hello, { signal })).toMatchObject({ exitCode: 0 });
  });

  test('runs the job of one of two that come at once', async () => {
    const both = await Promise.allSettled([
      runInSandbox(sandbox, hello, { signal }),
      runInSandbox(sandbox, hello, { signal }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test.each([
    'GET / HTTP/1.1\r\n\r\n',
    'rubbish\r\n\r\n',
    'x'.repeat(100_000),
    'POST /job HTTP/1.1\r\ncontent-length: -1\r\n\r\n',
  ])('survives %.20j', async (rubbish) => {
    const socket = connect(Number(new URL(sandbox.url).port), '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write(rubbish);
    await once(socket, 'close');
    expect(await runInSandbox(sandbox, hello, { signal })).toMatchObject({ exitCode: 0 });
  });

  test('waits for no reader that is slow', async () => {
    const job = jobOf('print("x" * 8000000)', { limits: { outputBytes: 8 * 1024 * 1024 } });
    const { hostname, port } = new URL(sandbox.url);
    const socket = connect(Number(port), hostname);
    const body = JSON.stringify(job);
    socket.pause().on('error', () => undefined);
    socket.write(
      `POST /job HTTP/1.1\r\nauthorization: Bearer ${sandbox.key}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    expect(await sandbox.over).toBe(0);
    socket.destroy();
  });
});

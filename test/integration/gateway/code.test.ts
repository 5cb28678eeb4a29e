// Code through the gateway: claims meet offers in a real store, and real runners stand in for pods.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { CALL_HEADER, REPLAYED_HEADER, STEP_HEADER, type CodeCall, type CodeResult } from '@kadre/crds';
import { createGateway } from '@kadre/gateway';
import { mintStepToken, sandboxPool, type Store } from '@kadre/store';
import pino from 'pino';
import { Registry } from 'prom-client';
import { freePort } from '../../support/free-port.ts';
import { startSandboxRunner, type RunningSandbox } from '../../support/sandbox-runner.ts';
import { NAMESPACE, step, until } from './bed.ts';
import { startToolBed, type ToolBed } from './tool-bed.ts';

const spec = { memory: '256Mi', cpu: '500m' };
const POOL = sandboxPool(spec);

let bed: ToolBed;
let running: RunningSandbox[];
let registry: Registry;
beforeEach(async () => {
  running = [];
  registry = new Registry();
  bed = await startToolBed({ registry });
  bed.tool('code', { builtin: { code: { ...spec, languages: ['python', 'shell'], warm: 0 } }, timeout: '5s' });
});
afterEach(async () => {
  await bed.close();
  await Promise.all(running.map((one) => one.stop()));
});

/** What the operator does when a pod is ready. */
async function offer(url?: string): Promise<string> {
  const sandbox = await startSandboxRunner();
  running.push(sandbox);
  const id = `pod-${running.length}`;
  await bed.store.offerSandbox({ id, namespace: NAMESPACE, pool: POOL, url: url ?? sandbox.url, key: sandbox.key });
  return id;
}

const states = async (): Promise<Record<string, string>> =>
  Object.fromEntries((await bed.store.sandboxPool(NAMESPACE, POOL)).offered.map(({ id, state }) => [id, state]));
const waiting = async (): Promise<number> => (await bed.store.sandboxPool(NAMESPACE, POOL)).waiting.length;
const python = (source: string) => ({ language: 'python', source });
const call = (source: string, more: object = {}) => bed.call({ name: 'code', args: python(source), ...more });

describe('a tool that runs code', () => {
  test('runs each program in a sandbox that is spent afterwards', async () => {
    await offer();
    await offer();
    const answers = await Promise.all([call('print(6 * 7)'), call('print(6 * 9)')]);
    expect(answers.map(({ text }) => text).sort()).toEqual([
      'Exit code 0.\n\nstdout:\n42\n',
      'Exit code 0.\n\nstdout:\n54\n',
    ]);
    expect(answers[0].result).toMatchObject({ isError: false, trust: 'trusted' });
    expect(await states()).toEqual({ 'pod-1': 'spent', 'pod-2': 'spent' });
    expect(await Promise.all(running.map(({ over }) => over))).toEqual([0, 0]);
  });

  test('waits until there is a sandbox', async () => {
    const asked = call('print("at last")');
    await until(async () => (await waiting()) === 1);
    await offer();
    expect((await asked).text).toContain('at last');
    expect(await waiting()).toBe(0);
    expect(await registry.metrics()).toContain('kadre_gateway_sandbox_wait_seconds_count 1');
  });

  test('takes another one when a pod died while it stood ready', async () => {
    await offer(`http://127.0.0.1:${await freePort()}`);
    await offer();
    expect((await call('print("alive")')).text).toContain('alive');
    expect(await states()).toEqual({ 'pod-1': 'spent', 'pod-2': 'spent' });
  });

  test('tells the model of a program that fails, is stopped, or is none', async () => {
    for (let one = 0; one < 3; one++) await offer();
    expect(await call('raise SystemExit("no luck")')).toMatchObject({
      text: expect.stringMatching(/^Exit code 1\.[^]*no luck/),
      result: { isError: true, reason: 'ToolFailed' },
    });
    bed.tool('code', { builtin: { code: { ...spec, languages: ['python'], warm: 0 } }, timeout: '1s' });
    expect((await call('print("begun", flush=True)\nwhile True: pass')).text).toMatch(
      /^It was stopped: The program took longer than 1 s\.[^]*begun/,
    );
    const outside = [{ path: '../a', text: '' }];
    const refused = await bed.call({ name: 'code', args: { ...python('1'), files: outside } });
    expect(refused.text).toContain('files.0.path: must be relative');
    expect(await states()).toMatchObject({ 'pod-3': 'free' });
  });

  test('tells callers who want to hear of it what it prints, as it comes', async () => {
    await offer();
    const source =
      'import sys\nprint("first", flush=True)\nsys.stdin.read()\nimport time\ntime.sleep(1)\nprint("last")';
    const response = await fetch(`${bed.url}/v1/tools/call`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer token-a',
        'content-type': 'application/json',
        accept: 'application/json, application/x-ndjson',
      },
      body: JSON.stringify({ name: 'code', arguments: JSON.stringify(python(source)) }),
    });
    expect(response.headers.get('content-type')).toContain('application/x-ndjson');
    const lines = (await response.text()).split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.slice(0, -1).map(({ progress }) => progress)).toEqual(['first\n', 'last\n']);
    expect(lines.at(-1)).toMatchObject({ isError: false, content: [{ text: expect.stringContaining('first\nlast') }] });
    const quiet = await call('1', { name: 'unknown' });
    expect(quiet.text).toContain('may not use unknown');
  });

  test('is over when nobody wants its answer any more', async () => {
    await offer();
    const hangUp = new AbortController();
    const asked = call('import time\ntime.sleep(60)', { signal: hangUp.signal });
    asked.catch(() => undefined);
    await until(async () => (await states())['pod-1'] === 'taken');
    hangUp.abort();
    await until(async () => (await states())['pod-1'] === 'spent');
    expect(await running[0]?.over).toBe(0);
  });

  test('a step that asks again is told what came of it, and nothing runs twice', async () => {
    await offer();
    const first = await call('print("once")', { call: 1 });
    const again = await call('print("once")', { call: 1 });
    expect([first.replayed, again.replayed]).toEqual([false, true]);
    expect(again.result).toEqual(first.result);
  });

  test('two gateways on one store never share a sandbox', async () => {
    const other = createGateway(otherOptions(bed.store));
    const url = await other.listen({ host: '127.0.0.1', port: 0 });
    for (let one = 0; one < 4; one++) await offer();
    const asked = Array.from({ length: 4 }, (_, index) =>
      code(index % 2 === 0 ? bed.url : url, 'print(1)', `s${index}`),
    );
    const answers = await Promise.all(asked);
    expect(answers.map(({ body }) => ('stdout' in body ? body.stdout : body))).toEqual(['1\n', '1\n', '1\n', '1\n']);
    expect(Object.values(await states())).toEqual(['spent', 'spent', 'spent', 'spent']);
    await other.close();
  });
});

const otherOptions = (store: Store) => ({
  models: { get: () => undefined, list: () => [] },
  secrets: { read: () => Promise.resolve(undefined) },
  authenticate: () => Promise.resolve(undefined),
  store,
  logger: pino({ level: 'silent' }),
  limits: { drainMs: 1000 },
});

async function code(url: string, source: string, name = 'compute', more: Partial<CodeCall> = {}, claims: object = {}) {
  const secret = await bed.store.secret('step-token');
  const token = mintStepToken(secret, { ...step, step: name, agent: '', engine: true, ...claims }, Date.now() + 60_000);
  const response = await fetch(`${url}/v1/code`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', [STEP_HEADER]: token, [CALL_HEADER]: '1' },
    body: JSON.stringify({ language: 'python', source, timeoutMs: 5000, ...more }),
  });
  const body = (await response.json()) as CodeResult;
  return { status: response.status, replayed: response.headers.get(REPLAYED_HEADER) === 'true', body };
}

describe('the code of a step', () => {
  const program = [
    'import json, os',
    'given = json.load(open(os.environ["KADRE_INPUT"]))',
    'json.dump({"sum": sum(given)}, open(os.environ["KADRE_OUTPUT"], "w"))',
    'open("said.txt", "w").write(open("in.txt").read().upper())',
    'print("done")',
  ].join('\n');
  const given = { input: [1, 2, 3], files: [{ path: 'in.txt', text: 'hello' }] };

  test('is told what it wrote, and kept under its number', async () => {
    await offer();
    const first = await code(bed.url, program, 'compute', given);
    expect(first).toEqual({
      status: 200,
      replayed: false,
      body: {
        exitCode: 0,
        output: { sum: 6 },
        stdout: 'done\n',
        stderr: '',
        files: [{ path: 'said.txt', text: 'HELLO' }],
      },
    });
    // Whoever asks again may have less time left.
    const again = await code(bed.url, program, 'compute', { ...given, timeoutMs: 4000 });
    expect(again).toEqual({ ...first, replayed: true });
    expect((await code(bed.url, 'print(1)', 'compute')).status).toBe(409);
  });

  test.each<[string, string, Partial<CodeCall>, object]>([
    ['too long', 'while True: pass', { timeoutMs: 500 }, { reason: 'TimedOut' }],
    [
      'too large',
      'x = []\nwhile True: x.append(bytearray(1 << 23))',
      {},
      { reason: 'LimitExceeded', message: 'The program needed more than 256 MiB of memory.' },
    ],
    [
      'with an output that is none',
      'import os\nopen(os.environ["KADRE_OUTPUT"], "w").write("{")',
      {},
      { reason: 'InvalidOutput' },
    ],
    ['with files outside', 'pass', { files: [{ path: '/etc/x', text: '' }] }, { reason: 'CodeFailed' }],
    ['with too little memory', 'pass', { sandbox: { memory: '1Mi', cpu: '1' } }, { reason: 'CodeFailed' }],
  ])('%s fails with its reason', async (_what, source, more, failure) => {
    await offer();
    expect(await code(bed.url, source, 'compute', more)).toMatchObject({ status: 200, body: { failure } });
  });

  test('is for engines alone, and with a body that makes sense', async () => {
    expect((await code(bed.url, 'pass', 'x', {}, { engine: undefined, agent: 'researcher' })).status).toBe(401);
    expect((await code(bed.url, 'pass', 'x', { language: 'cobol' as 'python' })).status).toBe(400);
  });
});

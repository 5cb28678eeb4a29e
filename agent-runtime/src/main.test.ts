import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { bundleRuntime } from './testing/bundle.ts';
import {
  chunk,
  endStream,
  eventually,
  gatewayError,
  post,
  say,
  sendJson,
  startGateway,
  startStream,
  testAgent,
  type GatewayHandler,
  type TestGateway,
} from './testing/harness.ts';
import { toolGateway } from './testing/tool-gateway.ts';

const A2A = { 'A2A-Version': '1.0' };

// Processes take their time to start on a busy machine.
jest.setTimeout(60_000);

interface Process {
  child: ChildProcess;
  output: () => string;
  /** Resolves with the exit code, or the signal that ended it. */
  ended: Promise<number | string>;
  /** Base URL, once it listens. */
  url: () => Promise<string>;
}

describe('the process', () => {
  let gateway: TestGateway;
  let directory: string;
  let started: ChildProcess[];
  let bundle: string;
  let main: string;

  // Bundled as in the image: it starts in a fraction of the time, and what a bundler may break shows here.
  beforeAll(async () => {
    bundle = mkdtempSync(join(tmpdir(), 'agent-runtime-bundle-'));
    main = await bundleRuntime(bundle);
  });
  afterAll(() => rmSync(bundle, { recursive: true }));

  beforeEach(async () => {
    gateway = await startGateway();
    directory = mkdtempSync(join(tmpdir(), 'agent-runtime-'));
    writeFileSync(join(directory, 'token'), 'pod-token\n');
    started = [];
  });
  afterEach(async () => {
    for (const child of started) child.kill('SIGKILL');
    await gateway.close();
    rmSync(directory, { recursive: true });
  });

  const start = (mode: string[], env: Record<string, string> = {}): Process => {
    const child = spawn(process.execPath, [main, ...mode], {
      env: {
        KADRE_AGENT: JSON.stringify(testAgent()),
        KADRE_GATEWAY_URL: gateway.url,
        KADRE_TOKEN_FILE: join(directory, 'token'),
        KADRE_PORT: '0',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    started.push(child);
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (output += data.toString()));
    const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
    const url = async (): Promise<string> => {
      await eventually(() => output.includes('"listening"') || child.exitCode !== null);
      const [, port = ''] = /"url":"http:\/\/[^"]*:(\d+)"/.exec(output) ?? [];
      return `http://127.0.0.1:${port}`;
    };
    return { child, output: () => output, ended, url };
  };
  const sendMessage = (url: string, more: Record<string, unknown> = {}) =>
    post(
      `${url}/a2a`,
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'SendMessage',
        params: { message: { messageId: 'same', role: 'ROLE_USER', parts: [{ text: 'Hi' }] }, ...more },
      },
      A2A,
    ) as Promise<{ body: { result: { task: { id: string; status: { state: string } } } } }>;

  test.each([
    ['no agent', [], { KADRE_AGENT: '' }, /^KADRE_AGENT is not set: /],
    ['an agent that is not JSON', [], { KADRE_AGENT: '{' }, /^KADRE_AGENT is wrong \(is not JSON\): /],
    ['an unknown mode', ['run'], {}, /^There is no mode "run": use serve or step/],
    ['a step without its token', ['step'], {}, /^KADRE_STEP_TOKEN is not set: /],
    [
      'an output schema that is none',
      [],
      { KADRE_AGENT: JSON.stringify(testAgent({ output: { schema: { type: 'sting' } } })) },
      /^KADRE_AGENT is wrong \(.*type.*\): /,
    ],
    [
      'an endpoint whose prompt is wrong',
      [],
      { KADRE_AGENT: JSON.stringify(testAgent({ endpoints: [{ path: '/a', prompt: 'x $(request.)' }] })) },
      /^KADRE_AGENT is wrong \(the endpoint \/a: \$\(request\.\): .*\): /,
    ],
  ])('ends with code 2 and one line that helps: %s', async (_name, mode, env, line) => {
    const { ended, output } = start(mode, env);
    expect(await ended).toBe(2);
    expect(output()).toMatch(line);
    expect(output().trim().split('\n')).toHaveLength(1);
  });

  test('lets a request finish after SIGTERM, takes no other meanwhile, and ends with code 0', async () => {
    let goOn = (): void => undefined;
    const told = new Promise<void>((resolve) => (goOn = resolve));
    gateway.handler = async (request, response) => {
      await told;
      await say('At last.')(request, response);
    };
    const { child, ended, url } = start(['serve']);
    const base = await url();
    await eventually(async () => (await fetch(`${base}/readyz`)).status === 200);
    const answer = post(`${base}/generate`, { prompt: 'Hi' });
    await eventually(() => gateway.requests.length === 1);
    child.kill('SIGTERM');
    await eventually(async () => (await fetch(`${base}/readyz`)).status === 503);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    expect(await post(`${base}/generate`, { prompt: 'Me too' })).toMatchObject({
      status: 503,
      body: { error: { code: 'AgentUnavailable' } },
    });
    goOn();
    expect(await answer).toMatchObject({ status: 200, body: { output: 'At last.' } });
    expect(await ended).toBe(0);
    expect(gateway.requests).toHaveLength(1);
  });

  test('gives up on a request that takes longer than the time to shut down', async () => {
    gateway.handler = () => undefined;
    const { child, ended, url } = start(['serve'], { KADRE_SHUTDOWN_SECONDS: '0' });
    const answer = post(`${await url()}/generate`, { prompt: 'Hi' });
    await eventually(() => gateway.requests.length === 1);
    child.kill('SIGTERM');
    expect(await answer).toMatchObject({ status: 503, body: { error: { code: 'AgentUnavailable' } } });
    expect(await ended).toBe(0);
  });

  test('killed in the middle of a task, its successor starts the same message anew', async () => {
    gateway.handler = (_request, response) => {
      startStream(response);
      response.write(chunk({ content: 'half' }));
    };
    const first = start(['serve']);
    const { body } = await sendMessage(await first.url(), { configuration: { returnImmediately: true } });
    await eventually(() => gateway.requests.length === 1);
    first.child.kill('SIGKILL');
    expect(await first.ended).toBe('SIGKILL');
    gateway.handler = say('whole');
    const second = start(['serve']);
    const again = await sendMessage(await second.url());
    expect(again.body.result.task).toMatchObject({
      status: { state: 'TASK_STATE_COMPLETED' },
      artifacts: [{ parts: [{ text: 'whole' }] }],
    });
    expect(again.body.result.task.id).not.toBe(body.result.task.id);
  });

  test('cuts a task that takes longer than the time to shut down, and its message starts anew elsewhere', async () => {
    gateway.handler = (_request, response) => {
      startStream(response);
      response.write(chunk({ content: 'half' }));
    };
    const first = start(['serve'], { KADRE_SHUTDOWN_SECONDS: '0' });
    const base = await first.url();
    const waiting = sendMessage(base);
    await eventually(() => gateway.requests.length === 1);
    const params = { message: { messageId: 'same', role: 'ROLE_USER', parts: [{ text: 'Hi' }] } };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendStreamingMessage', params });
    const stream = await fetch(`${base}/a2a`, {
      method: 'POST',
      headers: { ...A2A, 'content-type': 'application/json' },
      body,
    });
    const reading = stream.text();
    first.child.kill('SIGTERM');
    await expect(reading).rejects.toThrow();
    expect(await waiting).toMatchObject({ status: 503, body: { error: { data: [{ reason: 'AgentUnavailable' }] } } });
    expect(await first.ended).toBe(0);
    gateway.handler = say('whole');
    const again = await sendMessage(await start(['serve']).url());
    expect(again.body.result.task).toMatchObject({ status: { state: 'TASK_STATE_COMPLETED' } });
  });

  describe('as a step', () => {
    const payload = { run: 'uid-1', step: 'research[2]', attempt: 1, prompt: 'Find facts', input: { topic: 'GPU' } };
    const env = { KADRE_STEP_TOKEN: 'step-secret' };
    const serveStep = (
      model: GatewayHandler,
      result: GatewayHandler = (_request, response) => sendJson(response, 200, {}),
    ): GatewayHandler => {
      return (request, response) => {
        const giveStep: GatewayHandler = (_request, own) => sendJson(own, 200, payload);
        if (request.path === '/v1/step') return giveStep(request, response);
        return request.path === '/v1/step/result' ? result(request, response) : model(request, response);
      };
    };
    const reports = () => gateway.requests.filter(({ path }) => path === '/v1/step/result').map(({ body }) => body);

    test('asks the model once with both tokens, reports the answer and ends with code 0', async () => {
      gateway.handler = serveStep(say('Facts.'));
      expect(await start(['step'], env).ended).toBe(0);
      expect(gateway.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
        'GET /v1/step',
        'POST /v1/chat/completions',
        'POST /v1/step/result',
      ]);
      for (const { headers } of gateway.requests)
        expect(headers).toMatchObject({ authorization: 'Bearer pod-token', 'kadre-step': 'step-secret' });
      expect(gateway.requests[1]?.body.messages?.at(-1)?.content).toBe('Find facts\n\n{"topic":"GPU"}');
      expect(reports()).toEqual([{ output: 'Facts.' }]);
    });

    test('calls its tools under the numbers of the step, and reports the last answer', async () => {
      const model = [{ text: 'I look.', calls: [['look', '{}']] as [string, string][] }, { text: 'Facts.' }];
      gateway.handler = serveStep(toolGateway({ model }));
      expect(await start(['step'], { ...env, KADRE_AGENT: JSON.stringify(testAgent({ tools: true })) }).ended).toBe(0);
      expect(gateway.requests.map(({ path, headers }) => [path, headers['kadre-call']])).toEqual([
        ['/v1/step', undefined],
        ['/v1/tools', undefined],
        ['/v1/chat/completions', '1'],
        ['/v1/tools/call', '2'],
        ['/v1/chat/completions', '3'],
        ['/v1/step/result', undefined],
      ]);
      expect(reports()).toEqual([{ output: 'Facts.' }]);
    });

    test('a failure that could be reported is a step well done', async () => {
      gateway.handler = serveStep((_request, response) =>
        sendJson(response, 424, gatewayError('ModelNotFound', 'There is no Model smart.')),
      );
      expect(await start(['step'], env).ended).toBe(0);
      expect(reports()).toEqual([{ failure: { reason: 'ModelNotFound', message: 'There is no Model smart.' } }]);
    });

    test('the report is repeated until the gateway has it', async () => {
      let refusals = 2;
      gateway.handler = serveStep(say('Facts.'), (_request, response) => {
        if ((refusals -= 1) === 1) return void response.socket?.destroy();
        sendJson(response, refusals >= 0 ? 503 : 200, {});
      });
      expect(await start(['step'], env).ended).toBe(0);
      expect(reports()).toEqual([{ output: 'Facts.' }, { output: 'Facts.' }, { output: 'Facts.' }]);
    });

    test.each([
      ['the step is over already', serveStep(say('x')), 410],
      ['the token belongs to another pod', serveStep(say('x')), 403],
    ])('ends with code 1 and asks no model when %s', async (_name, otherwise, status) => {
      gateway.handler = (request, response) =>
        request.path === '/v1/step' ? sendJson(response, status, {}) : otherwise(request, response);
      expect(await start(['step'], env).ended).toBe(1);
      expect(gateway.requests).toHaveLength(1);
    });

    test('ends with code 1 when the report is refused for good', async () => {
      gateway.handler = serveStep(say('x'), (_request, response) => sendJson(response, 404, {}));
      expect(await start(['step'], env).ended).toBe(1);
      expect(reports()).toHaveLength(1);
    });

    test('told to stop, it drops the model call and reports nothing, so that the Job may try again', async () => {
      let hungUp = false;
      gateway.handler = serveStep((_request, response) => void response.once('close', () => (hungUp = true)));
      const { child, ended } = start(['step'], env);
      await eventually(() => gateway.requests.length === 2);
      child.kill('SIGTERM');
      expect(await ended).toBe(143);
      await eventually(() => hungUp);
      expect(reports()).toEqual([]);
    });

    test('told to stop while it reports, it still reports', async () => {
      let told = (): void => undefined;
      const stopped = new Promise<void>((resolve) => (told = resolve));
      gateway.handler = serveStep(say('Facts.'), async (_request, response) => {
        await stopped;
        sendJson(response, 200, {});
      });
      const { child, ended } = start(['step'], env);
      await eventually(() => reports().length === 1);
      child.kill('SIGTERM');
      told();
      expect(await ended).toBe(0);
    });
  });

  test('writes neither prompts nor tokens to its log', async () => {
    gateway.handler = (_request, response) => {
      startStream(response);
      response.write(chunk({ content: 'secret answer' }));
      endStream(response);
    };
    const { child, ended, url, output } = start(['serve'], { KADRE_LOG_LEVEL: 'debug' });
    const base = await url();
    await post(
      `${base}/a2a`,
      {
        jsonrpc: '2.0',
        id: 1,
        method: 'SendMessage',
        params: {
          message: {
            messageId: 'm',
            role: 'ROLE_USER',
            parts: [{ text: 'secret question' }],
            metadata: { 'kadre.dev/step-token': 'secret-token' },
          },
        },
      },
      A2A,
    );
    await post(`${base}/generate`, '{"prompt": "secret question", "wrong": 1}');
    child.kill('SIGTERM');
    await ended;
    expect(output()).toContain('"route":"/a2a"');
    expect(output()).not.toMatch(/secret|pod-token/);
    for (const line of output().trim().split('\n'))
      expect(JSON.parse(line)).toMatchObject({ agent: 'greeter', namespace: 'demo' });
  });
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  completion,
  gatewayError,
  say,
  sendJson,
  startGateway,
  startStream,
  type GatewayHandler,
  type TestGateway,
} from '../testing/harness.ts';
import { AgentFailure } from '../failure.ts';
import { createGatewayClient, type GatewayClient } from './gateway-client.ts';
import { createModelClient, type ModelClient } from './model-client.ts';

describe('a call to a model', () => {
  let gateway: TestGateway;
  let client: GatewayClient;
  let model: ModelClient;
  let waits: number[];

  beforeEach(async () => {
    gateway = await startGateway();
    waits = [];
    const sleep = (ms: number): Promise<void> => Promise.resolve(void waits.push(ms));
    client = createGatewayClient({ gatewayUrl: gateway.url, token: () => Promise.resolve('pod-token'), sleep });
    model = createModelClient(client);
  });
  afterEach(async () => {
    await client.close();
    await gateway.close();
  });

  const body = { model: 'smart', messages: [{ role: 'user', content: 'Hi' }] };
  const complete = (signal = new AbortController().signal) =>
    model.complete({ body, signal, number: 1, stepToken: 'step-secret' });
  const inTurn = (...handlers: GatewayHandler[]): GatewayHandler => {
    let next = 0;
    return (request, response) => handlers[Math.min(next++, handlers.length - 1)]?.(request, response);
  };
  const status = (code: number, reason: string, headers: Record<string, string> = {}): GatewayHandler => {
    return (_request, response) => sendJson(response, code, gatewayError(reason), headers);
  };
  const hangUp: GatewayHandler = (_request, response) => void response.socket?.destroy();

  test('is repeated while the gateway hangs up or answers 503, with growing waits', async () => {
    gateway.handler = inTurn(hangUp, status(503, 'ModelUnavailable'), say('there'));
    expect((await complete()).choices[0]?.message.content).toBe('there');
    expect(waits).toHaveLength(2);
    expect(waits[1]).toBeGreaterThan(waits[0] ?? Infinity);
  });

  test('is given up after a few seconds while somebody waits for it', async () => {
    gateway.handler = status(503, 'ModelUnavailable');
    const signal = new AbortController().signal;
    await expect(model.complete({ body, signal, number: 1 })).rejects.toMatchObject({ reason: 'ModelUnavailable' });
    expect(gateway.requests).toHaveLength(5);
  });

  test('for a step is repeated as long as a control plane may take to come back', async () => {
    gateway.handler = status(503, 'ModelUnavailable');
    await expect(complete()).rejects.toMatchObject({ reason: 'ModelUnavailable' });
    expect(waits.reduce((sum, wait) => sum + wait, 0)).toBeGreaterThan(300_000);
  });

  test('to a gateway that is not there is ModelUnavailable', async () => {
    const nowhere = createGatewayClient({
      gatewayUrl: 'http://127.0.0.1:1',
      token: () => Promise.resolve('t'),
      sleep: () => Promise.resolve(),
    });
    const unreachable = createModelClient(nowhere);
    await expect(unreachable.complete({ body, signal: new AbortController().signal, number: 1 })).rejects.toMatchObject(
      {
        reason: 'ModelUnavailable',
        message: expect.stringContaining('ECONNREFUSED'),
      },
    );
    await nowhere.close();
  });

  test('waits as long as Retry-After says, but only twice', async () => {
    gateway.handler = inTurn(status(429, 'RateLimited', { 'retry-after': '2' }), say('there'));
    await complete();
    expect(waits).toEqual([2000]);
    gateway.handler = status(429, 'RateLimited', { 'retry-after': '3' });
    await expect(complete()).rejects.toMatchObject({ reason: 'RateLimited', details: { retryAfter: 3 } });
    expect(waits).toEqual([2000, 3000, 3000]);
  });

  test.each([
    ['a limit without Retry-After', status(429, 'RateLimited'), 'RateLimited'],
    ['a limit for longer than anybody waits', status(429, 'RateLimited', { 'retry-after': '3600' }), 'RateLimited'],
    [
      'a refusal that says not to repeat it',
      status(503, 'ModelUnavailable', { 'x-should-retry': 'false' }),
      'ModelUnavailable',
    ],
    ['a wrong request', status(400, 'ModelFailed'), 'ModelFailed'],
    ['a wrong token', status(401, 'unknown'), 'Unauthorized'],
    ['a model that is not there', status(404, 'unknown'), 'ModelNotFound'],
    ['a broken gateway', status(500, 'InternalError'), 'InternalError'],
    ['an answer that is no JSON', (_request, response) => void response.end('<html>'), 'ModelFailed'],
    [
      'an answer without choices',
      (_request, response) => sendJson(response, 200, { id: 'x', choices: [] }),
      'ModelFailed',
    ],
    ['an error that is no JSON', (_request, response) => void response.writeHead(418).end('<html>'), 'ModelFailed'],
  ] satisfies [string, GatewayHandler, string][])('is not repeated after %s', async (_name, handler, reason) => {
    gateway.handler = handler;
    await expect(complete()).rejects.toMatchObject({ reason });
    expect(gateway.requests).toHaveLength(1);
    expect(waits).toEqual([]);
  });

  test('ends with the failure for which it was aborted', async () => {
    const controller = new AbortController();
    gateway.handler = () => controller.abort(new AgentFailure('TimedOut', 'too slow'));
    await expect(complete(controller.signal)).rejects.toMatchObject({ reason: 'TimedOut', message: 'too slow' });
  });

  test('does not begin again once a stream has begun', async () => {
    gateway.handler = (_request, response) => {
      startStream(response);
      response.write(
        `data: ${JSON.stringify({ ...completion('x'), choices: [{ index: 0, delta: { content: 'x' } }] })}\n\n`,
        () => response.socket?.destroy(),
      );
    };
    const read = async (): Promise<number> => {
      let count = 0;
      for await (const { choices } of model.stream({ body, signal: new AbortController().signal, number: 1 }))
        count += choices.length;
      return count;
    };
    await expect(read()).rejects.toMatchObject({ reason: 'ModelUnavailable' });
    expect(gateway.requests).toHaveLength(1);
  });

  test.each(['pod-token', 'step-secret'])(
    'never shows %s in a failure, even if the gateway echoes it',
    async (secret) => {
      gateway.handler = (_request, response) => sendJson(response, 401, gatewayError('Unauthorized', `bad: ${secret}`));
      await expect(complete()).rejects.toMatchObject({ message: 'bad: ***' });
    },
  );
});

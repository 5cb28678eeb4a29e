import { TaskState } from '@a2a-js/sdk';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { A2AConnection, followTask, messageParts, type Accepted, type FollowOptions, type Order } from '@kadre/a2a';
import { a2aMetadata } from '@kadre/crds';
import { Agent } from 'undici';
import {
  startAgent,
  type Answer,
  type AgentServer,
  type AgentServerOptions,
  type Behaviour,
} from '../testing/agent-server.ts';
import { until } from '../testing/bench.ts';
import { systemClock } from './clock.ts';
import type { Outcome } from '../core/events.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

async function agent(behave: Behaviour, options?: AgentServerOptions): Promise<AgentServer> {
  const server = await startAgent(behave, options);
  closers.push(() => server.close());
  return server;
}

/** A server that answers as a test says, however wrong. */
async function rubbish(
  answer: (request: IncomingMessage, response: ServerResponse, call: { method: string; id: number }) => void,
): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () =>
      answer(request, response, JSON.parse(Buffer.concat(chunks).toString()) as { method: string; id: number }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => new Promise((resolve) => server.close(resolve).closeAllConnections()));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Following {
  outcome: Promise<Outcome>;
  accepted: Accepted[];
  stop: AbortController;
  detach: AbortController;
}

function follow(
  url: string | undefined,
  more: Partial<Order> & { accepted?: Accepted; patience?: number; silence?: number } = {},
): Following {
  const [stop, detach, accepted] = [new AbortController(), new AbortController(), [] as Accepted[]];
  const dispatcher = new Agent();
  closers.push(() => dispatcher.destroy());
  const order: Order = {
    messageId: 'u1/step/1',
    agent: 'writer',
    parts: [{ text: 'hello' }],
    metadata: () => ({ [a2aMetadata.stepToken]: 'token' }),
    place: () => ({ found: true, ...(url !== undefined && { url }) }),
    ...more,
  };
  const options: FollowOptions = {
    connection: new A2AConnection({ dispatcher, agentResponse: 2000, streamSilence: more.silence ?? 5000 }),
    clock: systemClock,
    agentPatience: more.patience ?? 30_000,
    stopGrace: 500,
    onAccepted: (one) => accepted.push(one),
    detach: detach.signal,
    stop: stop.signal,
  };
  return { outcome: followTask(order, more.accepted, options), accepted, stop, detach };
}

const outcomeOf = async (answer: Answer, options?: AgentServerOptions): Promise<Outcome> =>
  follow((await agent(() => answer, options)).url).outcome;

describe('an agent made with the official SDK', () => {
  test.each<[string, Answer, unknown]>([
    ['a text', { text: 'hi' }, 'hi'],
    ['a text in pieces', { text: ['h', 'i', ''] }, 'hi'],
    ['no text at all', { text: '' }, ''],
    ['data', { data: { n: [1.5, null] } }, { n: [1.5, null] }],
    ['data that is a bare number', { data: 5 }, 5],
  ])('answers with %s', async (_, answer, output) => {
    expect(await outcomeOf(answer)).toEqual({ output, bytes: JSON.stringify(output).length });
  });

  test('may answer with a message instead of a task', async () => {
    expect(await outcomeOf({ message: 'hi' }, { withoutTasks: true })).toMatchObject({ output: 'hi' });
  });

  test('is asked once with text, data and token, and tells which task it is and where', async () => {
    const server = await agent(() => ({ text: 'hi' }));
    const following = follow(server.url, {
      parts: messageParts({ prompt: 'hello', input: { a: 1 } }),
    });
    await following.outcome;
    expect(server.asked).toEqual([
      { messageId: 'u1/step/1', key: 'step/1', text: 'hello', data: { a: 1 }, stepToken: 'token' },
    ]);
    expect(following.accepted).toEqual([{ taskId: expect.any(String) as unknown, instance: server.url }]);
  });

  test.each<[string, Answer, unknown]>([
    ['fails', { fail: 'no idea' }, { reason: 'AgentFailed', message: 'no idea' }],
    ['fails for a reason', { fail: 'too fast', reason: 'RateLimited' }, { reason: 'RateLimited', message: 'too fast' }],
    ['names a reason that is none', { fail: 'x', reason: 'Whatever' }, { reason: 'AgentFailed', message: 'x' }],
    [
      'fails without a word',
      { state: TaskState.TASK_STATE_FAILED },
      { reason: 'AgentFailed', message: 'the agent failed without saying why' },
    ],
    [
      'rejects',
      { state: TaskState.TASK_STATE_REJECTED },
      { reason: 'AgentFailed', message: 'the agent rejected the task without saying why' },
    ],
    [
      'asks back',
      { state: TaskState.TASK_STATE_INPUT_REQUIRED },
      { reason: 'AgentFailed', message: 'the agent asks for more input, which a step cannot give' },
    ],
  ])('%s', async (_, answer, failure) => {
    expect(await outcomeOf(answer)).toEqual({ failure });
  });

  test('whose task it gives up itself is reported as stopped', async () => {
    expect(await outcomeOf({ state: TaskState.TASK_STATE_CANCELED })).toBe('stopped');
  });

  test('is asked to cancel the task', async () => {
    const server = await agent(() => new Promise(() => undefined));
    const following = follow(server.url);
    await until(() => following.accepted[0]);
    following.stop.abort();
    expect(await following.outcome).toBe('stopped');
    expect(server.cancelled).toEqual(['step/1']);
  });

  test('goes on with its task when the engine lets go', async () => {
    const server = await agent(() => new Promise(() => undefined));
    const following = follow(server.url);
    await until(() => following.accepted[0]);
    following.detach.abort();
    await following.outcome;
    expect(server.calls).toEqual(['SendStreamingMessage']);
  });
});

describe('a task that was handed out before', () => {
  async function handedOut(options?: AgentServerOptions) {
    let answer: (text: string) => void = () => undefined;
    const server = await agent(() => new Promise((resolve) => (answer = (text) => resolve({ text }))), options);
    const first = follow(server.url);
    const accepted = await until(() => first.accepted[0]);
    return { server, first, accepted, answer: (text: string) => answer(text) };
  }

  test('is taken up again where it is', async () => {
    const { server, first, accepted, answer } = await handedOut();
    first.detach.abort();
    const second = follow(server.url, { accepted });
    await until(() => server.calls.includes('SubscribeToTask') || undefined);
    answer('hi');
    expect(await second.outcome).toMatchObject({ output: 'hi' });
    expect(server.asked).toHaveLength(1);
  });

  test('and is over meanwhile is fetched', async () => {
    const { server, first, accepted, answer } = await handedOut();
    first.detach.abort();
    answer('hi');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await follow(server.url, { accepted }).outcome).toMatchObject({ output: 'hi' });
    expect(server.asked).toHaveLength(1);
  });

  test('survives a connection that is cut', async () => {
    const { server, first, answer } = await handedOut();
    server.cutConnections();
    await until(() => server.calls.includes('SubscribeToTask') || undefined);
    answer('hi');
    expect(await first.outcome).toMatchObject({ output: 'hi' });
    expect(server.asked).toHaveLength(1);
  });

  test('and was forgotten is handed to the service again as the same message', async () => {
    const { server, accepted, first } = await handedOut();
    first.detach.abort();
    server.forgetTasks();
    const second = follow(server.url, { accepted });
    await until(() => server.asked[1]);
    expect(server.asked.map(({ messageId }) => messageId)).toEqual(['u1/step/1', 'u1/step/1']);
    second.detach.abort();
  });

  test('and whose replica is gone is handed to the service again', async () => {
    const { server: replica, accepted, first } = await handedOut();
    first.detach.abort();
    await replica.close();
    const service = await agent(() => ({ text: 'from another' }));
    const second = follow(service.url, { accepted });
    expect(await second.outcome).toMatchObject({ output: 'from another' });
    expect(second.accepted).toEqual([{ taskId: expect.any(String) as unknown, instance: service.url }]);
  });

  test('and is silent for too long is subscribed to anew', async () => {
    const server = await agent(() => new Promise(() => undefined));
    const following = follow(server.url, { silence: 100 });
    await until(() => server.calls.filter((method) => method === 'SubscribeToTask').length > 1 || undefined);
    expect(server.asked).toHaveLength(1);
    following.detach.abort();
  });
});

describe('an agent that', () => {
  test('is not there fails the step', async () => {
    expect(await follow(undefined, { place: () => ({ found: false }) }).outcome).toEqual({
      failure: { reason: 'AgentNotFound', message: 'there is no agent writer' },
    });
  });

  test('cannot be reached is tried until patience ends', async () => {
    expect(await follow('http://127.0.0.1:1', { patience: 300 }).outcome).toEqual({
      failure: {
        reason: 'AgentUnavailable',
        message: expect.stringMatching(/cannot be reached: .*ECONNREFUSED/) as unknown,
      },
    });
  });

  test('comes up while it is being tried is asked', async () => {
    let url = 'http://127.0.0.1:1';
    const following = follow(undefined, { place: () => ({ found: true, url }) });
    url = (await agent(() => ({ text: 'hi' }))).url;
    expect(await following.outcome).toMatchObject({ output: 'hi' });
  });

  test('points to a replica elsewhere is asked at its service', async () => {
    const server = await agent(() => new Promise(() => undefined), { instance: 'http://169.254.169.254' });
    const following = follow(server.url);
    expect((await until(() => following.accepted[0])).instance).toBeUndefined();
    following.stop.abort();
    expect(await following.outcome).toBe('stopped');
    expect(server.cancelled).toEqual(['step/1']);
  });

  const json = (response: ServerResponse, body: unknown, status = 200): void => {
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const stream = (response: ServerResponse, ...events: string[]): void => {
    response
      .writeHead(200, { 'content-type': 'text/event-stream' })
      .end(events.map((event) => `data: ${event}\n\n`).join(''));
  };
  const completed = { task: { id: 't', status: { state: 'TASK_STATE_COMPLETED' } } };

  test.each<[string, (response: ServerResponse) => void, string, RegExp]>([
    ['answers with HTML', (response) => json(response, '<html>'), 'AgentFailed', /doesn't speak A2A 1\.0 \(HTTP 200\)/],
    ['answers 404', (response) => json(response, '', 404), 'AgentFailed', /HTTP 404/],
    ['answers 401', (response) => json(response, '', 401), 'Unauthorized', /HTTP 401/],
    ['answers 429', (response) => json(response, '', 429), 'RateLimited', /slow down/],
    ['answers 500 for as long as it is tried', (response) => json(response, '', 500), 'AgentUnavailable', /HTTP 500/],
    [
      'answers with an error',
      (response) => json(response, { error: { code: -32602, message: 'bad params' } }),
      'AgentFailed',
      /bad params/,
    ],
    [
      'answers with an error for a reason',
      (response) => json(response, { error: { code: -32603, message: 'x', data: [{ reason: 'ModelNotFound' }] } }),
      'ModelNotFound',
      /x/,
    ],
    [
      'has no room for as long as it is tried',
      (response) =>
        json(response, { error: { code: -32603, message: 'full', data: [{ reason: 'AgentUnavailable' }] } }),
      'AgentUnavailable',
      /full/,
    ],
    ['streams rubbish', (response) => stream(response, 'rubbish'), 'AgentFailed', /doesn't speak A2A/],
    [
      'streams a task without an id',
      (response) => stream(response, '{"result":{"task":{}}}'),
      'AgentFailed',
      /isn't A2A 1\.0/,
    ],
    [
      'streams nothing and ends, for as long as it is tried',
      (response) => stream(response),
      'AgentUnavailable',
      /ended its stream without a word/,
    ],
    [
      'answers with a file',
      (response) =>
        json(response, { result: { task: { ...completed.task, artifacts: [{ parts: [{ url: 'http://x' }] }] } } }),
      'InvalidOutput',
      /file/,
    ],
    [
      'answers with too much',
      (response) =>
        json(response, {
          result: { task: { ...completed.task, artifacts: [{ parts: [{ text: 'x'.repeat(5_000_000) }] }] } },
        }),
      'InvalidOutput',
      /bytes/,
    ],
    ['answers with far too much', (response) => json(response, 'x'.repeat(9_000_000)), 'InvalidOutput', /too much/],
    ['streams an endless event', (response) => stream(response, 'x'.repeat(9_000_000)), 'AgentUnavailable', /cut/],
  ])('%s fails the step', async (_, answer, reason, message) => {
    const url = await rubbish((_request, response) => answer(response));
    expect(await follow(url, { patience: 300 }).outcome).toEqual({
      failure: { reason, message: expect.stringMatching(message) as unknown },
    });
  });

  test('leaves out what is zero, as ProtoJSON may, is understood', async () => {
    const url = await rubbish((_request, response) => stream(response, JSON.stringify({ result: completed })));
    expect(await follow(url).outcome).toEqual({ output: '', bytes: 2 });
  });

  test('keeps the stream open after the end doesn’t hold up the step', async () => {
    const url = await rubbish((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify({ result: completed })}\n\n`);
    });
    expect(await follow(url).outcome).toMatchObject({ output: '' });
  });

  test('does not let itself be stopped is given up after a while', async () => {
    const url = await rubbish((_request, response, { method }) => {
      if (method === 'CancelTask') return;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(
        `data: ${JSON.stringify({ result: { task: { id: 't', status: { state: 'TASK_STATE_WORKING' } } } })}\n\n`,
      );
    });
    const following = follow(url);
    await until(() => following.accepted[0]);
    following.stop.abort();
    expect(await following.outcome).toBe('stopped');
  });
});

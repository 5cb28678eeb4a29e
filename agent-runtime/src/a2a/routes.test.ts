import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { ListTasksRequest, SendMessageRequest, StreamResponse, Task, TaskState } from '@a2a-js/sdk';
import { ClientFactory, type Client } from '@a2a-js/sdk/client';
import { TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError } from '@a2a-js/sdk/errors';
import {
  chunk,
  endStream,
  eventually,
  gatewayError,
  post,
  say,
  sendJson,
  serveAgent,
  startGateway,
  startStream,
  testAgent,
  type GatewayHandler,
  type ServedAgent,
  type TestGateway,
} from '../testing/harness.ts';

type Json = Record<string, unknown>;

const CANARY = 'k1.canary-step-token.signature';
let ids = 0;
const newId = (): string => `message-${(ids += 1)}`;

function request(message: Json, configuration?: Json): SendMessageRequest {
  return SendMessageRequest.fromJSON({
    message: { messageId: newId(), role: 'ROLE_USER', parts: [{ text: 'Hi' }], ...message },
    configuration,
  });
}

async function eventsOf(stream: AsyncIterable<StreamResponse>): Promise<Json[]> {
  const events: Json[] = [];
  for await (const event of stream) events.push(StreamResponse.toJSON(event) as Json);
  return events;
}

/** Says half of its answer, then waits until it is told to go on. */
function halting(): { handler: GatewayHandler; goOn: () => void } {
  let goOn = (): void => undefined;
  const told = new Promise<void>((resolve) => (goOn = resolve));
  const handler: GatewayHandler = async (_request, response) => {
    startStream(response);
    response.write(chunk({ content: 'first half, ' }));
    await told;
    response.write(chunk({ content: 'second half' }));
    endStream(response);
  };
  return { handler, goOn };
}

describe('an agent seen through the official A2A client', () => {
  let gateway: TestGateway;
  let agent: ServedAgent;
  let client: Client;

  beforeAll(async () => {
    gateway = await startGateway();
    agent = await serveAgent({ gatewayUrl: gateway.url, podIp: '127.0.0.1' });
    client = await new ClientFactory().createFromUrl(agent.url);
  });
  afterEach(() => {
    gateway.handler = say('Hello from the model.');
    gateway.requests.length = 0;
  });
  afterAll(async () => {
    await agent.runtime.shutdown(0);
    await gateway.close();
  });

  const sendTask = async (message: Json, configuration?: Json): Promise<Json> => {
    const task = (await client.sendMessage(request(message, configuration))) as Task;
    return Task.toJSON(task) as Json;
  };
  const startHalted = async (): Promise<{ id: string; goOn: () => void }> => {
    const { handler, goOn } = halting();
    gateway.handler = handler;
    const { id } = await sendTask({}, { returnImmediately: true });
    return { id: id as string, goOn };
  };

  test('its card says where and how it can be asked', async () => {
    const card = await client.getAgentCard();
    expect(card).toMatchObject({
      name: 'greeter',
      description: 'Greets people.',
      capabilities: { streaming: true, pushNotifications: false },
    });
    expect(card.supportedInterfaces).toMatchObject([
      { url: `${agent.url}/a2a`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
    ]);
  });

  test('the card is not sent again to who has it', async () => {
    const first = await fetch(`${agent.url}/.well-known/agent-card.json`);
    const again = await fetch(first.url, { headers: { 'if-none-match': first.headers.get('etag') ?? '' } });
    expect([first.status, again.status, first.headers.get('cache-control')]).toEqual([200, 304, 'max-age=60']);
  });

  test('a message becomes a finished task with the answer as its artifact', async () => {
    expect(await sendTask({ contextId: 'talk' })).toMatchObject({
      contextId: 'talk',
      status: { state: 'TASK_STATE_COMPLETED' },
      artifacts: [{ artifactId: 'output', parts: [{ text: 'Hello from the model.' }] }],
      metadata: { 'kadre.dev/instance': agent.url },
    });
  });

  test('text and data reach the model, data as JSON after the text', async () => {
    await sendTask({ parts: [{ text: 'Sum up:' }, { data: { topic: 'GPU', n: [1, 2.5] } }] });
    expect(gateway.requests[0]?.body.messages?.at(-1)).toEqual({
      role: 'user',
      content: 'Sum up:\n\n{"topic":"GPU","n":[1,2.5]}',
    });
  });

  test('a stream begins with the task, grows the artifact and ends with the last status', async () => {
    const events = await eventsOf(client.sendMessageStream(request({})));
    expect(Object.keys(events[0] ?? {})).toEqual(['task']);
    const updates = events.flatMap((event) => ('artifactUpdate' in event ? [event['artifactUpdate'] as Json] : []));
    expect(updates.map((update) => ((update['artifact'] as Json)['parts'] as Json[])[0]?.['text']).join('')).toBe(
      'Hello from the model.',
    );
    expect(updates.map(({ append }) => append === true)).toEqual(updates.map((_, index) => index > 0));
    expect(updates.map(({ lastChunk }) => lastChunk === true)).toEqual(
      updates.map((_, index) => index === updates.length - 1),
    );
    expect(events.at(-1)).toMatchObject({ statusUpdate: { status: { state: 'TASK_STATE_COMPLETED' } } });
  });

  test('a stream shows no history to who wants none', async () => {
    const [shown] = await eventsOf(client.sendMessageStream(request({ parts: [{ text: 'long story' }] })));
    const [hidden] = await eventsOf(
      client.sendMessageStream(request({ parts: [{ text: 'long story' }] }, { historyLength: 0 })),
    );
    expect([shown, hidden].map((event) => JSON.stringify(event).includes('long story'))).toEqual([true, false]);
  });

  test('whoever subscribes later gets what was there and all that follows', async () => {
    const { id, goOn } = await startHalted();
    await eventually(async () => (await client.getTask({ tenant: '', id })).artifacts.length > 0);
    const stream = client.resubscribeTask({ tenant: '', id });
    const first = await stream.next();
    expect(StreamResponse.toJSON(first.value as StreamResponse)).toMatchObject({
      task: { status: { state: 'TASK_STATE_WORKING' }, artifacts: [{ parts: [{ text: 'first half, ' }] }] },
    });
    goOn();
    const rest = await eventsOf(stream);
    expect(JSON.stringify(rest)).toContain('second half');
    expect(rest.at(-1)).toMatchObject({ statusUpdate: { status: { state: 'TASK_STATE_COMPLETED' } } });
    expect(Task.toJSON(await client.getTask({ tenant: '', id }))).toMatchObject({
      artifacts: [{ parts: [{ text: 'first half, second half' }] }],
    });
  });

  test('a listener that leaves does not stop the task', async () => {
    const { handler, goOn } = halting();
    gateway.handler = handler;
    const stream = client.sendMessageStream(request({}));
    const first = StreamResponse.toJSON((await stream.next()).value as StreamResponse) as { task: { id: string } };
    await stream.return();
    goOn();
    await eventually(
      async () =>
        (await client.getTask({ tenant: '', id: first.task.id })).status?.state === TaskState.TASK_STATE_COMPLETED,
    );
    expect(Task.toJSON(await client.getTask({ tenant: '', id: first.task.id }))).toMatchObject({
      status: { state: 'TASK_STATE_COMPLETED' },
    });
  });

  test('a cancelled task ends at once, its model call too, and cannot be cancelled again', async () => {
    let hungUp = false;
    gateway.handler = (_request, response) => {
      startStream(response);
      response.write(chunk({ content: 'endless' }));
      response.once('close', () => (hungUp = true));
    };
    const { id } = (await sendTask({}, { returnImmediately: true })) as { id: string };
    await eventually(() => gateway.requests.length === 1);
    const watching = eventsOf(client.resubscribeTask({ tenant: '', id }));
    await eventually(async () => (await client.getTask({ tenant: '', id })).artifacts.length > 0);
    expect(Task.toJSON(await client.cancelTask({ tenant: '', id, metadata: undefined }))).toMatchObject({
      status: { state: 'TASK_STATE_CANCELED' },
    });
    expect((await watching).at(-1)).toMatchObject({ statusUpdate: { status: { state: 'TASK_STATE_CANCELED' } } });
    await eventually(() => hungUp);
    await expect(client.cancelTask({ tenant: '', id, metadata: undefined })).rejects.toThrow(TaskNotCancelableError);
  });

  test('a failure of the model is a failed task with its reason', async () => {
    gateway.handler = (_request, response) =>
      sendJson(response, 424, gatewayError('ModelNotFound', 'There is no Model smart.'));
    expect(await sendTask({})).toMatchObject({
      status: {
        state: 'TASK_STATE_FAILED',
        message: {
          role: 'ROLE_AGENT',
          parts: [{ text: 'There is no Model smart.' }],
          metadata: { 'kadre.dev/reason': 'ModelNotFound' },
        },
      },
    });
  });

  test('an answer that broke off with the gateway is asked for anew, and replaces what had come of it', async () => {
    let calls = 0;
    gateway.handler = (request, response) => {
      if (++calls > 1) return say('whole answer')(request, response);
      startStream(response);
      response.write(chunk({ content: 'half an ans' }), () => response.socket?.destroy());
    };
    const metadata = { 'kadre.dev/step-token': CANARY };
    const events = await eventsOf(client.sendMessageStream(request({ metadata })));
    // It is the same call, should the gateway have written its answer down.
    expect(gateway.requests.map(({ headers }) => headers['kadre-call'])).toEqual(['1', '1']);
    const updates = events.flatMap((event) => (event['artifactUpdate'] ? [event['artifactUpdate'] as Json] : []));
    const text = updates.reduce((sum, { append, artifact }) => {
      const [part] = (artifact as { parts: { text?: string }[] }).parts;
      return (append ? sum : '') + (part?.text ?? '');
    }, '');
    expect(text).toBe('whole answer');
    expect(calls).toBe(2);
    // Counted once: the task went on, only its model was asked again.
    const metrics = await (await fetch(`${agent.url}/metrics`)).text();
    const started = Number(/^kadre_agent_tasks_started_total (\d+)$/m.exec(metrics)?.[1]);
    await sendTask({});
    const after = await (await fetch(`${agent.url}/metrics`)).text();
    expect(after).toContain(`kadre_agent_tasks_started_total ${started + 1}\n`);
  });

  test('an answer that breaks off again and again fails the task', async () => {
    gateway.handler = (_request, response) => {
      startStream(response);
      response.write(chunk({ content: 'half' }), () => response.socket?.destroy());
    };
    const task = await sendTask({});
    expect(task['status']).toMatchObject({ state: 'TASK_STATE_FAILED' });
    expect(gateway.requests).toHaveLength(4);
  });

  test('asking for a task that is not there, or is over, gets the error of the specification', async () => {
    const { id } = (await sendTask({})) as { id: string };
    await expect(client.getTask({ tenant: '', id: 'nobody' })).rejects.toThrow(TaskNotFoundError);
    await expect(client.cancelTask({ tenant: '', id: 'nobody', metadata: undefined })).rejects.toThrow(
      TaskNotFoundError,
    );
    await expect(eventsOf(client.resubscribeTask({ tenant: '', id: 'nobody' }))).rejects.toThrow(TaskNotFoundError);
    await expect(eventsOf(client.resubscribeTask({ tenant: '', id }))).rejects.toThrow(UnsupportedOperationError);
    await expect(sendTask({ taskId: 'nobody' })).rejects.toThrow(TaskNotFoundError);
    await expect(sendTask({ taskId: id })).rejects.toThrow(UnsupportedOperationError);
  });

  test('lists tasks by context, latest first, in pages', async () => {
    const sent: unknown[] = [];
    for (let count = 0; count < 5; count += 1) sent.unshift((await sendTask({ contextId: 'pages' }))['id']);
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await client.listTasks(ListTasksRequest.fromJSON({ contextId: 'pages', pageSize: 2, pageToken }));
      expect(page).toMatchObject({ totalSize: 5, pageSize: 2 });
      seen.push(...page.tasks.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toEqual(sent);
  });

  test('lists artifacts only when asked to, and filters by status', async () => {
    await sendTask({ contextId: 'filters' });
    const list = async (more: Json) =>
      (
        await post(
          `${agent.url}/a2a`,
          { jsonrpc: '2.0', id: 1, method: 'ListTasks', params: { contextId: 'filters', ...more } },
          { 'A2A-Version': '1.0' },
        )
      ).body as { result: { tasks: Json[] } };
    expect((await list({})).result.tasks[0]).not.toHaveProperty('artifacts');
    expect((await list({ includeArtifacts: true, historyLength: 0 })).result.tasks[0]).toMatchObject({
      artifacts: [{ name: 'output' }],
    });
    expect((await list({ status: 'TASK_STATE_FAILED' })).result).toMatchObject({
      tasks: [],
      totalSize: 0,
      nextPageToken: '',
    });
    expect((await list({ statusTimestampAfter: '2999-01-01T00:00:00Z' })).result.tasks).toEqual([]);
  });

  describe('the same message sent twice', () => {
    test('one after the other gets the same task, and the model is asked once', async () => {
      const messageId = newId();
      const [first, second] = [await sendTask({ messageId }), await sendTask({ messageId })];
      expect(second).toEqual(first);
      expect(gateway.requests).toHaveLength(1);
    });

    test('at the same time gets the same task', async () => {
      const messageId = newId();
      const tasks = await Promise.all(Array.from({ length: 8 }, () => sendTask({ messageId })));
      expect(new Set(tasks.map(({ id }) => id)).size).toBe(1);
      expect(gateway.requests).toHaveLength(1);
    });

    test('as streams gets the same events on both, whenever the second came', async () => {
      const { handler, goOn } = halting();
      gateway.handler = handler;
      const messageId = newId();
      const one = client.sendMessageStream(request({ messageId }));
      const task = (await one.next()).value as StreamResponse;
      const two = client.sendMessageStream(request({ messageId }));
      expect(((await two.next()).value as StreamResponse).payload?.value).toMatchObject({
        id: (task.payload?.value as Task).id,
      });
      const both = Promise.all([eventsOf(one), eventsOf(two)]);
      goOn();
      const [eventsOfOne, eventsOfTwo] = await both;
      expect(eventsOfOne.at(-1)).toMatchObject({ statusUpdate: { status: { state: 'TASK_STATE_COMPLETED' } } });
      expect(eventsOfTwo.slice(-2)).toEqual(eventsOfOne.slice(-2));
      const third = await eventsOf(client.sendMessageStream(request({ messageId })));
      expect(third).toMatchObject([
        {
          task: {
            status: { state: 'TASK_STATE_COMPLETED' },
            artifacts: [{ parts: [{ text: 'first half, second half' }] }],
          },
        },
      ]);
      expect(gateway.requests).toHaveLength(1);
    });

    test('with another content is refused, so that nobody reads the answer to a stranger', async () => {
      const messageId = newId();
      await sendTask({ messageId });
      await expect(sendTask({ messageId, parts: [{ text: 'Something else' }] })).rejects.toThrow(/messageId/);
    });

    test('with a new step token is still the same message', async () => {
      const messageId = newId();
      const first = await sendTask({ messageId, metadata: { 'kadre.dev/step-token': 'one' } });
      const second = await sendTask({ messageId, metadata: { 'kadre.dev/step-token': 'two' } });
      expect(second['id']).toBe(first['id']);
    });
  });

  test('the step token reaches the gateway and nobody else', async () => {
    const metadata = { 'kadre.dev/step-token': CANARY, colour: 'blue' };
    const shown: unknown[] = [];
    shown.push(await eventsOf(client.sendMessageStream(request({ metadata, contextId: 'canary' }))));
    gateway.handler = (_request, response) =>
      sendJson(response, 401, gatewayError('Unauthorized', `The token ${CANARY} has expired.`));
    const failed = await sendTask({ metadata, contextId: 'canary' });
    expect(gateway.requests.map(({ headers }) => headers['kadre-step'])).toEqual([CANARY, CANARY]);
    shown.push(failed, await client.getTask({ tenant: '', id: failed['id'] as string }));
    shown.push(await client.listTasks(ListTasksRequest.fromJSON({ contextId: 'canary', includeArtifacts: true })));
    shown.push(await (await fetch(`${agent.url}/metrics`)).text(), agent.log);
    expect(JSON.stringify(shown)).not.toContain('canary-step-token');
    expect(JSON.stringify(failed)).toContain('blue');
  });
});

describe('an agent that has all it can do', () => {
  test('answers 503 with Retry-After, and takes work again when there is room', async () => {
    const { handler, goOn } = halting();
    const gateway = await startGateway(handler);
    const agent = await serveAgent({ gatewayUrl: gateway.url, maxConcurrent: 1 });
    const send = (messageId: string, more: Json = {}) =>
      post(
        `${agent.url}/a2a`,
        {
          jsonrpc: '2.0',
          id: 1,
          method: 'SendMessage',
          params: { message: { messageId, role: 'ROLE_USER', parts: [{ text: 'x' }] }, ...more },
        },
        { 'A2A-Version': '1.0' },
      );
    await send('one', { configuration: { returnImmediately: true } });
    const refused = await send('two');
    expect(refused).toMatchObject({
      status: 503,
      body: { error: { code: -32603, data: [{ reason: 'AgentUnavailable' }] } },
    });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await post(`${agent.url}/generate`, { prompt: 'x' })).toMatchObject({
      status: 503,
      body: { error: { code: 'AgentUnavailable' } },
    });
    goOn();
    await send('one');
    expect(await send('two')).toMatchObject({
      status: 200,
      body: { result: { task: { status: { state: 'TASK_STATE_COMPLETED' } } } },
    });
    await agent.runtime.shutdown(0);
    await gateway.close();
  });

  test('an output schema makes the artifact a data part', async () => {
    const gateway = await startGateway(say('{"score": 3}'));
    const agent = await serveAgent({
      gatewayUrl: gateway.url,
      agent: testAgent({ output: { schema: { type: 'object', required: ['score'] } } }),
    });
    const client = await new ClientFactory().createFromUrl(agent.url);
    const events = await eventsOf(client.sendMessageStream(request({})));
    expect(events.slice(1)).toMatchObject([
      {
        artifactUpdate: {
          artifact: { parts: [{ data: { score: 3 }, mediaType: 'application/json' }] },
          lastChunk: true,
        },
      },
      { statusUpdate: {} },
    ]);
    await agent.runtime.shutdown(0);
    await gateway.close();
  });
});

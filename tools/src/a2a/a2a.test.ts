// Agents anywhere, made with the official SDK of A2A.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Role, TaskState, type AgentCard, type Task } from '@a2a-js/sdk';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
  type AgentExecutor,
} from '@a2a-js/sdk/server';
import type { ServerResponse } from 'node:http';
import type { ToolSpec } from '@kadre/crds';
import {
  faultOf,
  json,
  makeBed,
  makeTool,
  startServer,
  tokenRef,
  type Bed,
  type Received,
  type TestServer,
} from '../testing/bed.ts';

let bed: Bed;
let server: TestServer;
let agent: Agent;
beforeEach(async () => {
  bed = makeBed();
  server = await startServer();
  agent = new Agent(server.url);
  server.answer = (response, request) => void agent.serve(response, request);
});
afterEach(() => Promise.all([bed.toolbox.close(), server.close()]));

const remote = (spec: Partial<ToolSpec> = {}, url = server.url) => makeTool({ a2a: { url }, ...spec });
const methods = () =>
  server.received.flatMap(({ body }) => (body === '' ? [] : [(JSON.parse(body) as { method: string }).method]));
const ask = (args: Record<string, unknown> = { prompt: 'Hello' }, spec: Partial<ToolSpec> = {}) =>
  bed.call(remote(spec), args);

const status = (state: TaskState, text?: string): Task['status'] => ({
  ...{ state, timestamp: undefined },
  message: text === undefined ? undefined : messageOf(text),
});
const part = (value: string) => ({
  content: { $case: 'text' as const, value },
  metadata: undefined,
  filename: '',
  mediaType: '',
});
const messageOf = (text: string) => ({
  ...{ messageId: 'm', contextId: '', taskId: '', role: Role.ROLE_AGENT, parts: [part(text)] },
  ...{ metadata: undefined, extensions: [], referenceTaskIds: [] },
});

/** Says what it was asked; fails, or says nothing, if it is asked to. */
class Agent implements AgentExecutor {
  streaming = true;
  card: object | undefined;
  readonly wasCancelled: Promise<void>;
  #cancel!: () => void;
  readonly #url: string;
  #handler: JsonRpcTransportHandler | undefined;

  constructor(url: string) {
    this.#url = url;
    this.wasCancelled = new Promise((resolve) => (this.#cancel = resolve));
  }

  get #card(): AgentCard {
    return {
      ...{
        name: 'oracle',
        description: 'Knows.',
        version: '7',
        provider: undefined,
        documentationUrl: undefined,
        iconUrl: undefined,
      },
      supportedInterfaces: [
        { url: `${this.#url}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: '' },
      ],
      capabilities: { streaming: this.streaming, pushNotifications: false, extendedAgentCard: false, extensions: [] },
      ...{
        securitySchemes: {},
        securityRequirements: [],
        defaultInputModes: [],
        defaultOutputModes: [],
        signatures: [],
      },
      skills: [
        {
          id: 's',
          name: 'guess',
          description: 'Guesses well.',
          tags: [],
          examples: [],
          inputModes: [],
          outputModes: [],
          securityRequirements: [],
        },
      ],
    };
  }

  async serve(response: ServerResponse, { url, body }: Received): Promise<void> {
    if (url === '/.well-known/agent-card.json') {
      json(this.card ?? this.#card)(response, {} as Received);
      return;
    }
    this.#handler ??= new JsonRpcTransportHandler(new DefaultRequestHandler(this.#card, new InMemoryTaskStore(), this));
    const answer = await this.#handler.handle(JSON.parse(body) as Record<string, unknown>, new ServerCallContext());
    if (!(Symbol.asyncIterator in answer)) {
      json(answer)(response, {} as Received);
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for await (const event of answer) response.write(`data: ${JSON.stringify(event)}\n\n`);
    response.end();
  }

  execute: AgentExecutor['execute'] = ({ taskId, contextId, userMessage }, bus) => {
    const said = userMessage.parts.map(({ content }) => JSON.stringify(content?.value)).join(' ');
    const task = {
      id: taskId,
      contextId,
      artifacts: [],
      history: [],
      metadata: { 'kadre.dev/instance': 'http://10.9.9.9' },
    };
    bus.publish(AgentEvent.task({ ...task, status: status(TaskState.TASK_STATE_WORKING) }));
    const end = (state: TaskState, text?: string): void =>
      bus.publish(AgentEvent.statusUpdate({ taskId, contextId, status: status(state, text), metadata: undefined }));
    if (said.includes('fail')) end(TaskState.TASK_STATE_FAILED, 'no idea');
    else if (said.includes('more')) end(TaskState.TASK_STATE_INPUT_REQUIRED, 'which one?');
    else if (!said.includes('hang')) {
      const artifact = {
        artifactId: 'a',
        name: '',
        description: '',
        parts: [part(`You said ${said}`)],
        metadata: undefined,
        extensions: [],
      };
      bus.publish(
        AgentEvent.artifactUpdate({ taskId, contextId, artifact, append: false, lastChunk: true, metadata: undefined }),
      );
      end(TaskState.TASK_STATE_COMPLETED);
    }
    return said.includes('hang') ? this.wasCancelled : Promise.resolve();
  };

  cancelTask: AgentExecutor['cancelTask'] = (taskId, bus) => {
    this.#cancel();
    bus.publish(
      AgentEvent.statusUpdate({
        taskId,
        contextId: '',
        status: status(TaskState.TASK_STATE_CANCELED),
        metadata: undefined,
      }),
    );
    return Promise.resolve();
  };
}

describe('an agent anywhere', () => {
  test('is described by its card, or by the Tool', async () => {
    expect(await bed.describe(remote())).toEqual({
      operations: [
        {
          description: 'Asks the agent oracle. Knows.\nguess: Guesses well.',
          inputSchema: expect.objectContaining({ required: ['prompt'] }) as unknown,
        },
      ],
      server: 'oracle 7',
    });
    const { operations } = await bed.describe(remote({ description: 'Ask it for numbers.' }));
    expect(operations[0]?.description).toBe('Ask it for numbers.');
  });

  test.each([true, false])(
    'is asked with a prompt and data, under the key of the call (streams: %s)',
    async (streams) => {
      agent.streaming = streams;
      const answer = await ask({ prompt: 'Hello', input: { n: 1 } });
      expect(answer).toEqual({ content: [{ type: 'text', text: 'You said "Hello" {"n":1}' }], isError: false });
      expect(methods()[0]).toBe(streams ? 'SendStreamingMessage' : 'SendMessage');
      expect(server.received.find(({ body }) => body !== '')?.body).toContain('"messageId":"key-1"');
    },
  );

  test('sees the secret of the Tool with each request, and no model does', async () => {
    const auth = { scheme: 'bearer' as const, secretRef: tokenRef };
    const { content } = await ask({ prompt: 's3cr3t-token' }, { a2a: { url: server.url, auth } });
    expect(new Set(server.received.map(({ headers }) => headers.authorization))).toEqual(
      new Set(['Bearer s3cr3t-token']),
    );
    expect(JSON.stringify(content)).not.toContain('s3cr3t');
  });

  test.each([
    ['fails', 'fail', 'It failed: no idea'],
    ['wants to know more, which nobody can tell it', 'more', 'It failed: the agent asks for more input'],
  ])('that %s is told to the model', async (_, prompt, text) => {
    const { isError, content } = await ask({ prompt });
    expect([isError, content]).toEqual([true, [{ type: 'text', text: expect.stringContaining(text) }]]);
  });

  test('that says nothing is given up when the time of the Tool is over, and its task is called off', async () => {
    const fault = await ask({ prompt: 'hang' }, { timeout: '1s' }).catch(faultOf);
    expect(fault).toEqual({ fault: 'timeout', retry: true, sent: true });
    await agent.wasCancelled;
  });
});

describe('an agent is not asked', () => {
  const spoken = { protocolBinding: 'JSONRPC', protocolVersion: '1.0' };
  test.each<[string, object | undefined, string]>([
    [
      'whose card leads to somebody else',
      { supportedInterfaces: [{ url: 'http://elsewhere.example/', ...spoken }] },
      'misconfigured',
    ],
    [
      'whose card leads into the machine',
      { supportedInterfaces: [{ url: 'http://169.254.169.254/', ...spoken }] },
      'misconfigured',
    ],
    ['that speaks something older', { url: 'x', protocolVersion: '0.3.0', name: 'old' }, 'misconfigured'],
    ['whose card is rubbish', [1], 'malformed'],
  ])('%s', async (_, card, fault) => {
    agent.card = card;
    await expect(ask()).rejects.toMatchObject({ fault });
    expect(methods()).toEqual([]);
  });

  test.each([
    [404, 'status'],
    [401, 'unauthorized'],
  ])('that answers HTTP %i for its card', async (code, fault) => {
    server.answer = json({}, code);
    await expect(ask()).rejects.toMatchObject({ fault });
  });

  test('at an address that is never called on behalf of agents', async () => {
    const guarded = makeBed({});
    await expect(guarded.call(remote(), { prompt: 'x' })).rejects.toMatchObject({ fault: 'refused' });
    await guarded.toolbox.close();
    expect(server.received).toEqual([]);
  });
});

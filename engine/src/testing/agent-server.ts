// An agent for tests, made with the official A2A SDK on a real port. Like Kadre's own runtime it takes a message once.
import type { AgentCard, Task, TaskStatus } from '@a2a-js/sdk';
import { Message, Role, TaskState } from '@a2a-js/sdk';
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryTaskStore,
  JsonRpcTransportHandler,
  ServerCallContext,
  type AgentExecutor,
  type ExecutionEventBus,
  type RequestContext,
} from '@a2a-js/sdk/server';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the agent was asked. */
export interface Asked {
  messageId: string;
  /** `<step id>/<attempt>` */
  key: string;
  text: string;
  data: unknown;
  stepToken: unknown;
}

export type Answer =
  | { text: string | string[] }
  | { data: unknown }
  | { fail: string; reason?: string }
  | { state: TaskState }
  /** The task waits for more input. */
  | { question: string }
  | { message: string };
/** The answer, at once or later. An agent that is cancelled meanwhile need not answer. */
/** `tell`: says that another agent does a part of the task. */
export type Behaviour = (
  asked: Asked,
  cancelled: AbortSignal,
  tell: (delegation: object) => void,
) => Answer | Promise<Answer>;

export interface AgentServer {
  url: string;
  /** Messages in the order in which they arrived; one that came again is there again. */
  asked: Asked[];
  /** Tasks that were cancelled, by `<step id>/<attempt>`. */
  cancelled: string[];
  /** Names of the methods that were called. */
  calls: string[];
  /** Cuts all connections, as a dying network does; the tasks go on. */
  cutConnections(): void;
  /** Forgets all tasks, as a restarted agent does. */
  forgetTasks(): void;
  close(): Promise<void>;
}

export interface AgentServerOptions {
  port?: number;
  /** The address that tasks give for the replica that holds them. Absent: the server's own. */
  instance?: string;
  /** Answers with a single message, as simple agents may. */
  withoutTasks?: boolean;
}

export async function startAgent(behave: Behaviour, options: AgentServerOptions = {}): Promise<AgentServer> {
  const agent = new TestAgent(behave, options.withoutTasks === true);
  const server = createServer((request, response) => void agent.serve(request, response));
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  agent.instance = options.instance ?? url;
  return {
    url,
    asked: agent.asked,
    cancelled: agent.cancelled,
    calls: agent.calls,
    cutConnections: () => server.closeAllConnections(),
    forgetTasks: () => agent.forgetTasks(),
    close: () => closed(server),
  };
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

class TestAgent implements AgentExecutor {
  readonly asked: Asked[] = [];
  readonly cancelled: string[] = [];
  readonly calls: string[] = [];
  instance = '';
  readonly #withoutTasks: boolean;
  readonly #behave: Behaviour;
  #handler = this.#freshHandler();
  /** By message id. */
  #tasks = new Map<string, string>();
  #running = new Map<string, { key: string; abort: AbortController }>();

  constructor(behave: Behaviour, withoutTasks: boolean) {
    this.#behave = behave;
    this.#withoutTasks = withoutTasks;
  }

  forgetTasks(): void {
    this.#handler = this.#freshHandler();
    this.#tasks.clear();
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString()) as {
      id: number;
      method: string;
      params: { message?: unknown };
    };
    this.calls.push(body.method);
    if (request.url !== '/a2a' || request.headers['a2a-version'] !== '1.0') {
      response.writeHead(400).end();
      return;
    }
    const known =
      body.method === 'SendStreamingMessage' ? this.#note(Message.fromJSON(body.params.message)) : undefined;
    await this.#answer(known === undefined ? body : await this.#rejoin(body.id, known), response);
  }

  /** The task that this very message started before. */
  #note(message: Message): string | undefined {
    const [text] = message.parts.flatMap(({ content }) => (content?.$case === 'text' ? [content.value] : []));
    const [data] = message.parts.flatMap(({ content }) =>
      content?.$case === 'data' ? [content.value as unknown] : [],
    );
    const key = message.messageId.slice(message.messageId.indexOf('/') + 1);
    this.asked.push({
      messageId: message.messageId,
      key,
      text: text ?? '',
      data,
      stepToken: message.metadata?.['kadre.dev/step-token'] as unknown,
    });
    return this.#tasks.get(message.messageId);
  }

  async #rejoin(id: number, taskId: string): Promise<object> {
    const task = await this.#handler.handle(
      { jsonrpc: '2.0', id, method: 'GetTask', params: { id: taskId } },
      new ServerCallContext(),
    );
    const over =
      'result' in task &&
      ['COMPLETED', 'FAILED', 'CANCELED'].some((state) => JSON.stringify(task.result).includes(`TASK_STATE_${state}"`));
    return over
      ? { jsonrpc: '2.0', id, result: { task: task.result } }
      : { jsonrpc: '2.0', id, method: 'SubscribeToTask', params: { id: taskId } };
  }

  async #answer(body: object, response: ServerResponse): Promise<void> {
    const answer =
      'result' in body ? body : await this.#handler.handle(body as Record<string, unknown>, new ServerCallContext());
    if (!(Symbol.asyncIterator in answer)) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    try {
      for await (const event of answer) response.write(`data: ${JSON.stringify(event)}\n\n`);
    } catch (error) {
      const rpcError = JsonRpcTransportHandler.mapToJSONRPCError(error);
      response.write(`event: error\ndata: ${JSON.stringify({ jsonrpc: '2.0', id: null, error: rpcError })}\n\n`);
    }
    response.end();
  }

  async execute({ taskId, contextId, userMessage }: RequestContext, bus: ExecutionEventBus): Promise<void> {
    this.#tasks.set(userMessage.messageId, taskId);
    const asked = this.asked.findLast(({ messageId }) => messageId === userMessage.messageId) as Asked;
    const abort = new AbortController();
    this.#running.set(taskId, { key: asked.key, abort });
    const task: Task = {
      id: taskId,
      contextId,
      status: statusOf(TaskState.TASK_STATE_WORKING),
      artifacts: [],
      history: [],
      metadata: { 'kadre.dev/instance': this.instance },
    };
    if (!this.#withoutTasks) bus.publish(AgentEvent.task(task));
    const tell = (delegation: object): void =>
      bus.publish(
        AgentEvent.statusUpdate({
          taskId,
          contextId,
          status: statusOf(TaskState.TASK_STATE_WORKING),
          metadata: { 'kadre.dev/delegation': delegation },
        }),
      );
    const answer = await this.#behave(asked, abort.signal, tell);
    if (abort.signal.aborted) return;
    this.#running.delete(taskId);
    if ('message' in answer) bus.publish(AgentEvent.message(messageOf(answer.message, taskId, contextId)));
    else this.#publishAnswer(answer, { taskId, contextId }, bus);
  }

  #publishAnswer(
    answer: Exclude<Answer, { message: string }>,
    ids: { taskId: string; contextId: string },
    bus: ExecutionEventBus,
  ): void {
    const publish = (status: TaskStatus): void =>
      bus.publish(AgentEvent.statusUpdate({ ...ids, status, metadata: undefined }));
    if ('state' in answer) {
      publish(statusOf(answer.state));
      return;
    }
    if ('question' in answer) {
      const message = messageOf(answer.question, ids.taskId, ids.contextId);
      publish({ ...statusOf(TaskState.TASK_STATE_INPUT_REQUIRED), message });
      return;
    }
    if ('fail' in answer) {
      const message = messageOf(answer.fail, ids.taskId, ids.contextId);
      if (answer.reason !== undefined) message.metadata = { 'kadre.dev/reason': answer.reason };
      publish({ ...statusOf(TaskState.TASK_STATE_FAILED), message });
      return;
    }
    const pieces =
      'data' in answer
        ? [{ $case: 'data' as const, value: answer.data }]
        : texts(answer).map((value) => ({ $case: 'text' as const, value }));
    pieces.forEach((content, i) => {
      const parts = [{ content, metadata: undefined, filename: '', mediaType: '' }];
      const artifact = { artifactId: 'answer', name: '', description: '', parts, metadata: undefined, extensions: [] };
      bus.publish(
        AgentEvent.artifactUpdate({
          ...ids,
          artifact,
          append: i > 0,
          lastChunk: i === pieces.length - 1,
          metadata: undefined,
        }),
      );
    });
    publish(statusOf(TaskState.TASK_STATE_COMPLETED));
  }

  cancelTask = (taskId: string, bus: ExecutionEventBus): Promise<void> => {
    const running = this.#running.get(taskId);
    if (running) {
      this.cancelled.push(running.key);
      running.abort.abort();
    }
    bus.publish(
      AgentEvent.statusUpdate({
        taskId,
        contextId: '',
        status: statusOf(TaskState.TASK_STATE_CANCELED),
        metadata: undefined,
      }),
    );
    return Promise.resolve();
  };

  #freshHandler(): JsonRpcTransportHandler {
    return new JsonRpcTransportHandler(new DefaultRequestHandler(card, new InMemoryTaskStore(), this));
  }
}

function texts(answer: Answer): string[] {
  if (!('text' in answer)) return [];
  return typeof answer.text === 'string' ? [answer.text] : answer.text;
}

function statusOf(state: TaskState): TaskStatus {
  return { state, message: undefined, timestamp: undefined };
}

function messageOf(text: string, taskId: string, contextId: string): Message {
  const parts = [
    { content: { $case: 'text' as const, value: text }, metadata: undefined, filename: '', mediaType: '' },
  ];
  return {
    messageId: 'answer',
    contextId,
    taskId,
    role: Role.ROLE_AGENT,
    parts,
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

const card: AgentCard = {
  name: 'test',
  description: '',
  supportedInterfaces: [
    { url: 'http://127.0.0.1/a2a', protocolBinding: 'JSONRPC', tenant: '', protocolVersion: '1.0' },
  ],
  provider: undefined,
  version: '1',
  capabilities: { streaming: true, extensions: [] },
  securitySchemes: {},
  securityRequirements: [],
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [],
  signatures: [],
};

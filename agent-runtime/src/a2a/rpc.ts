// The methods of A2A 1.0 over JSON-RPC.
import { a2aMetadata } from '@kadre/crds';
import { z } from 'zod';
import { isData, userMessage, type Agent } from '../agent/agent.ts';
import { AgentFailure, asFailure } from '../failure.ts';
import type { Slot, WorkGate } from '../serve/work-gate.ts';
import {
  a2aError,
  internalError,
  invalidParams,
  invalidRequest,
  methodNotFound,
  parseError,
  RpcError,
} from './errors.ts';
import type { Task } from './task.ts';
import type { TaskStore } from './task-store.ts';
import { getParams, idParams, listParams, sendParams, type IncomingMessage, type SendParams } from './wire.ts';

export type RpcId = string | number | null;

/** A plain result, or a task whose events shall be streamed. */
export type RpcOutcome = { id: RpcId } & (Outcome | { error: RpcError });

export interface RpcContext {
  agent: Agent;
  gate: WorkGate;
  tasks: TaskStore;
  /** Called with failures that nobody foresaw. */
  onFault: (error: unknown) => void;
}

export interface RpcCall {
  /** The body as it came. */
  body: string;
  /** The A2A-Version header or query parameter; empty when there is none. */
  version: string;
  /** Of the request. */
  traceparent?: string | undefined;
}

type Outcome = { result: unknown } | { stream: Task; historyLength?: number | null | undefined };
type Method = (context: RpcContext, params: unknown, traceparent?: string) => Outcome | Promise<Outcome>;

const request = z.object({
  jsonrpc: z.literal('2.0', 'jsonrpc must be "2.0"'),
  id: z.union([z.string(), z.number(), z.null()], 'id must be a string or a number'),
  method: z.string('method must be a string'),
  params: z.unknown().optional(),
});

const noPushNotifications: Method = () => {
  throw a2aError('PUSH_NOTIFICATION_NOT_SUPPORTED', 'This agent sends no push notifications; use SubscribeToTask.');
};

const noExtendedCard: Method = () => {
  throw a2aError('UNSUPPORTED_OPERATION', 'This agent has no extended card.');
};

const methods = new Map<string, Method>([
  ['SendMessage', sendMessage],
  ['SendStreamingMessage', sendStreamingMessage],
  ['GetTask', getTask],
  ['ListTasks', ({ tasks }, params) => ({ result: tasks.list(checked(listParams, params ?? {})) })],
  ['CancelTask', cancelTask],
  ['SubscribeToTask', subscribeToTask],
  ['GetExtendedAgentCard', noExtendedCard],
  ['CreateTaskPushNotificationConfig', noPushNotifications],
  ['GetTaskPushNotificationConfig', noPushNotifications],
  ['ListTaskPushNotificationConfigs', noPushNotifications],
  ['DeleteTaskPushNotificationConfig', noPushNotifications],
]);

/** Never throws: whatever goes wrong becomes an error of JSON-RPC. */
export async function handleRpc(context: RpcContext, call: RpcCall): Promise<RpcOutcome> {
  let id: RpcId = null;
  try {
    const json = parse(call.body);
    id = idOf(json);
    const { method, params } = checkedRequest(json);
    requireVersion(call.version);
    const handler = methods.get(method);
    if (handler === undefined) throw methodNotFound(method);
    return { id, ...(await handler(context, params, call.traceparent)) };
  } catch (error) {
    return { id, error: rpcError(context, error) };
  }
}

async function sendMessage(context: RpcContext, params: unknown, traceparent?: string): Promise<Outcome> {
  const { message, configuration } = checked(sendParams, params);
  const task = send(context, { message, configuration }, traceparent);
  if (configuration?.returnImmediately !== true) await task.finished;
  if (task.lost)
    throw internalError('AgentUnavailable', 'The agent was shut down before it had an answer; send the message again.');
  return { result: { task: task.snapshot({ historyLength: configuration?.historyLength, artifacts: true }) } };
}

function sendStreamingMessage(context: RpcContext, params: unknown, traceparent?: string): Outcome {
  const { message, configuration } = checked(sendParams, params);
  return {
    stream: send(context, { message, configuration }, traceparent),
    historyLength: configuration?.historyLength,
  };
}

function getTask({ tasks }: RpcContext, params: unknown): Outcome {
  const { id, historyLength } = checked(getParams, params);
  return { result: tasks.get(id).snapshot({ historyLength, artifacts: true }) };
}

function cancelTask({ tasks }: RpcContext, params: unknown): Outcome {
  const task = tasks.get(checked(idParams, params).id);
  if (task.over) throw a2aError('TASK_NOT_CANCELABLE', `The task is over already: ${task.state}.`, { taskId: task.id });
  task.cancel();
  return { result: task.snapshot({ artifacts: true }) };
}

function subscribeToTask({ tasks }: RpcContext, params: unknown): Outcome {
  const task = tasks.get(checked(idParams, params).id);
  if (task.over)
    throw a2aError('UNSUPPORTED_OPERATION', `The task is over already: ${task.state}. Fetch it with GetTask.`, {
      taskId: task.id,
    });
  return { stream: task };
}

/** The same message again joins the task that it started. */
function send(context: RpcContext, { message, configuration }: SendParams, traceparent?: string): Task {
  if (configuration?.taskPushNotificationConfig != null) {
    throw a2aError('PUSH_NOTIFICATION_NOT_SUPPORTED', 'This agent sends no push notifications; use SubscribeToTask.');
  }
  if (message.taskId) refuseFollowUp(context.tasks.get(message.taskId));
  const messages = [promptOf(message)];
  return context.tasks.startOnce(message, (task) => {
    const slot = context.gate.enter();
    const turn = {
      messages,
      place: { id: `a2a:${message.messageId}`, conversation: task.contextId },
      signal: slot.signal,
      stepToken: message.metadata?.[a2aMetadata.stepToken],
      depth: message.metadata?.[a2aMetadata.depth],
      tainted: message.metadata?.[a2aMetadata.tainted],
      traceparent,
    };
    void work(context, task, slot, turn);
  });
}

async function work(
  { agent, onFault }: RpcContext,
  task: Task,
  slot: Slot,
  turn: Parameters<Agent['pieces']>[0],
): Promise<void> {
  void task.finished.then(() => slot.abort(new AgentFailure('Cancelled', 'The task was cancelled.')));
  try {
    for await (const piece of agent.pieces(turn, { restarts: true })) {
      if ('delta' in piece) task.append(piece.delta);
      else if ('restart' in piece) task.startOver();
      else if ('activity' in piece) task.tell({ [a2aMetadata.tool]: piece.activity });
      else if ('delegation' in piece) task.tell({ [a2aMetadata.delegation]: piece.delegation });
      else if ('waiting' in piece) task.waitForPeople(piece.waiting);
      else if ('compaction' in piece) task.tell({ [a2aMetadata.compaction]: piece.compaction });
      else
        task.complete(
          isData(agent.config, piece.answer) ? { data: piece.answer.output } : 'appended',
          piece.answer.usage,
          piece.answer.citations,
        );
    }
  } catch (error) {
    const failure = asFailure(error);
    if (failure.reason === 'InternalError') onFault(failure.cause);
    if (failure.reason === 'AgentUnavailable') task.lose();
    else task.fail(failure);
  } finally {
    slot.release();
  }
}

function promptOf({ parts }: IncomingMessage): ReturnType<typeof userMessage> {
  const texts: string[] = [];
  for (const part of parts) {
    if (typeof part.text === 'string') texts.push(part.text);
    else if ('data' in part) texts.push(JSON.stringify(part['data']));
    else throw a2aError('CONTENT_TYPE_NOT_SUPPORTED', 'This agent reads text and data parts, but no files.');
  }
  if (texts.every((text) => text === ''))
    throw invalidParams([{ field: 'message.parts', description: 'are all empty' }]);
  return userMessage(texts.join('\n\n'), undefined);
}

function refuseFollowUp(task: Task): never {
  throw a2aError('UNSUPPORTED_OPERATION', 'This agent answers each message in a task of its own: leave taskId out.', {
    taskId: task.id,
  });
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    throw parseError();
  }
}

/** So that even the error for a wrong request carries its id. */
function idOf(json: unknown): RpcId {
  const id = typeof json === 'object' && json !== null && 'id' in json ? json.id : null;
  return typeof id === 'string' || typeof id === 'number' ? id : null;
}

function checkedRequest(json: unknown): z.infer<typeof request> {
  if (Array.isArray(json)) throw invalidRequest('batches are not supported; send one request at a time');
  const parsed = request.safeParse(json);
  if (parsed.success) return parsed.data;
  throw invalidRequest(parsed.error.issues[0]?.message ?? 'not a request');
}

function checked<T extends z.ZodType>(schema: T, params: unknown): z.infer<T> {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  throw invalidParams(
    parsed.error.issues
      .slice(0, 10)
      .map(({ path, message }) => ({ field: path.join('.') || 'params', description: message })),
  );
}

/** A missing version means 0.3 (section 3.6.2); the patch number does not matter. */
function requireVersion(version: string): void {
  const asked = version.trim() || '0.3';
  if (/^1\.0(\.\d+)?$/.test(asked)) return;
  const message = `A2A ${asked.slice(0, 32)} is not supported: send the header A2A-Version: 1.0.`;
  throw a2aError('VERSION_NOT_SUPPORTED', message, { supportedVersions: '1.0' });
}

function rpcError({ onFault }: RpcContext, error: unknown): RpcError {
  if (error instanceof RpcError) return error;
  const failure = asFailure(error);
  if (failure.reason === 'InternalError') onFault(failure.cause);
  return internalError(failure.reason, failure.message);
}

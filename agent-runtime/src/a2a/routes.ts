// A2A over HTTP: the card, and JSON-RPC with its streams.
import { A2A_PATH, AGENT_CARD_PATH } from '@kadre/crds';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { openEventStream } from '../serve/event-stream.ts';
import { traceparentOf } from '../serve/exchange.ts';
import { agentCard } from './card.ts';
import { internalError, invalidRequest, type RpcError } from './errors.ts';
import { handleRpc, type RpcContext, type RpcId, type RpcOutcome } from './rpc.ts';
import type { StreamResponse } from './wire.ts';

export interface A2aOptions {
  /** Where callers reach the agent; absent: where the request came to. */
  publicUrl?: string | undefined;
  basePath: string;
  /** Streams at once, over all tasks. */
  maxStreams: number;
}

/** A listener that takes this long is cut off; it may subscribe again and gets the state of the moment. */
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024;

export async function a2aRoutes(app: FastifyInstance, context: RpcContext, options: A2aOptions): Promise<void> {
  app.get(AGENT_CARD_PATH, (request, reply) => sendCard(request, reply, context, options));
  // In a scope of its own: here the body stays text, so that broken JSON gets JSON-RPC's own error.
  await app.register((scope, _, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      ['application/json', 'application/a2a+json'],
      { parseAs: 'string' },
      (_request, body, parsed) => parsed(null, body),
    );
    rpcRoute(scope, context, options);
    done();
  });
}

function sendCard(
  request: FastifyRequest,
  reply: FastifyReply,
  { agent }: RpcContext,
  { publicUrl, basePath }: A2aOptions,
): FastifyReply {
  const { json, etag } = agentCard(agent.config, publicUrl ?? `${request.protocol}://${request.host}${basePath}`);
  reply.header('cache-control', 'max-age=60').header('etag', etag).header('vary', 'host');
  return request.headers['if-none-match'] === etag ? reply.code(304).send() : reply.send(json);
}

function rpcRoute(scope: FastifyInstance, context: RpcContext, { maxStreams }: A2aOptions): void {
  let streams = 0;
  scope.setErrorHandler<Error & { statusCode?: number }>((error, _request, reply) => {
    const status = error.statusCode ?? 500;
    const rpcError =
      status < 500
        ? invalidRequest(error.message)
        : internalError('InternalError', 'The agent met an unexpected error.');
    if (status >= 500) context.onFault(error);
    return reply.code(status).send(envelope(null, { error: rpcError }));
  });
  scope.post<{ Querystring: Record<string, string | string[] | undefined> }>(A2A_PATH, async (request, reply) => {
    const version = [request.headers['a2a-version'] ?? request.query['A2A-Version'] ?? ''].flat().join();
    const body = typeof request.body === 'string' ? request.body : '';
    const outcome = await handleRpc(context, {
      body,
      version,
      traceparent: traceparentOf(request),
    });
    if ('error' in outcome) return sendError(reply, outcome.id, outcome.error);
    if ('result' in outcome) return reply.send(envelope(outcome.id, { result: outcome.result }));
    if (streams >= maxStreams)
      return sendError(
        reply,
        outcome.id,
        internalError('AgentUnavailable', `The agent serves ${streams} streams, which is its limit.`),
      );
    streams += 1;
    reply.raw.once('close', () => (streams -= 1));
    streamTask(reply, outcome);
    return reply;
  });
}

/** Errors of JSON-RPC travel with status 200, except when a busy agent asks to come back later. */
function sendError(reply: FastifyReply, id: RpcId, error: RpcError): FastifyReply {
  const busy = error.data.some(({ reason }) => reason === 'AgentUnavailable');
  if (busy) reply.code(503).header('retry-after', '1');
  return reply.send(envelope(id, { error }));
}

function envelope(id: RpcId, content: { result: unknown } | { error: RpcError }): Record<string, unknown> {
  return { jsonrpc: '2.0', id, ...content };
}

type StreamOutcome = Extract<RpcOutcome, { stream: unknown }>;

/** First the task as it stands, then what happens to it. The task goes on when the listener leaves. */
function streamTask(reply: FastifyReply, { id, stream: task, historyLength }: StreamOutcome): void {
  const events = openEventStream(reply);
  const send = (result: StreamResponse): void => events.send(envelope(id, { result }));
  const unsubscribe = task.subscribe((event) => {
    send(event);
    if (events.backlog > MAX_BACKLOG_BYTES) events.destroy();
  });
  send({ task: task.snapshot({ historyLength, artifacts: true }) });
  events.onClose(unsubscribe);
  void task.finished.then(() => (task.lost ? events.destroy() : events.end()));
}

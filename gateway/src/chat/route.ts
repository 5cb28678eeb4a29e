// POST /v1/chat/completions
import type { Store } from '@kadre/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import type { Keys } from '../access/secrets.ts';
import { GatewayError } from '../errors.ts';
import type { Clock, Limits, ModelSource } from '../options.ts';
import type { Catalog } from '../providers/catalog.ts';
import type { FinishReason } from '../providers/provider.ts';
import type { RequestRecord } from '../requests.ts';
import { Call, callTimedOut, clientGone } from './call.ts';
import { EventWriter } from './event-writer.ts';
import { parseChatRequest } from './request.ts';
import { completion, deltaChunk, toolCallShape, usageChunk, type Envelope } from './shapes.ts';

export interface ChatServices {
  models: ModelSource;
  keys: Keys;
  catalog: Catalog;
  store: Pick<Store, 'recordUsage'>;
  clock: Clock;
  limits: Limits;
  /** Aborted when the gateway can wait no longer. */
  closing: AbortSignal;
}

export function chatRoute(services: ChatServices) {
  return async (http: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const { record } = http;
    const release = record.hold();
    const deadline = startDeadline(services, reply);
    try {
      const { call, envelope, includeUsage, streamed } = await prepare(services, http, deadline.signal);
      if (streamed) {
        await stream(call, envelope, includeUsage, services, reply, record);
        return undefined;
      }
      return await answer(call, envelope);
    } catch (error) {
      if (error instanceof GatewayError) record.fail(error);
      throw error;
    } finally {
      deadline.stop();
      release();
    }
  };
}

/** Aborts when the client goes away, when time is up, or when the gateway closes for good. */
function startDeadline({ clock, limits, closing }: ChatServices, reply: FastifyReply) {
  const controller = new AbortController();
  const gone = (): void => {
    if (!reply.raw.writableFinished) controller.abort(clientGone());
  };
  const close = (): void => controller.abort(closing.reason);
  const cancel = clock.after(limits.callMs, () => controller.abort(callTimedOut(limits.callMs)));
  reply.raw.once('close', gone);
  closing.addEventListener('abort', close, { once: true });
  if (closing.aborted) close();
  return {
    signal: controller.signal,
    stop: () => {
      cancel();
      reply.raw.off('close', gone);
      closing.removeEventListener('abort', close);
    },
  };
}

async function prepare(services: ChatServices, http: FastifyRequest, signal: AbortSignal) {
  const { record } = http;
  const caller = record.caller as Caller;
  const request = parseChatRequest(http.body);
  const model = services.models.get(caller.namespace, request.model);
  if (!model) {
    throw new GatewayError(
      404,
      'ModelNotFound',
      `There is no Model ${request.model} in namespace ${caller.namespace}.`,
      {
        param: 'model',
      },
    );
  }
  const streamed = request.stream === true;
  record.model = model.metadata.name;
  record.provider = model.spec.provider;
  record.streamed = streamed;
  const provider = await services.catalog.provider(model.spec.provider);
  provider.check(request);
  const { keys, store, clock } = services;
  const call = new Call({ record, caller, model, request, provider, keys, store, clock, signal });
  const created = Math.floor(clock.now() / 1000);
  const envelope: Envelope = { id: `chatcmpl-${randomUUID()}`, created, model: request.model };
  return { call, envelope, streamed, includeUsage: request.stream_options?.include_usage === true };
}

async function answer(call: Call, envelope: Envelope): Promise<object> {
  try {
    const said = await call.generate();
    return completion(envelope, said, await call.settle());
  } catch (error) {
    await call.settle();
    throw error;
  }
}

async function stream(
  call: Call,
  envelope: Envelope,
  includeUsage: boolean,
  { clock, limits }: ChatServices,
  reply: FastifyReply,
  record: RequestRecord,
): Promise<void> {
  const events = await call.open().catch(async (error: unknown) => {
    await call.settle();
    throw error;
  });
  reply.hijack();
  const writer = new EventWriter(reply.raw, clock, limits.slowClientMs);
  writer.start({ 'x-request-id': record.id });
  try {
    const finish = await relay(events, writer, envelope, includeUsage);
    // The client learns that the answer is complete only once its cost is written down.
    const usage = await call.settle();
    await writer.send(deltaChunk(envelope, {}, finish, includeUsage));
    if (includeUsage) await writer.send(usageChunk(envelope, usage));
    await writer.send('[DONE]');
  } catch (error) {
    const failure = await settled(call, error);
    record.fail(failure);
    await writer.send(failure.body());
  } finally {
    writer.end();
  }
}

async function relay(
  events: Awaited<ReturnType<Call['open']>>,
  writer: EventWriter,
  envelope: Envelope,
  includeUsage: boolean,
): Promise<FinishReason> {
  let finish: FinishReason = 'stop';
  await writer.send(deltaChunk(envelope, { role: 'assistant', content: '' }, null, includeUsage));
  for await (const event of events) {
    if (event.type === 'finish') finish = event.reason;
    if (event.type === 'text') await writer.send(deltaChunk(envelope, { content: event.text }, null, includeUsage));
    if (event.type === 'refusal') await writer.send(deltaChunk(envelope, { refusal: event.text }, null, includeUsage));
    if (event.type === 'tool') {
      await writer.send(deltaChunk(envelope, { tool_calls: [toolCallShape(event.call)] }, null, includeUsage));
    }
  }
  return finish;
}

/** Writes the cost of a failed call down; says the worse of the two if that fails as well. */
async function settled(call: Call, error: unknown): Promise<GatewayError> {
  const failure =
    error instanceof GatewayError
      ? error
      : new GatewayError(500, 'InternalError', 'The gateway failed; its log says why.', { retry: false, cause: error });
  return call.settle().then(
    () => failure,
    (worse: unknown) => (worse instanceof GatewayError ? worse : failure),
  );
}

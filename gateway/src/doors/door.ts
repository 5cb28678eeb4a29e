// What the doors have in common. A door knows one dialect: how a request is read, and how answers and refusals are
// written. Everything between is the pipeline's.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import type { Answer, ModelEvent, Usage } from '../conversation/answer.ts';
import type { EmbeddingAnswer, EmbeddingRequest } from '../conversation/embedding.ts';
import type { ModelRequest } from '../conversation/request.ts';
import { GatewayError } from '../errors.ts';
import type { Clock, Limits, ModelSource } from '../options.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import { startDeadline } from './deadline.ts';
import { ResponseWriter } from './response-writer.ts';

export interface DoorServices {
  pipeline: Pipeline;
  models: ModelSource;
  clock: Clock;
  limits: Limits;
  /** Aborted when the gateway can wait no longer. */
  closing: AbortSignal;
}

/** Adds its routes. All of them are behind the check of tokens. */
export type Door = (api: FastifyInstance, services: DoorServices) => void;

/** What all pieces of one answer share. */
export interface Envelope {
  /** Such as req_6f0c…: unique, and what the log calls the request. */
  requestId: string;
  /** Milliseconds since 1970. */
  createdAt: number;
  /** Name of the Model, as the caller asked for it. */
  model: string;
}

export type CompleteAnswer = Answer & { usage: Usage };

/** Writes one answer as it comes: each method returns the bytes to send, as text; empty for nothing. */
export interface AnswerEncoder {
  event(event: ModelEvent): string;
  /** After it nothing follows. */
  failure(error: GatewayError): string;
}

export interface ChatDialect<Options> {
  /** Such as chat-completions. */
  name: string;
  /** Throws a 400 that names the field. */
  parse(body: unknown, http: FastifyRequest): { request: ModelRequest; streamed: boolean; options: Options };
  answer(answer: CompleteAnswer, envelope: Envelope, options: Options): object;
  encoder(envelope: Envelope, options: Options): AnswerEncoder;
  /** Of a stream. Absent: text/event-stream. */
  contentType?(options: Options): string;
  /** The body of a refusal. Absent: as OpenAI writes it. */
  error?(error: GatewayError): object;
}

export interface EmbeddingDialect<Options> {
  name: string;
  parse(body: unknown, http: FastifyRequest): { request: EmbeddingRequest; options: Options };
  answer(answer: EmbeddingAnswer & { usage: Usage }, envelope: Envelope, options: Options): object;
  error?(error: GatewayError): object;
}

export function addChatRoute<Options>(
  api: FastifyInstance,
  path: string,
  dialect: ChatDialect<Options>,
  services: DoorServices,
): void {
  api.post(path, { config: configOf(dialect) }, (http, reply) =>
    held(http, reply, services, async (signal) => {
      const { request, streamed, options } = dialect.parse(http.body, http);
      http.record.streamed = streamed;
      const shared = callOf(http, dialect.name, signal);
      const call = { ...shared, operation: 'chat', request, streamed } as const;
      const envelope = envelopeOf(http, request.model, services);
      if (!streamed) {
        const answer = await services.pipeline.generate(call);
        void reply.headers(call.responseHeaders);
        return dialect.answer(answer, envelope, options);
      }
      // Made first: once the events are there, nothing may go wrong before they are read.
      const encoder = dialect.encoder(envelope, options);
      const events = await services.pipeline.stream(call);
      const headers = {
        ...call.responseHeaders,
        'x-request-id': http.id,
        'content-type': dialect.contentType?.(options) ?? 'text/event-stream; charset=utf-8',
      };
      await relay(events, encoder, headers, http, reply, services);
      return undefined;
    }),
  );
}

export function addEmbeddingRoute<Options>(
  api: FastifyInstance,
  path: string,
  dialect: EmbeddingDialect<Options>,
  services: DoorServices,
): void {
  api.post(path, { config: configOf(dialect) }, (http, reply) =>
    held(http, reply, services, async (signal) => {
      const { request, options } = dialect.parse(http.body, http);
      const shared = callOf(http, dialect.name, signal);
      const call = { ...shared, operation: 'embeddings', request, streamed: false } as const;
      const answer = await services.pipeline.embed(call);
      void reply.headers(call.responseHeaders);
      return dialect.answer(answer, envelopeOf(http, request.model, services), options);
    }),
  );
}

const configOf = ({ error }: { error?: (error: GatewayError) => object }): { errorBody?: typeof error } =>
  error ? { errorBody: error } : {};

/** Keeps the record open while the call lasts, and bounds it in time. */
export async function held<T>(
  http: FastifyRequest,
  reply: FastifyReply,
  services: Pick<DoorServices, 'clock' | 'limits' | 'closing'>,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const release = http.record.hold();
  const deadline = startDeadline(services, reply.raw);
  try {
    return await run(deadline.signal);
  } catch (error) {
    if (error instanceof GatewayError) http.record.fail(error);
    throw error;
  } finally {
    deadline.stop();
    release();
  }
}

const callOf = (http: FastifyRequest, door: string, signal: AbortSignal) => ({
  id: http.id,
  door,
  caller: http.record.caller as Caller,
  signal,
  headers: http.headers,
  record: http.record,
  responseHeaders: {} as Record<string, string>,
});

const envelopeOf = ({ id }: FastifyRequest, model: string, { clock }: DoorServices): Envelope => ({
  requestId: id,
  createdAt: clock.now(),
  model,
});

/** From here on the status is said, so that failures are told in the stream. */
async function relay(
  events: AsyncGenerator<ModelEvent, void>,
  encoder: AnswerEncoder,
  headers: Record<string, string>,
  http: FastifyRequest,
  reply: FastifyReply,
  { clock, limits }: DoorServices,
): Promise<void> {
  reply.hijack();
  const writer = new ResponseWriter(reply.raw, clock, limits.slowClientMs);
  writer.start(headers);
  try {
    for await (const event of events) await writer.send(encoder.event(event));
  } catch (error) {
    const failure = error instanceof GatewayError ? error : internalError(error);
    http.record.fail(failure);
    await writer.send(encoder.failure(failure));
  } finally {
    writer.end();
  }
}

const internalError = (cause: unknown): GatewayError =>
  new GatewayError(500, 'InternalError', 'The gateway failed; its log says why.', { retry: false, cause });

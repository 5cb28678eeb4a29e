// The OpenAI wire: the agent is a model of its own name.
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import type { Turn } from '../agent/agent.ts';
import { endOf } from '../agent/callers-chunks.ts';
import type { ChatChunk, ChatCompletion, ChatMessage } from '../agent/chat.ts';
import { messageOf } from '../agent/loop.ts';
import { asFailure } from '../failure.ts';
import { openEventStream } from './event-stream.ts';
import { traceparentOf, withSlot, type RouteContext } from './exchange.ts';
import { badRequest, unknownModel, wireError } from './http-errors.ts';

const chatRequest = z.looseObject({
  model: z.string(),
  messages: z.array(z.looseObject({ role: z.string() })).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.int().nullish(),
});
type ChatRequest = z.infer<typeof chatRequest>;

export function openaiRoutes(app: FastifyInstance, context: RouteContext): void {
  const { name, namespace } = context.agent.config;
  const created = Math.floor(Date.now() / 1000);
  const model = { id: name, object: 'model', created, owned_by: namespace };
  app.get('/v1/models', () => ({ object: 'list', data: [model] }));
  app.get<{ Params: { model: string } }>('/v1/models/:model', (request, reply) =>
    request.params.model === name ? model : reply.code(404).send(unknownModel(request.params.model, name)),
  );
  app.post('/v1/chat/completions', async (request, reply) => {
    const body = parseChat(request.body);
    if (body.model !== name) return reply.code(404).send(unknownModel(body.model, name));
    if (context.agent.config.output !== undefined) refuseFormats(body);
    return withSlot(context.gate, reply, async ({ signal }) => {
      const turn = {
        messages: body.messages as ChatMessage[],
        params: passedOn(body),
        signal,
        traceparent: traceparentOf(request),
      };
      if (body.stream !== true) return completionOf((await context.agent.answer(turn)).completion, name);
      return streamChunks(context, turn, reply, body);
    });
  });
}

function parseChat(body: unknown): ChatRequest {
  const parsed = chatRequest.safeParse(body);
  if (parsed.success) return parsed.data;
  throw badRequest(`This is no chat completion request: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
}

/** The answers of such an agent have one shape, whoever asks. */
function refuseFormats(body: ChatRequest): void {
  if (body['response_format'] != null)
    throw badRequest('This agent has an output schema of its own: leave response_format out.');
  if ((body.n ?? 1) > 1) throw badRequest('This agent has an output schema and gives one answer: leave n out.');
}

const SET_BY_AGENT = new Set(['model', 'messages', 'stream', 'stream_options']);

function passedOn(body: ChatRequest): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([field]) => !SET_BY_AGENT.has(field)));
}

function completionOf(completion: ChatCompletion, model: string): ChatCompletion {
  return {
    ...completion,
    object: 'chat.completion',
    created: completion.created ?? Math.floor(Date.now() / 1000),
    model,
  };
}

async function streamChunks(context: RouteContext, turn: Turn, reply: FastifyReply, body: ChatRequest): Promise<void> {
  const { agent } = context;
  const includeUsage = body.stream_options?.include_usage === true;
  const chunks =
    agent.config.output === undefined
      ? agent.chunks({
          ...turn,
          params: { ...turn.params, stream_options: { ...body.stream_options, include_usage: true } },
        })
      : checkedChunks(agent.answer(turn));
  // Until the first chunk is here, a failure can still be told by the status of the response.
  let { value: chunk } = await chunks.next();
  const shape = chunkShaper(agent.config.name, includeUsage);
  const events = openEventStream(reply);
  try {
    while (chunk !== undefined) {
      const shaped = shape(chunk);
      if (shaped !== undefined) events.send(shaped);
      await events.drained();
      ({ value: chunk } = await chunks.next());
    }
    events.send('[DONE]');
  } catch (error) {
    events.send(wireError(asFailure(error)));
  }
  events.end();
}

/** An answer that had to be whole before it could be checked, as a stream of few chunks. */
async function* checkedChunks(
  answer: ReturnType<RouteContext['agent']['answer']>,
): AsyncGenerator<ChatChunk, void, undefined> {
  const { completion } = await answer;
  const { id, created, usage } = completion;
  const delta = { ...messageOf(completion), tool_calls: undefined };
  yield { id, created, choices: [{ index: 0, delta, finish_reason: null }] };
  yield* endOf(completion, usage);
}

/** Clients count on one id, one model and one time for all chunks, and on a role in the first of each choice. */
function chunkShaper(model: string, includeUsage: boolean): (chunk: ChatChunk) => ChatChunk | undefined {
  let id: string | undefined;
  let created: number | undefined;
  const begun = new Set<number>();
  return (chunk) => {
    id ??= chunk.id ?? `chatcmpl-${crypto.randomUUID()}`;
    created ??= chunk.created ?? Math.floor(Date.now() / 1000);
    const { usage, ...rest } = chunk;
    if (chunk.choices.length === 0 && !includeUsage) return undefined;
    const choices = chunk.choices.map((choice) => {
      if (begun.has(choice.index)) return choice;
      begun.add(choice.index);
      return { ...choice, delta: { role: 'assistant', ...choice.delta } };
    });
    return {
      ...rest,
      id,
      created,
      object: 'chat.completion.chunk',
      model,
      choices,
      ...(includeUsage ? { usage: usage ?? null } : {}),
    };
  };
}

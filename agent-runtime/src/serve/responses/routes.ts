// POST /v1/responses: the agent as a model of its own name, with what it does meanwhile. What is remembered can be read
// again, gone on with, and forgotten.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Turn } from '../../agent/agent.ts';
import { newId, type Place } from '../../agent/memory.ts';
import { AgentFailure, asFailure } from '../../failure.ts';
import { openEventStream } from '../event-stream.ts';
import { traceparentOf, withSlot, type RouteContext } from '../exchange.ts';
import { badRequest, invalid, unknownModel, wireError } from '../http-errors.ts';
import { parseResponses, type ResponsesBody, type ResponsesRequest } from './request.ts';
import { ResponseWriter } from './writer.ts';

/** No other id names a response: those that callers choose for other turns could be guessed. */
const RESPONSE_ID = /^resp_[0-9a-f]{32}$/;
const MEMORY_TIMEOUT_MS = 30_000;
const NO_MEMORY = 'this agent has no memory: send the whole conversation, or set spec.memory of the Agent';

export function responsesRoutes(app: FastifyInstance, context: RouteContext): void {
  const { name, output } = context.agent.config;
  app.post('/v1/responses', (request, reply) => {
    const asked = parseResponses(request.body);
    const { body } = asked;
    if (body.model !== name) return reply.code(404).send(unknownModel(body.model, name));
    if (output !== undefined && (body.text?.format ?? { type: 'text' }).type !== 'text')
      throw badRequest('This agent has an output schema of its own: leave text.format out.');
    const id = newId('resp');
    const place = placeOf(id, body, context);
    if (typeof place === 'object' && 'error' in place) return reply.code(400).send(place);
    const turn = { messages: asked.messages, params: asked.params, place, traceparent: traceparentOf(request) };
    const work = body.stream === true ? streamed : whole;
    return withSlot<unknown>(context.gate, reply, ({ signal }) =>
      work(context, reply, { ...turn, signal }, headOf(id, asked, place, context)).catch((error: unknown) => {
        if (!isUnknown(error)) throw error;
        return reply.code(400).send(unknownResponse(body.previous_response_id ?? ''));
      }),
    );
  });

  app.get<{ Params: { id: string } }>('/v1/responses/:id', async (request, reply) => {
    const { id } = request.params;
    const turn = RESPONSE_ID.test(id) ? await storedTurn(context, request, id) : undefined;
    if (turn === undefined) {
      const message = `There is no response ${JSON.stringify(id.slice(0, 64))} (any more)`;
      return reply
        .code(404)
        .send(invalid(context.memory ? `${message}.` : `${message}: ${NO_MEMORY}.`, null, 'not_found'));
    }
    const head = { id, object: 'response', created_at: Math.floor(turn.at / 1000), model: name, metadata: {} };
    const writer = new ResponseWriter(head, name, () => undefined);
    const message = turn.messages.at(-1) as { content?: string | null };
    const completion = { id, choices: [{ index: 0, message, finish_reason: 'stop' }] };
    writer.write({ answer: { output: message.content ?? '', completion, usage: { inputTokens: 0, outputTokens: 0 } } });
    return { ...writer.response, usage: null };
  });

  app.post('/v1/conversations', () => {
    if (context.memory === undefined) throw badRequest(`There are no conversations: ${NO_MEMORY}.`);
    return { id: newId('conv'), object: 'conversation', created_at: Math.floor(Date.now() / 1000), metadata: {} };
  });
  app.delete<{ Params: { id: string } }>('/v1/conversations/:id', { onRequest: bodiless }, async (request, reply) => {
    const { id } = request.params;
    const errand = { signal: AbortSignal.timeout(MEMORY_TIMEOUT_MS), traceparent: traceparentOf(request) };
    const deleted = (await context.memory?.forget(errand, id)) === true;
    if (deleted) return { id, object: 'conversation.deleted', deleted };
    return reply.code(404).send(invalid('There is no such conversation.', null, 'not_found'));
  });
}

/** The official client calls what it does not send JSON. */
const bodiless = ({ headers }: FastifyRequest, _reply: FastifyReply, done: () => void): void => {
  if (headers['transfer-encoding'] === undefined && !Number(headers['content-length'])) delete headers['content-type'];
  done();
};

/** Where the answer belongs, or what is wrong. Undefined: it is not remembered. */
function placeOf(id: string, body: ResponsesBody, { memory }: RouteContext) {
  const { previous_response_id: follows, conversation, store } = body;
  if (memory === undefined) {
    const named = Object.entries({ previous_response_id: follows, conversation, store: store || null });
    const wrong = named.find(([, value]) => value != null)?.[0];
    return wrong === undefined
      ? undefined
      : invalid(`${wrong} is refused, for ${NO_MEMORY}.`, wrong, 'unsupported_value');
  }
  if (follows != null && conversation != null)
    return invalid(
      'Give previous_response_id or conversation, not both.',
      'conversation',
      'mutually_exclusive_parameters',
    );
  const transient = store === false;
  if (follows != null) return RESPONSE_ID.test(follows) ? { id, follows, transient } : unknownResponse(follows);
  if (transient && conversation == null) return undefined;
  const name = typeof conversation === 'string' ? conversation : conversation?.id;
  return { id, conversation: name ?? newId('conv'), transient };
}

const isUnknown = (error: unknown): boolean => error instanceof AgentFailure && error.details.status === 404;

const unknownResponse = (id: string) =>
  invalid(
    `Previous response with id ${JSON.stringify(id.slice(0, 64))} not found.`,
    'previous_response_id',
    'previous_response_not_found',
  );

async function storedTurn({ memory }: RouteContext, request: FastifyRequest, id: string) {
  const errand = { signal: AbortSignal.timeout(MEMORY_TIMEOUT_MS), traceparent: traceparentOf(request) };
  return memory?.turn(errand, id).catch((error: unknown) => {
    if (isUnknown(error)) return undefined;
    throw error;
  });
}

async function whole({ agent }: RouteContext, _reply: FastifyReply, turn: Turn, head: object): Promise<object> {
  const writer = new ResponseWriter(head, agent.config.name, () => undefined);
  for await (const piece of agent.pieces(turn, { restarts: true })) writer.write(piece);
  return writer.response;
}

async function streamed({ agent }: RouteContext, reply: FastifyReply, turn: Turn, head: object): Promise<void> {
  const pieces = agent.pieces(turn);
  // Until the first piece is here, a failure can still be told by the status of the response.
  let { value: piece } = await pieces.next();
  const events = openEventStream(reply);
  let number = 0;
  const writer = new ResponseWriter(head, agent.config.name, (type, fields) => {
    events.send({ type, sequence_number: number, ...fields }, type);
    number += 1;
  });
  writer.begin();
  try {
    while (piece !== undefined) {
      writer.write(piece);
      await events.drained();
      ({ value: piece } = await pieces.next());
    }
  } catch (error) {
    writer.fail(wireError(asFailure(error)));
  }
  events.end();
}

/** What the answer says again of the request. */
function headOf(id: string, { body }: ResponsesRequest, place: Place | undefined, { agent }: RouteContext): object {
  return {
    id,
    object: 'response',
    created_at: Math.floor(Date.now() / 1000),
    model: agent.config.name,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    ...(place && 'conversation' in place && body.conversation != null && { conversation: { id: place.conversation } }),
    reasoning: body.reasoning ?? null,
    store: place !== undefined && place.transient !== true,
    background: false,
    temperature: body.temperature ?? null,
    top_p: body.top_p ?? null,
    text: { ...body.text, format: body.text?.format ?? { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    truncation: 'disabled',
    metadata: body.metadata ?? {},
  };
}

// Plain HTTP: POST /generate, and the endpoints that an Agent declares.
import type { AgentConfig } from '@kadre/crds';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { z } from 'zod';
import { userMessage, type Answer, type Turn } from '../agent/agent.ts';
import { compileSchema, type SchemaCheck } from '../agent/json-schema.ts';
import { compilePrompt, type PromptTemplate } from '../agent/prompt-template.ts';
import { asFailure } from '../failure.ts';
import { openEventStream } from './event-stream.ts';
import { traceparentOf, withSlot, type RouteContext } from './exchange.ts';
import { newId } from '../agent/memory.ts';
import { badRequest, wireError } from './http-errors.ts';

const generateRequest = z.strictObject({
  prompt: z.string().optional(),
  input: z.unknown().optional(),
  stream: z.boolean().default(false),
  context: z.string().min(1).max(256).optional(),
});

export function generateRoutes(app: FastifyInstance, context: RouteContext): void {
  app.post('/generate', async (request, reply) => {
    const body = parseGenerate(request.body);
    const asked = {
      messages: [userMessage(body.prompt, body.input)],
      traceparent: traceparentOf(request),
      place: placeOf(body.context, context),
    };
    return body.stream ? streamPieces(context, reply, asked) : answerOnce(context, reply, asked);
  });
}

export interface CompiledEndpoint {
  path: string;
  check: SchemaCheck | undefined;
  prompt: PromptTemplate;
}

/** @throws {Error} that names the endpoint whose schema or prompt is wrong. */
export function compileEndpoints({ endpoints }: AgentConfig): Promise<CompiledEndpoint[]> {
  return Promise.all(
    endpoints.map(async ({ path, input, prompt }) => {
      try {
        return {
          path,
          check: input === undefined ? undefined : await compileSchema(input.schema),
          prompt: await compilePrompt(prompt),
        };
      } catch (error) {
        throw new Error(`the endpoint ${path}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
    }),
  );
}

export function endpointRoutes(app: FastifyInstance, context: RouteContext, endpoints: CompiledEndpoint[]): void {
  for (const { path, check, prompt } of endpoints) {
    app.post(path, async (request, reply) => {
      const problem = check?.(request.body);
      if (problem !== undefined) throw badRequest(`The request does not match the schema of ${path}: ${problem}.`);
      const messages = [userMessage(prompt(request.body), undefined)];
      return answerOnce(context, reply, { messages, traceparent: traceparentOf(request) });
    });
  }
}

function parseGenerate(body: unknown): z.infer<typeof generateRequest> {
  const parsed = generateRequest.safeParse(body);
  if (parsed.success) return parsed.data;
  throw badRequest(
    `Send {"prompt": "…"}, optionally with "input", "stream" and "context": ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`,
  );
}

/** Whoever names no conversation begins one. */
function placeOf(conversation: string | undefined, { memory }: RouteContext) {
  if (memory !== undefined) return { id: newId('turn'), conversation: conversation ?? newId('ctx') };
  if (conversation === undefined) return undefined;
  throw badRequest('This agent has no memory: leave context out, or set spec.memory of the Agent.');
}

function shown({ output, usage, citations }: Answer, { place }: Asked, { agent }: RouteContext) {
  const cited = citations && { citations };
  return { output, usage, model: agent.config.model, ...cited, ...(place && { context: place.conversation }) };
}

type Asked = Omit<Turn, 'signal' | 'place'> & { place?: ReturnType<typeof placeOf> };

const answerOnce = (context: RouteContext, reply: FastifyReply, asked: Asked) =>
  withSlot(context.gate, reply, async ({ signal }) =>
    shown(await context.agent.answer({ ...asked, signal }), asked, context),
  );

/**
 * Events: `delta` {"text"} as it is written, `restart` {} when that was no answer yet and begins anew, `tool` when a tool is
 * called, when it prints something and when it is done, then `result` with the whole answer, or `error`.
 */
function streamPieces(context: RouteContext, reply: FastifyReply, asked: Asked): Promise<void> {
  return withSlot(context.gate, reply, async ({ signal }) => {
    const pieces = context.agent.pieces({ ...asked, signal });
    // Until the first piece is here, a failure can still be told by the status of the response.
    let { value: piece } = await pieces.next();
    const events = openEventStream(reply);
    try {
      while (piece !== undefined) {
        if ('delta' in piece) events.send({ text: piece.delta }, 'delta');
        else if ('restart' in piece) events.send({}, 'restart');
        else if ('activity' in piece) events.send(piece.activity, 'tool');
        else if ('answer' in piece) events.send(shown(piece.answer, asked, context), 'result');
        await events.drained();
        ({ value: piece } = await pieces.next());
      }
    } catch (error) {
      events.send(wireError(asFailure(error)), 'error');
    }
    events.end();
  });
}

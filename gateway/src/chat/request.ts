// The body of POST /v1/chat/completions: what every provider needs is checked here, the rest is the provider's to judge.
import { z } from 'zod';
import { invalidRequest } from '../errors.ts';

const textPart = z.looseObject({ type: z.literal('text'), text: z.string() });
const imagePart = z.looseObject({ type: z.literal('image_url'), image_url: z.looseObject({ url: z.string().min(1) }) });
/** Parts that only some providers understand, such as input_audio. */
const otherPart = z.looseObject({
  type: z
    .string()
    .refine((type) => type !== 'text' && type !== 'image_url', 'this part lacks a field, or one has the wrong type'),
});

const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool']),
  content: z.union([z.string(), z.array(z.union([textPart, imagePart, otherPart])).max(1024)]).nullish(),
  tool_calls: z
    .array(z.looseObject({ id: z.string() }))
    .max(256)
    .nullish(),
  tool_call_id: z.string().nullish(),
});

const responseFormat = z.union([
  z.looseObject({ type: z.enum(['text', 'json_object']) }),
  z.looseObject({
    type: z.literal('json_schema'),
    json_schema: z.looseObject({ name: z.string(), schema: z.record(z.string(), z.unknown()).optional() }),
  }),
]);

const chatRequest = z.looseObject({
  model: z.string().min(1).max(253),
  messages: z.array(message).min(1).max(4096),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(16)]).nullish(),
  response_format: responseFormat.nullish(),
  n: z.int().nullish(),
  tools: z
    .array(z.looseObject({ type: z.string() }))
    .max(1024)
    .nullish(),
});

export type ChatRequest = z.infer<typeof chatRequest>;
export type ChatMessage = ChatRequest['messages'][number];

/** Throws a 400 that names the first field that is wrong. */
export function parseChatRequest(body: unknown): ChatRequest {
  const parsed = chatRequest.safeParse(body);
  if (parsed.success) {
    refuseFields(parsed.data, nobodyTakes, 'the gateway');
    return parsed.data;
  }
  const [issue] = parsed.error.issues;
  const path = (issue?.path ?? []).reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}${text === '' ? '' : '.'}${String(key)}`),
    '',
  );
  if (path === '') throw invalidRequest('The body must be a JSON object with `model` and `messages`.');
  throw invalidRequest(`${path}: ${issue?.message ?? 'is not valid'}.`, path);
}

/** Fields that would change the shape of the answer, or its price, in a way that the gateway does not carry. */
const nobodyTakes: Readonly<Record<string, (value: unknown) => boolean>> = {
  n: (value) => value !== 1,
  logprobs: (value) => value !== false,
  top_logprobs: (value) => value !== 0,
  audio: () => true,
  modalities: (value) => JSON.stringify(value) !== '["text"]',
  functions: () => true,
  function_call: () => true,
  web_search_options: () => true,
  service_tier: (value) => value !== 'auto' && value !== 'default',
};

function refuseFields(request: ChatRequest, rules: typeof nobodyTakes, who: string): void {
  for (const [field, refuses] of Object.entries(rules)) {
    const value = request[field];
    if (value !== undefined && value !== null && refuses(value)) {
      throw invalidRequest(`\`${field}\` with this value is not something that ${who} offers.`, field);
    }
  }
}

/** Throws a 400 if the request has a field outside `known`; fields that are null count as absent. */
export function refuseUnknownFields(request: ChatRequest, known: ReadonlySet<string>, who: string): void {
  for (const [field, value] of Object.entries(request)) {
    if (known.has(field) || value === null || value === undefined) continue;
    throw invalidRequest(`\`${field}\` is not something that the gateway offers for ${who}.`, field);
  }
}

/** The text of a message, its parts joined. */
export function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => (part.type === 'text' ? (part as { text: string }).text : '')).join('');
}

/** The text of the last message of the user; empty if there is none. */
export function lastPrompt(request: ChatRequest): string {
  const last = request.messages.findLast(({ role }) => role === 'user');
  return last ? textOf(last) : '';
}

export const stopSequences = ({ stop }: ChatRequest): string[] => (typeof stop === 'string' ? [stop] : (stop ?? []));

export const maxTokens = (request: ChatRequest): number | undefined =>
  request.max_completion_tokens ?? request.max_tokens ?? undefined;

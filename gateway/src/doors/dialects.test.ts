// What any model may answer, told by each door and heard by the official client of its dialect.
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import OpenAI from 'openai';
import {
  AnswerBuilder,
  eventsOf,
  noUsage,
  type Answer,
  type AnswerPart,
  type ModelEvent,
  type Usage,
} from '../conversation/answer.ts';
import type { Opaque } from '../conversation/opaque.ts';
import type { ModelRequest, Part } from '../conversation/request.ts';
import { completion, chatEncoder } from './chat-completions/answer.ts';
import { parseChat } from './chat-completions/request.ts';
import type { AnswerEncoder, CompleteAnswer, Envelope } from './door.ts';
import { content, contentEncoder } from './generate-content/answer.ts';
import { parseContent } from './generate-content/request.ts';
import { message, messagesEncoder } from './messages/answer.ts';
import { parseMessages } from './messages/request.ts';
import { response, responsesEncoder } from './responses/answer.ts';
import { parseResponses } from './responses/request.ts';

const envelope: Envelope = { requestId: 'req_0-1', createdAt: 1_700_000_000_000, model: 'm' };
const { options } = parseResponses({ model: 'm', input: 'hello' });

interface Dialect {
  /** What a client is told at once. */
  whole(answer: CompleteAnswer): unknown;
  encoder(): AnswerEncoder;
  /** What the official client makes of a stream. */
  heard(stream: Response): Promise<unknown>;
  /** The turn as a client gives it back, with what is asked next. */
  back(answer: CompleteAnswer): ModelRequest;
}

const json = (value: object): Record<string, unknown> => JSON.parse(JSON.stringify(value)) as Record<string, unknown>;

const dialects: Record<string, Dialect> = {
  'chat-completions': {
    whole: (answer) => (json(completion(answer, envelope))['choices'] as unknown[])[0],
    encoder: () => chatEncoder(envelope, { includeUsage: true }),
    heard: async (stream) => {
      const client = new OpenAI({ apiKey: 'k', fetch: () => Promise.resolve(stream) });
      const body = { model: 'm', messages: [{ role: 'user' as const, content: 'hello' }] };
      const heard = await client.chat.completions.stream(body).finalChatCompletion();
      return json(heard)['choices'] instanceof Array ? (json(heard)['choices'] as unknown[])[0] : undefined;
    },
    back: (answer) => {
      const { choices } = completion(answer, envelope) as { choices: { message: object }[] };
      const messages = [{ role: 'user', content: 'hello' }, choices[0]?.message, { role: 'user', content: 'next' }];
      return parseChat({ model: 'm', messages }).request;
    },
  },
  messages: {
    whole: (answer) => message(answer, envelope),
    encoder: () => messagesEncoder(envelope),
    heard: (stream) => {
      const client = new Anthropic({ apiKey: 'k', fetch: () => Promise.resolve(stream) });
      const body = { model: 'm', max_tokens: 1, messages: [{ role: 'user' as const, content: 'hello' }] };
      return client.messages.stream(body).finalMessage();
    },
    back: (answer) => {
      const { content: said } = message(answer, envelope) as { content: object[] };
      const messages = [
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: said },
        { role: 'user', content: 'next' },
      ];
      return parseMessages({ model: 'm', max_tokens: 1, messages }).request;
    },
  },
  responses: {
    whole: (answer) => response(answer, envelope, options),
    encoder: () => responsesEncoder(envelope, options),
    heard: (stream) => {
      const client = new OpenAI({ apiKey: 'k', fetch: () => Promise.resolve(stream) });
      return client.responses.stream({ model: 'm', input: 'hello' }).finalResponse();
    },
    back: (answer) => {
      const { output } = response(answer, envelope, options) as { output: object[] };
      const input = [{ role: 'user', content: 'hello' }, ...output, { role: 'user', content: 'next' }];
      return parseResponses({ model: 'm', input }).request;
    },
  },
  'generate-content': {
    whole: (answer) => gathered([content(answer, envelope)]),
    encoder: () => contentEncoder(envelope),
    heard: async (stream) => {
      const client = new GoogleGenAI({ apiKey: 'k', httpOptions: { fetch: () => Promise.resolve(stream) } });
      const pieces: Piece[] = [];
      for await (const piece of await client.models.generateContentStream({ model: 'm', contents: 'hello' })) {
        pieces.push(json(piece));
      }
      return gathered(pieces);
    },
    back: (answer) => {
      const { candidates } = content(answer, envelope) as Piece;
      const contents = [
        { role: 'user', parts: [{ text: 'hello' }] },
        candidates?.[0]?.content,
        { role: 'user', parts: [{ text: 'next' }] },
      ];
      return parseContent({ contents }, 'm');
    },
  },
};

interface Piece {
  candidates?: { content: { parts: GooglePart[] }; finishReason?: string }[];
  usageMetadata?: object;
}
type GooglePart = { text?: string; thought?: boolean; thoughtSignature?: string; functionCall?: object };

/** Google's client leaves it to its users to put the pieces together. */
function gathered(pieces: Piece[]): object {
  const parts: GooglePart[] = [];
  for (const part of pieces.flatMap(({ candidates }) => candidates?.[0]?.content.parts ?? [])) {
    const last = parts.at(-1);
    const goesOn = last?.text !== undefined && part.text !== undefined && last.thought === part.thought;
    if (goesOn && last.thoughtSignature === undefined) {
      parts[parts.length - 1] = { ...last, ...part, text: `${last.text}${part.text}` };
    } else if (part.text !== '' || part.thoughtSignature !== undefined) parts.push(part);
  }
  return { parts, finish: pieces.at(-1)?.candidates?.[0]?.finishReason, usage: pieces.at(-1)?.usageMetadata };
}

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 24 });
const token = fc.string({ unit: fc.constantFrom('a', 'b', 'X', 'Z', '0', '9', '+', '/'), minLength: 4, maxLength: 24 });
const opaque: fc.Arbitrary<Opaque> = fc.oneof(
  fc.record({ family: fc.constantFrom('anthropic' as const, 'google' as const), data: token }),
  fc.record({ family: fc.constant('openai' as const), data: token, id: token.map((id) => `rs_${id}`) }),
  fc.record({ family: fc.constant('anthropic' as const), data: token, kind: fc.constant('redacted' as const) }),
);
const signedThought = opaque.chain((blob): fc.Arbitrary<AnswerPart> =>
  blob.kind === 'redacted'
    ? fc.constant({ type: 'reasoning', opaque: blob })
    : text.map((said) => ({ type: 'reasoning', text: said, opaque: blob })),
);
const call = fc
  .record({
    id: token.map((id) => `call_${id}`),
    name: fc.constantFrom('weather', 'search'),
    arguments: fc.dictionary(token, fc.oneof(fc.integer(), text, fc.boolean()), { maxKeys: 3 }),
    opaque: fc.option(
      token.map((data): Opaque => ({ family: 'google', data })),
      { nil: undefined },
    ),
  })
  .map(({ id, name, arguments: args, opaque: blob }): AnswerPart => {
    const called: AnswerPart = { type: 'toolCall', id, name, arguments: JSON.stringify(args) };
    return blob ? { ...called, opaque: blob } : called;
  });
const count = fc.nat({ max: 1000 });
const usage = fc
  .record({ plain: count, cachedInputTokens: count, cacheWriteTokens: count, said: count, reasoningTokens: count })
  .map(({ plain, said, ...rest }): Usage => ({
    ...rest,
    inputTokens: plain + rest.cachedInputTokens + rest.cacheWriteTokens,
    outputTokens: said + rest.reasoningTokens,
  }));

/** In the order in which models answer: they think, speak and call. */
const answers = fc
  .record({
    thoughts: fc.array(signedThought, { maxLength: 2 }),
    unsigned: fc.option(text, { nil: undefined }),
    said: fc.option(text, { nil: undefined }),
    calls: fc.uniqueArray(call, { maxLength: 3, selector: (part) => (part as { id: string }).id }),
    usage,
    cut: fc.boolean(),
  })
  .map(({ thoughts, unsigned, said, calls, usage: used, cut }): CompleteAnswer => {
    const parts: AnswerPart[] = [
      ...thoughts,
      ...(unsigned === undefined ? [] : [{ type: 'reasoning' as const, text: unsigned }]),
      ...(said === undefined ? [] : [{ type: 'text' as const, text: said }]),
      ...calls,
    ];
    const finish = cut ? 'length' : calls.length > 0 ? 'toolCalls' : 'stop';
    return joined({ parts, finish, usage: used });
  });

/** Pieces of the same kind that follow each other are one part. */
function joined(answer: Answer): CompleteAnswer {
  const builder = new AnswerBuilder();
  for (const event of eventsOf(answer)) builder.add(event);
  const { answer: whole } = builder;
  return {
    ...(whole ?? answer),
    usage: whole?.usage ?? noUsage,
  };
}

/** The same answer in smaller pieces, and with its usage known from the start. */
function* pieces(answer: CompleteAnswer, size: number): Generator<ModelEvent> {
  for (const event of eventsOf(answer)) {
    if (event.type === 'start') yield { ...event, usage: answer.usage };
    else if (event.type === 'toolArguments') {
      for (const piece of cutUp(event.arguments, size)) yield { ...event, arguments: piece };
    } else if (event.type === 'text' || event.type === 'reasoning') {
      const { opaque: blob, ...bare } = event;
      for (const piece of cutUp(event.text ?? '', size)) yield { ...bare, text: piece };
      if (blob) yield { type: event.type, text: '', opaque: blob };
    } else yield event;
  }
}

const cutUp = (whole: string, size: number): string[] =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, index) => whole.slice(index * size, (index + 1) * size));

function streamOf(events: Iterable<ModelEvent>, encoder: AnswerEncoder): Response {
  const told = [...events].map((event) => encoder.event(event)).join('');
  return new Response(told, { headers: { 'content-type': 'text/event-stream' } });
}

/** Without what clients add of their own; that nothing was said may be told as null or as an empty text. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(bare);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(
    ([name, one]) =>
      one !== null &&
      one !== undefined &&
      !(name === 'content' && one === '') &&
      !['parsed', 'parsed_arguments', 'output_text', 'reasoning_content', 'output_parsed'].includes(name) &&
      !name.startsWith('_'),
  );
  return Object.fromEntries(entries.map(([name, one]) => [name, bare(one)]));
}

describe.each(Object.entries(dialects))('%s', (_name, dialect) => {
  test('whatever a model answers, its stream comes to the same as the whole', async () => {
    await fc.assert(
      fc.asyncProperty(answers, fc.integer({ min: 1, max: 9 }), async (answer, size) => {
        const heard = await dialect.heard(streamOf(pieces(answer, size), dialect.encoder()));
        expect(bare(heard)).toEqual(bare(dialect.whole(answer)));
      }),
      { numRuns: 60 },
    );
  });

  test('calls whose pieces come mixed up are heard one by one', async () => {
    const events: ModelEvent[] = [
      { type: 'start', usage: noUsage },
      { type: 'text', text: 'Wait.' },
      { type: 'toolCall', index: 0, id: 'a', name: 'weather' },
      { type: 'toolArguments', index: 0, arguments: '{"city"' },
      { type: 'toolCall', index: 1, id: 'b', name: 'search' },
      { type: 'toolArguments', index: 1, arguments: '{"q":' },
      { type: 'toolArguments', index: 0, arguments: ':"Bern"}' },
      { type: 'toolArguments', index: 1, arguments: '1}' },
      { type: 'usage', usage: noUsage },
      { type: 'finish', reason: 'toolCalls' },
    ];
    const builder = new AnswerBuilder();
    for (const event of events) builder.add(event);
    const { answer } = builder;
    if (!answer) throw new Error('no answer');
    const heard = await dialect.heard(streamOf(events, dialect.encoder()));
    expect(bare(heard)).toEqual(bare(dialect.whole({ ...answer, usage: noUsage })));
  });

  test('a model that refuses is heard to', async () => {
    const answer: CompleteAnswer = {
      parts: [{ type: 'refusal', text: 'I will not.' }],
      finish: 'stop',
      usage: noUsage,
    };
    const heard = await dialect.heard(streamOf(pieces(answer, 3), dialect.encoder()));
    expect(bare(heard)).toEqual(bare(dialect.whole(answer)));
    expect(JSON.stringify(heard)).toContain('I will not.');
  });

  test('whatever a provider wants handed back comes back with the call that it led to', () => {
    fc.assert(
      fc.property(answers, (answer) => {
        const request = dialect.back(answer);
        const parts = request.messages.filter(({ role }) => role === 'assistant').flatMap((one) => one.parts);
        const lastCall = answer.parts.findLastIndex(({ type }) => type === 'toolCall');
        expect(signed(parts)).toEqual(signed(answer.parts.slice(0, lastCall + 1)));
        expect(request.messages.at(-1)).toEqual({ role: 'user', parts: [{ type: 'text', text: 'next' }] });
      }),
    );
  });
});

/** Calls, and thoughts that go before them with a signature. */
function signed(parts: readonly Part[]): unknown[] {
  const last = parts.findLastIndex(({ type }) => type === 'toolCall');
  return parts.slice(0, last + 1).flatMap((part): object[] => {
    if (part.type === 'toolCall') return [{ ...part, arguments: JSON.parse(part.arguments) as unknown }];
    return part.type === 'reasoning' && part.opaque ? [{ text: part.text ?? '', opaque: part.opaque }] : [];
  });
}

// The official client of each door, under one roof: a conversation with tools, whole or streamed.
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI, type Content, type Part } from '@google/genai';
import type OpenAI from 'openai';
import { collect, type Bed } from './bed.ts';

export interface Turn {
  text: string;
  thoughts: string;
  calls: { name: string; arguments: unknown }[];
  finish: string | null | undefined;
  /** All input and all output. */
  usage: { input: number; output: number };
  /** Gives the results of all calls back, in order. */
  answer(results: string[], streamed: boolean): Promise<Turn>;
}

export interface DoorClient {
  /** How the dialect says that the model was done, was cut, or called tools. */
  finish: { stop: string; length: string; toolCalls: string };
  ask(prompt: string, streamed: boolean): Promise<Turn>;
}

export const weather = {
  name: 'weather',
  description: 'The weather of a city.',
  schema: { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] },
};
const { name, description, schema } = weather;

export const anthropicOf = ({ url }: Bed): Anthropic =>
  new Anthropic({ baseURL: url, apiKey: 'token-a', maxRetries: 0 });

export const googleOf = ({ url }: Bed, token = 'token-a'): GoogleGenAI =>
  new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: url } });

function messagesClient(bed: Bed): DoorClient {
  const client = anthropicOf(bed);
  const say = async (messages: Anthropic.MessageParam[], streamed: boolean): Promise<Turn> => {
    const body = {
      model: 'm',
      max_tokens: 1000,
      messages,
      tools: [{ name, description, input_schema: schema }],
    };
    const message = streamed ? await client.messages.stream(body).finalMessage() : await client.messages.create(body);
    const calls = message.content.flatMap((block) => (block.type === 'tool_use' ? [block] : []));
    const { usage } = message;
    return {
      text: message.content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
      thoughts: message.content.map((block) => (block.type === 'thinking' ? block.thinking : '')).join(''),
      calls: calls.map((call) => ({ name: call.name, arguments: call.input })),
      finish: message.stop_reason,
      usage: {
        input: usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
        output: usage.output_tokens,
      },
      answer: (results, again) =>
        say(
          [
            ...messages,
            { role: 'assistant', content: message.content },
            {
              role: 'user',
              content: calls.map(({ id }, index) => ({
                type: 'tool_result' as const,
                tool_use_id: id,
                content: results[index] ?? '',
              })),
            },
          ],
          again,
        ),
    };
  };
  return {
    finish: { stop: 'end_turn', length: 'max_tokens', toolCalls: 'tool_use' },
    ask: (prompt, streamed) => say([{ role: 'user', content: prompt }], streamed),
  };
}

function responsesClient(bed: Bed): DoorClient {
  const client = bed.client();
  const say = async (input: OpenAI.Responses.ResponseInputItem[], streamed: boolean): Promise<Turn> => {
    const body = {
      model: 'm',
      input,
      tools: [{ type: 'function' as const, name, description, parameters: schema, strict: false }],
    };
    const response = streamed
      ? await client.responses.stream(body).finalResponse()
      : await client.responses.create(body);
    const calls = response.output.flatMap((item) => (item.type === 'function_call' ? [item] : []));
    const thoughts = response.output.flatMap((item) => (item.type === 'reasoning' ? item.summary : []));
    return {
      text: response.output_text,
      thoughts: thoughts.map(({ text }) => text).join(''),
      calls: calls.map((call) => ({ name: call.name, arguments: JSON.parse(call.arguments) as unknown })),
      finish: calls.length > 0 ? 'function_call' : (response.incomplete_details?.reason ?? response.status),
      usage: { input: response.usage?.input_tokens ?? -1, output: response.usage?.output_tokens ?? -1 },
      answer: (results, again) =>
        say(
          [
            ...input,
            ...(response.output as OpenAI.Responses.ResponseInputItem[]),
            ...calls.map(({ call_id }, index) => ({
              type: 'function_call_output' as const,
              call_id,
              output: results[index] ?? '',
            })),
          ],
          again,
        ),
    };
  };
  return {
    finish: { stop: 'completed', length: 'max_output_tokens', toolCalls: 'function_call' },
    ask: (prompt, streamed) => say([{ role: 'user', content: prompt }], streamed),
  };
}

function contentClient(bed: Bed): DoorClient {
  const client = googleOf(bed);
  const say = async (contents: Content[], streamed: boolean): Promise<Turn> => {
    const body = {
      model: 'm',
      contents,
      config: { tools: [{ functionDeclarations: [{ name, description, parametersJsonSchema: schema }] }] },
    };
    const pieces = streamed
      ? await collect(await client.models.generateContentStream(body))
      : [await client.models.generateContent(body)];
    const parts = pieces.flatMap(({ candidates }) => candidates?.[0]?.content?.parts ?? []);
    const calls = parts.flatMap(({ functionCall }) => (functionCall ? [functionCall] : []));
    const counts = pieces.at(-1)?.usageMetadata;
    const textOf = (some: Part[]): string => some.map(({ text }) => text ?? '').join('');
    return {
      text: textOf(parts.filter(({ thought }) => !thought)),
      thoughts: textOf(parts.filter(({ thought }) => thought)),
      calls: calls.map((call) => ({ name: call.name ?? '', arguments: call.args })),
      finish: calls.length > 0 ? 'call' : pieces.at(-1)?.candidates?.[0]?.finishReason,
      usage: {
        input: counts?.promptTokenCount ?? -1,
        output: (counts?.candidatesTokenCount ?? -1) + (counts?.thoughtsTokenCount ?? 0),
      },
      answer: (results, again) =>
        say(
          [
            ...contents,
            { role: 'model', parts },
            {
              role: 'user',
              parts: calls.map((call, index) => ({
                functionResponse: {
                  ...(call.id === undefined ? {} : { id: call.id }),
                  name: call.name ?? '',
                  response: { output: results[index] ?? '' },
                },
              })),
            },
          ],
          again,
        ),
    };
  };
  return {
    finish: { stop: 'STOP', length: 'MAX_TOKENS', toolCalls: 'call' },
    ask: (prompt, streamed) => say([{ role: 'user', parts: [{ text: prompt }] }], streamed),
  };
}

export const doorClients: readonly (readonly [string, (bed: Bed) => DoorClient])[] = [
  ['messages', messagesClient],
  ['responses', responsesClient],
  ['generateContent', contentClient],
];

// What providers and their imitators sent, and what it comes to.
import type { ProviderModel } from '@kadre/crds';
import type { Answer } from '../../conversation/answer.ts';

export const sse = (...events: object[]): string =>
  events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
export const named = (...events: { type: string; [field: string]: unknown }[]): string =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('');
export const chunk = (delta: object, finish: string | null = null, more: object = {}): object => ({
  id: 'c1',
  model: 'x-1',
  choices: [{ index: 0, delta, finish_reason: finish }],
  ...more,
});
const piece = (parts: object[], more: object = {}): object => ({
  candidates: [{ content: { role: 'model', parts }, index: 0 }],
  modelVersion: 'x-1',
  responseId: 'c1',
  ...more,
});
export const base = { id: 'c1', model: 'x-1' };
export const nothingCached = { cachedInputTokens: 0, cacheWriteTokens: 0 };

export type ProviderName = Exclude<ProviderModel['spec']['provider'], 'simulated'>;

export interface Recorded {
  name: string;
  provider: ProviderName;
  spec?: Partial<ProviderModel['spec']>;
  text: string;
  answer: Answer;
}

export const recorded: Recorded[] = [
  {
    name: 'OpenAI: text, usage in a chunk without choices',
    provider: 'openai',
    text: `${sse(
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: 'Grüße aus ' }),
      chunk({ content: '東京 👩‍🚀' }),
      chunk({}, 'stop'),
      {
        id: 'c1',
        choices: [],
        usage: {
          prompt_tokens: 90,
          completion_tokens: 30,
          prompt_tokens_details: { cached_tokens: 40 },
          completion_tokens_details: { reasoning_tokens: 10 },
        },
      },
    )}data: [DONE]\n\n`,
    answer: {
      ...base,
      parts: [{ type: 'text', text: 'Grüße aus 東京 👩‍🚀' }],
      finish: 'stop',
      usage: { inputTokens: 90, cachedInputTokens: 40, cacheWriteTokens: 0, outputTokens: 30, reasoningTokens: 10 },
    },
  },
  {
    name: 'OpenAI: two calls, their arguments in fragments',
    provider: 'openai',
    text: sse(
      chunk({
        role: 'assistant',
        content: null,
        tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'one', arguments: '' } }],
      }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '{"x":' } }] }),
      chunk({
        tool_calls: [
          { index: 0, function: { arguments: '"ü"}' } },
          { index: 1, id: 'b', type: 'function', function: { name: 'two', arguments: '{}' } },
        ],
      }),
      chunk({}, 'tool_calls'),
    ),
    answer: {
      ...base,
      parts: [
        { type: 'toolCall', id: 'a', name: 'one', arguments: '{"x":"ü"}' },
        { type: 'toolCall', id: 'b', name: 'two', arguments: '{}' },
      ],
      finish: 'toolCalls',
    },
  },
  {
    name: 'a server that gives all calls the same index, and says stop',
    provider: 'openaiCompatible',
    text: sse(
      chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'one', arguments: '{}' } }] }),
      chunk({ tool_calls: [{ index: 0, id: 'b', function: { name: 'two', arguments: '{"y":1}' } }] }, 'stop'),
    ),
    answer: {
      ...base,
      parts: [
        { type: 'toolCall', id: 'a', name: 'one', arguments: '{}' },
        { type: 'toolCall', id: 'b', name: 'two', arguments: '{"y":1}' },
      ],
      finish: 'toolCalls',
    },
  },
  {
    name: 'a server that repeats the id with each fragment, thinks aloud, and has strange chunks',
    provider: 'openaiCompatible',
    text: sse(
      { id: 'c1', model: 'x-1', choices: [], prompt_filter_results: [] },
      chunk({ reasoning_content: 'hm, ' }),
      chunk({ reasoning: 'yes' }),
      { ...base, choices: null, usage: null },
      chunk({ content: 'Well.' }, ''),
      chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'one' } }] }),
      chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'one', arguments: '{}' } }] }),
      chunk({}, 'tool_calls'),
    ),
    answer: {
      ...base,
      parts: [
        { type: 'reasoning', text: 'hm, yes' },
        { type: 'text', text: 'Well.' },
        { type: 'toolCall', id: 'a', name: 'one', arguments: '{}' },
      ],
      finish: 'toolCalls',
    },
  },
  {
    name: 'a server that does not care for streams',
    provider: 'openaiCompatible',
    text: JSON.stringify({ ...base, choices: [{ message: { content: 'All at once.' }, finish_reason: 'length' }] }),
    answer: { ...base, parts: [{ type: 'text', text: 'All at once.' }], finish: 'length' },
  },
  {
    name: "OpenAI's Responses: a thought, a text and a call, and events that nobody knows",
    provider: 'openai',
    spec: { api: 'responses' },
    text: named(
      { type: 'response.created', response: base },
      { type: 'response.in_progress' },
      { type: 'response.output_item.added', output_index: 0, item: { type: 'reasoning', id: 'rs_1' } },
      { type: 'response.reasoning_summary_part.added' },
      { type: 'response.reasoning_summary_text.delta', delta: 'first' },
      { type: 'response.reasoning_summary_part.added' },
      { type: 'response.reasoning_summary_text.delta', delta: 'second' },
      {
        type: 'response.output_item.done',
        output_index: 0,
        item: { type: 'reasoning', id: 'rs_1', encrypted_content: 'gAAA' },
      },
      { type: 'response.output_text.delta', delta: 'Let me look.' },
      { type: 'response.some_news.delta', delta: 'x' },
      {
        type: 'response.output_item.added',
        output_index: 2,
        item: { type: 'function_call', call_id: 'a', name: 'one' },
      },
      { type: 'response.function_call_arguments.delta', output_index: 2, delta: '{"x":' },
      { type: 'response.function_call_arguments.delta', output_index: 2, delta: '1}' },
      {
        type: 'response.completed',
        response: {
          ...base,
          status: 'completed',
          usage: { input_tokens: 5, output_tokens: 7, output_tokens_details: { reasoning_tokens: 3 } },
        },
      },
    ),
    answer: {
      ...base,
      parts: [
        { type: 'reasoning', text: 'first\n\nsecond', opaque: { family: 'openai', data: 'gAAA', id: 'rs_1' } },
        { type: 'text', text: 'Let me look.' },
        { type: 'toolCall', id: 'a', name: 'one', arguments: '{"x":1}' },
      ],
      finish: 'toolCalls',
      usage: { ...nothingCached, inputTokens: 5, outputTokens: 7, reasoningTokens: 3 },
    },
  },
  {
    name: "OpenAI's Responses: an answer that was cut, and a refusal",
    provider: 'openai',
    spec: { api: 'responses' },
    text: named(
      { type: 'response.created', response: base },
      { type: 'response.refusal.delta', delta: 'No.' },
      {
        type: 'response.incomplete',
        response: { ...base, status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } },
      },
    ),
    answer: { ...base, parts: [{ type: 'refusal', text: 'No.' }], finish: 'length' },
  },
  {
    name: 'Anthropic: thoughts, hidden thoughts, text and calls, with and without arguments',
    provider: 'anthropic',
    text: named(
      {
        type: 'message_start',
        message: {
          ...base,
          usage: {
            input_tokens: 10,
            cache_read_input_tokens: 100,
            cache_creation_input_tokens: 50,
            cache_creation: { ephemeral_1h_input_tokens: 20 },
            output_tokens: 1,
          },
        },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
      { type: 'ping' },
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'Let me ' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'see.' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'signature_delta', signature: 'EqQB' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'content_block_start', index: 1, content_block: { type: 'redacted_thinking', data: 'EmwK' } },
      { type: 'content_block_stop', index: 1 },
      { type: 'content_block_start', index: 2, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 2, delta: { type: 'text_delta', text: 'I look.' } },
      { type: 'content_block_delta', index: 2, delta: { type: 'news_delta', text: '?' } },
      { type: 'content_block_stop', index: 2 },
      {
        type: 'content_block_start',
        index: 3,
        content_block: { type: 'tool_use', id: 'toolu_1', name: 'one', input: {} },
      },
      { type: 'content_block_delta', index: 3, delta: { type: 'input_json_delta', partial_json: '' } },
      { type: 'content_block_delta', index: 3, delta: { type: 'input_json_delta', partial_json: '{"x": "' } },
      { type: 'content_block_delta', index: 3, delta: { type: 'input_json_delta', partial_json: '東"}' } },
      { type: 'content_block_stop', index: 3 },
      {
        type: 'content_block_start',
        index: 4,
        content_block: { type: 'tool_use', id: 'toolu_2', name: 'two', input: {} },
      },
      { type: 'content_block_stop', index: 4 },
      { type: 'content_block_start', index: 5, content_block: { type: 'news' } },
      {
        type: 'message_delta',
        delta: { stop_reason: 'tool_use', stop_sequence: null },
        usage: { output_tokens: 40, output_tokens_details: { thinking_tokens: 9 } },
      },
      { type: 'message_stop' },
    ),
    answer: {
      ...base,
      parts: [
        { type: 'reasoning', text: 'Let me see.', opaque: { family: 'anthropic', data: 'EqQB' } },
        { type: 'reasoning', opaque: { family: 'anthropic', data: 'EmwK', kind: 'redacted' } },
        { type: 'text', text: 'I look.' },
        { type: 'toolCall', id: 'toolu_1', name: 'one', arguments: '{"x": "東"}' },
        { type: 'toolCall', id: 'toolu_2', name: 'two', arguments: '{}' },
      ],
      finish: 'toolCalls',
      usage: {
        inputTokens: 160,
        cachedInputTokens: 100,
        cacheWriteTokens: 50,
        longCacheWriteTokens: 20,
        outputTokens: 40,
        reasoningTokens: 9,
      },
    },
  },
  {
    name: 'Anthropic: a stop sequence',
    provider: 'anthropic',
    text: named(
      { type: 'message_start', message: base },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: 'one ' } },
      { type: 'message_delta', delta: { stop_reason: 'stop_sequence', stop_sequence: 'two' } },
    ),
    answer: { ...base, parts: [{ type: 'text', text: 'one ' }], finish: 'stop', stopSequence: 'two' },
  },
  {
    name: 'Google: thoughts, signed calls, and usage that grows',
    provider: 'google',
    text: sse(
      piece([{ text: 'Let me see.', thought: true }], { usageMetadata: { promptTokenCount: 20 } }),
      piece([{ text: 'I ' }, { text: 'look.' }]),
      piece([
        { functionCall: { id: 'f1', name: 'one', args: { x: 'ü' } }, thoughtSignature: 'CiQB' },
        { functionCall: { id: 'f2', name: 'two' } },
      ]),
      {
        ...piece([]),
        candidates: [{ finishReason: 'STOP' }],
        usageMetadata: {
          promptTokenCount: 20,
          cachedContentTokenCount: 5,
          candidatesTokenCount: 8,
          thoughtsTokenCount: 4,
        },
      },
    ),
    answer: {
      ...base,
      parts: [
        { type: 'reasoning', text: 'Let me see.' },
        { type: 'text', text: 'I look.' },
        { type: 'toolCall', id: 'f1', name: 'one', arguments: '{"x":"ü"}', opaque: { family: 'google', data: 'CiQB' } },
        { type: 'toolCall', id: 'f2', name: 'two', arguments: '{}' },
      ],
      finish: 'toolCalls',
      usage: { inputTokens: 20, cachedInputTokens: 5, cacheWriteTokens: 0, outputTokens: 12, reasoningTokens: 4 },
    },
  },
  {
    name: 'Google: a text whose signature comes at its end',
    provider: 'google',
    text: sse(
      piece([{ text: 'Done' }]),
      piece([{ text: '', thoughtSignature: 'CiQB' }], {
        candidates: [{ content: { parts: [{ text: '', thoughtSignature: 'CiQB' }] }, finishReason: 'MAX_TOKENS' }],
      }),
    ),
    answer: {
      ...base,
      parts: [{ type: 'text', text: 'Done', opaque: { family: 'google', data: 'CiQB' } }],
      finish: 'length',
    },
  },
  {
    name: 'Google: a prompt that is blocked',
    provider: 'google',
    text: sse({ promptFeedback: { blockReason: 'SAFETY' }, modelVersion: 'x-1', responseId: 'c1' }),
    answer: { ...base, parts: [], finish: 'contentFilter' },
  },
];

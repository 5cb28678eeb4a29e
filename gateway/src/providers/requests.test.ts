// What is sent to each provider, from one conversation.
import { describe, expect, test } from '@jest/globals';
import type { ModelSpec, ProviderModel } from '@kadre/crds';
import type { Message, ModelRequest } from '../conversation/request.ts';
import { messagesBody } from './anthropic/request.ts';
import { createCatalog } from './catalog.ts';
import { contentBody } from './google/request.ts';
import { chatBody } from './openai/chat-request.ts';
import { responsesBody } from './openai/responses-request.ts';
import { defaultLimits, systemClock } from '../options.ts';

const sent = (body: object): Record<string, unknown> => JSON.parse(JSON.stringify(body)) as Record<string, unknown>;
const text = (words: string) => ({ type: 'text' as const, text: words });

/** A turn with tools: a signed thought of Anthropic, one of OpenAI, a signed call of Google, two results. */
const messages: Message[] = [
  { role: 'system', parts: [text('Be brief.')] },
  { role: 'user', parts: [text('Weather?'), { type: 'image', source: { data: 'iVBO', mediaType: 'image/png' } }] },
  {
    role: 'assistant',
    parts: [
      { type: 'reasoning', text: 'hm', opaque: { family: 'anthropic', data: 'EqQB' } },
      { type: 'reasoning', opaque: { family: 'anthropic', data: 'EmwK', kind: 'redacted' } },
      { type: 'reasoning', text: 'mh', opaque: { family: 'openai', data: 'gAAA', id: 'rs_1' } },
      { type: 'reasoning', text: 'thoughts that nobody wants back' },
      text('I look.'),
      {
        type: 'toolCall',
        id: 'functions.weather:0',
        name: 'weather',
        arguments: '{"city":"Bern"}',
        opaque: { family: 'google', data: 'CiQB' },
      },
      { type: 'toolCall', id: 'b', name: 'clock', arguments: '' },
    ],
  },
  {
    role: 'tool',
    parts: [
      { type: 'toolResult', id: 'functions.weather:0', parts: [text('{"sky":"blue"}')] },
      { type: 'toolResult', id: 'b', parts: [text('broken')], isError: true },
    ],
  },
  { role: 'user', parts: [text('And?')] },
];
const tools = [
  { name: 'weather', description: 'Looks.', parameters: { type: 'object', properties: {} } },
  { name: 'clock' },
];
const request: ModelRequest = { model: 'm', messages, tools, sampling: { maxTokens: 100 } };

describe('a turn with tools', () => {
  test("keeps Anthropic's thoughts in their places, and results before words", () => {
    expect(sent(messagesBody(request, 'claude-opus-5', false))).toEqual({
      model: 'claude-opus-5',
      max_tokens: 100,
      system: 'Be brief.',
      tools: [
        { name: 'weather', description: 'Looks.', input_schema: { type: 'object', properties: {} } },
        { name: 'clock', input_schema: { type: 'object', properties: {} } },
      ],
      tool_choice: { type: 'auto' },
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Weather?' },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBO' } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: 'EqQB' },
            { type: 'redacted_thinking', data: 'EmwK' },
            { type: 'text', text: 'I look.' },
            { type: 'tool_use', id: 'functions_weather_0', name: 'weather', input: { city: 'Bern' } },
            { type: 'tool_use', id: 'b', name: 'clock', input: {} },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'functions_weather_0', content: '{"sky":"blue"}' },
            { type: 'tool_result', tool_use_id: 'b', content: 'broken', is_error: true },
            { type: 'text', text: 'And?' },
          ],
        },
      ],
    });
  });

  test("keeps Google's signatures at their calls, and names the tools whose results come", () => {
    expect(sent(contentBody(request, 'gemini-3-pro'))).toEqual({
      systemInstruction: { parts: [{ text: 'Be brief.' }] },
      tools: [
        {
          functionDeclarations: [
            { name: 'weather', description: 'Looks.', parametersJsonSchema: { type: 'object', properties: {} } },
            { name: 'clock' },
          ],
        },
      ],
      generationConfig: { maxOutputTokens: 100 },
      contents: [
        { role: 'user', parts: [{ text: 'Weather?' }, { inlineData: { mimeType: 'image/png', data: 'iVBO' } }] },
        {
          role: 'model',
          parts: [
            { text: 'I look.' },
            {
              functionCall: { id: 'functions.weather:0', name: 'weather', args: { city: 'Bern' } },
              thoughtSignature: 'CiQB',
            },
            { functionCall: { id: 'b', name: 'clock', args: {} } },
          ],
        },
        {
          role: 'user',
          parts: [
            { functionResponse: { id: 'functions.weather:0', name: 'weather', response: { sky: 'blue' } } },
            { functionResponse: { id: 'b', name: 'clock', response: { error: 'broken' } } },
            { text: 'And?' },
          ],
        },
      ],
    });
  });

  test("keeps OpenAI's encrypted thoughts right before what they led to", () => {
    const { input, ...settings } = sent(responsesBody(request, 'gpt-5', true));
    expect(settings).toMatchObject({
      store: false,
      stream: true,
      include: ['reasoning.encrypted_content'],
      max_output_tokens: 100,
      tools: [
        { type: 'function', name: 'weather', strict: false },
        { type: 'function', name: 'clock', strict: false },
      ],
    });
    expect((input as object[]).slice(2)).toEqual([
      { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'mh' }], encrypted_content: 'gAAA' },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'I look.' }] },
      { type: 'function_call', call_id: 'functions.weather:0', name: 'weather', arguments: '{"city":"Bern"}' },
      { type: 'function_call', call_id: 'b', name: 'clock', arguments: '{}' },
      { type: 'function_call_output', call_id: 'functions.weather:0', output: '{"sky":"blue"}' },
      { type: 'function_call_output', call_id: 'b', output: 'Error: broken' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'And?' }] },
    ]);
  });

  test('leaves all of them out in chat completions, which have no place for them', () => {
    const body = sent(chatBody(request, 'gpt-5', true, { maxTokens: 'max_completion_tokens' }));
    expect(body).toMatchObject({ stream_options: { include_usage: true }, max_completion_tokens: 100 });
    expect((body.messages as object[]).slice(2)).toEqual([
      {
        role: 'assistant',
        content: 'I look.',
        tool_calls: [
          { id: 'functions.weather:0', type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } },
          { id: 'b', type: 'function', function: { name: 'clock', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'functions.weather:0', content: '{"sky":"blue"}' },
      { role: 'tool', tool_call_id: 'b', content: 'broken' },
      { role: 'user', content: 'And?' },
    ]);
  });

  test('of somebody else is told apart for Gemini 3, which refuses calls without a signature', () => {
    const foreign: Message[] = [
      {
        role: 'assistant',
        parts: [
          { type: 'toolCall', id: 'a', name: 'x', arguments: '{}' },
          { type: 'toolCall', id: 'b', name: 'x', arguments: '{}' },
        ],
      },
    ];
    const partsFor = (model: string): unknown => sent(contentBody({ ...request, messages: foreign }, model)).contents;
    expect(partsFor('gemini-3-pro')).toMatchObject([
      { parts: [{ thoughtSignature: 'skip_thought_signature_validator' }, {}] },
    ]);
    expect(JSON.stringify(partsFor('gemini-2.5-pro'))).not.toContain('thoughtSignature');
  });

  test('with arguments that are no JSON is passed on in words', () => {
    const wrong: Message[] = [
      { role: 'assistant', parts: [{ type: 'toolCall', id: 'a', name: 'x', arguments: '{"half' }] },
    ];
    expect(sent(messagesBody({ ...request, messages: wrong }, 'x', false)).messages).toMatchObject([
      { content: [{ input: { invalid_arguments: '{"half' } }] },
    ]);
  });
});

describe('the choice of tools', () => {
  test.each([
    ['auto', { type: 'auto' }, undefined, 'auto', 'auto'],
    ['none', { type: 'none' }, { mode: 'NONE' }, 'none', 'none'],
    ['required', { type: 'any' }, { mode: 'ANY' }, 'required', 'required'],
    [
      { name: 'clock' },
      { type: 'tool', name: 'clock' },
      { mode: 'ANY', allowedFunctionNames: ['clock'] },
      { type: 'function', function: { name: 'clock' } },
      { type: 'function', name: 'clock' },
    ],
  ] as const)('%j', (toolChoice, anthropic, google, chat, responses) => {
    const chosen = { ...request, toolChoice };
    expect(sent(messagesBody(chosen, 'x', false)).tool_choice).toEqual(anthropic);
    expect(sent(contentBody(chosen, 'x')).toolConfig).toEqual(google && { functionCallingConfig: google });
    expect(sent(chatBody(chosen, 'x', false, { maxTokens: 'max_tokens' })).tool_choice).toEqual(chat);
    expect(sent(responsesBody(chosen, 'x', false)).tool_choice).toEqual(responses);
  });

  test('one call at a time', () => {
    const alone = { ...request, parallelToolCalls: false };
    expect(sent(messagesBody(alone, 'x', false)).tool_choice).toEqual({
      type: 'auto',
      disable_parallel_tool_use: true,
    });
    expect(sent(responsesBody(alone, 'x', false)).parallel_tool_calls).toBe(false);
  });
});

describe('how hard a model thinks', () => {
  const anthropicFor = (model: string, reasoning: ModelRequest['reasoning'], maxTokens?: number): object => {
    const sampling = maxTokens === undefined ? {} : { maxTokens };
    const asked = { model: 'm', messages: [], sampling, ...(reasoning && { reasoning }) };
    const { max_tokens, thinking, output_config } = sent(messagesBody(asked, model, false));
    return { max_tokens, thinking, output_config };
  };
  test.each<[string, object, object]>([
    ['says nothing', anthropicFor('claude-opus-5', undefined), { max_tokens: 16_384 }],
    [
      'not at all',
      anthropicFor('claude-opus-5', { effort: 'none' }),
      { max_tokens: 16_384, thinking: { type: 'disabled' } },
    ],
    [
      'in words, for new models',
      anthropicFor('claude-opus-5', { effort: 'high', visible: true }),
      { max_tokens: 16_384, thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'high' } },
    ],
    [
      'in the word that comes nearest',
      anthropicFor('claude-opus-5', { effort: 'minimal' }),
      { max_tokens: 16_384, thinking: { type: 'adaptive' }, output_config: { effort: 'low' } },
    ],
    [
      'in tokens, for old models, on top of the answer',
      anthropicFor('claude-sonnet-4-5', { effort: 'low' }),
      { max_tokens: 20_480, thinking: { type: 'enabled', budget_tokens: 4_096 } },
    ],
    [
      'in tokens, within the limit of the caller',
      anthropicFor('claude-sonnet-4-5', { budgetTokens: 8_000 }, 4_000),
      { max_tokens: 4_000, thinking: { type: 'enabled', budget_tokens: 3_999 } },
    ],
    [
      'not at all where there is no room',
      anthropicFor('claude-sonnet-4-5', { budgetTokens: 8_000 }, 500),
      { max_tokens: 500 },
    ],
  ])('Anthropic: %s', (_name, body, expected) => {
    expect(body).toEqual(expected);
  });

  test.each<[string, string, NonNullable<ModelRequest['reasoning']>, object]>([
    ['a level for new models', 'gemini-3-pro', { effort: 'max' }, { thinkingLevel: 'HIGH' }],
    [
      'tokens for old models',
      'gemini-2.5-pro',
      { effort: 'none', visible: true },
      { includeThoughts: true, thinkingBudget: 0 },
    ],
    ['tokens where they are asked for', 'gemini-3-pro', { budgetTokens: 77 }, { thinkingBudget: 77 }],
  ])('Google: %s', (_name, model, reasoning, expected) => {
    const { generationConfig } = sent(contentBody({ model: 'm', messages: [], sampling: {}, reasoning }, model));
    expect(generationConfig).toEqual({ thinkingConfig: expected });
  });

  test('OpenAI: in words, also where tokens are asked for', () => {
    const asked = { model: 'm', messages: [], sampling: {}, reasoning: { budgetTokens: 5_000, visible: true } };
    expect(sent(responsesBody(asked, 'x', false)).reasoning).toEqual({ effort: 'medium', summary: 'auto' });
    expect(sent(chatBody(asked, 'x', false, { maxTokens: 'max_tokens' })).reasoning_effort).toBe('medium');
  });
});

describe("hints for Anthropic's cache", () => {
  const hinted = (ttl: '5m' | '1h') => ({ ...text('long'), cache: { ttl } });
  test('stand at the parts, for five minutes or an hour', () => {
    const {
      system,
      messages: turns,
      tools: offered,
    } = sent(
      messagesBody(
        {
          ...request,
          tools: [{ name: 'x', cache: { ttl: '1h' } }],
          messages: [
            { role: 'system', parts: [text('a'), hinted('1h')] },
            { role: 'user', parts: [hinted('5m')] },
          ],
        },
        'x',
        false,
      ),
    );
    const hour = { type: 'ephemeral', ttl: '1h' };
    expect(offered).toMatchObject([{ cache_control: hour }]);
    expect(system).toEqual([text('a'), { ...text('long'), cache_control: hour }]);
    expect(turns).toEqual([{ role: 'user', content: [{ ...text('long'), cache_control: { type: 'ephemeral' } }] }]);
  });

  test('beyond four, the last four count', () => {
    const parts = Array.from({ length: 6 }, () => hinted('5m'));
    const body = JSON.stringify(messagesBody({ ...request, messages: [{ role: 'user', parts }] }, 'x', false));
    expect(body.split('cache_control')).toHaveLength(5);
    expect(body.lastIndexOf('cache_control')).toBeGreaterThan(body.lastIndexOf('long'));
  });
});

describe('what a provider cannot do', () => {
  const catalog = createCatalog(systemClock, defaultLimits);
  const check = (spec: Partial<ModelSpec>, asked: Partial<ModelRequest>): void => {
    const provider = spec.provider ?? 'openai';
    const model = { metadata: { name: 'm' }, spec: { model: 'x', ...spec, provider } } as ProviderModel;
    catalog.provider(provider).check({ model: 'm', messages: [], sampling: {}, ...asked }, model);
  };
  const fields = (dialect: 'chat-completions' | 'messages', own: object): Partial<ModelRequest> => ({
    native: { dialect, fields: { ...own }, hints: { user: 'u' } },
  });

  test.each<[string, Partial<ModelSpec>, Partial<ModelRequest>, RegExp]>([
    [
      'fields of another dialect',
      { provider: 'anthropic' },
      fields('chat-completions', { logit_bias: {} }),
      /`logit_bias`.*Anthropic/,
    ],
    [
      'fields of another dialect',
      { provider: 'openai' },
      fields('messages', { container: 'x' }),
      /`container`.*OpenAI/,
    ],
    ['settings that it does not have', { provider: 'anthropic' }, { sampling: { seed: 7 } }, /`seed`.*Anthropic/],
    [
      'settings that one of its protocols does not have',
      { provider: 'openai', api: 'responses' },
      { sampling: { stop: ['x'] } },
      /`stop`.*Responses/,
    ],
    [
      'parts of another dialect',
      { provider: 'google' },
      {
        messages: [
          { role: 'user', parts: [{ type: 'native', dialect: 'chat-completions', value: { type: 'input_audio' } }] },
        ],
      },
      /input_audio/,
    ],
  ])('is refused by name: %s', (_name, spec, asked, message) => {
    expect(() => check(spec, asked)).toThrow(
      expect.objectContaining({ status: 400, message: expect.stringMatching(message) }),
    );
  });

  test.each<[string, Partial<ModelSpec>, Partial<ModelRequest>]>([
    ['hints', { provider: 'anthropic' }, fields('chat-completions', {})],
    ['fields of its own dialect', { provider: 'openaiCompatible' }, fields('chat-completions', { guided_json: {} })],
    ['settings that say nothing', { provider: 'anthropic' }, { sampling: { frequencyPenalty: 0, stop: [] } }],
    [
      'what only the other protocol has',
      { provider: 'openai' },
      { ...fields('messages', {}), sampling: { stop: ['x'] } },
    ],
  ])('does not matter: %s', (_name, spec, asked) => {
    expect(() => check(spec, asked)).not.toThrow();
  });
});

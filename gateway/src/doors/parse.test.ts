// Bodies of requests come from anybody: whatever they hold, a door reads them or says what is wrong with them.
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GatewayError } from '../errors.ts';
import { parseChat } from './chat-completions/request.ts';
import { parseContent } from './generate-content/request.ts';
import { parseMessages } from './messages/request.ts';
import { parseResponses } from './responses/request.ts';

const schema = { type: 'object', properties: { a: { type: 'string', nullable: true } } };
const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };

const doors: [string, (body: unknown) => unknown, object][] = [
  [
    'chat-completions',
    parseChat,
    {
      model: 'm',
      messages: [
        { role: 'developer', content: 'Be brief.' },
        { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }] },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c', content: 'x' },
      ],
      tools: [{ type: 'function', function: { name: 'f', parameters: schema } }],
      tool_choice: { type: 'function', function: { name: 'f' } },
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
      reasoning: { effort: 'low' },
      stream_options: { include_usage: true },
    },
  ],
  [
    'messages',
    parseMessages,
    {
      model: 'm',
      max_tokens: 10,
      system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral', ttl: '1h' } }],
      messages: [
        { role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } }] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: 'abc' },
            { type: 'redacted_thinking', data: 'abc' },
            { type: 'tool_use', id: 'c', name: 'f', input: {} },
          ],
        },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: [{ type: 'text', text: 'x' }] }] },
      ],
      tools: [{ name: 'f', input_schema: schema }],
      tool_choice: { type: 'tool', name: 'f' },
      thinking: { type: 'enabled', budget_tokens: 2000 },
      output_config: { effort: 'low', format: { type: 'json_schema', schema } },
    },
  ],
  [
    'responses',
    parseResponses,
    {
      model: 'm',
      instructions: 'Be brief.',
      input: [
        { role: 'user', content: [{ type: 'input_image', image_url: 'https://example.com/a.png' }] },
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'hm' }], encrypted_content: 'abc' },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: [{ type: 'input_text', text: 'x' }] },
      ],
      tools: [{ type: 'function', name: 'f', parameters: schema, strict: true }],
      tool_choice: { type: 'function', name: 'f' },
      text: { format: { type: 'json_schema', name: 'a', schema }, verbosity: 'low' },
      reasoning: { effort: 'low', summary: 'auto' },
      include: ['reasoning.encrypted_content'],
      metadata: { a: 'b' },
    },
  ],
  [
    'generate-content',
    (body) => parseContent(body, 'm'),
    {
      systemInstruction: { parts: [{ text: 'Be brief.' }] },
      contents: [
        { role: 'user', parts: [{ inlineData: { mimeType: 'image/png', data: 'abc' } }, { text: 'x' }] },
        { role: 'model', parts: [{ functionCall: { name: 'f', args: {} }, thoughtSignature: 'abc' }] },
        { role: 'user', parts: [{ functionResponse: { name: 'f', response: { output: 'x' } } }] },
      ],
      tools: [{ functionDeclarations: [{ name: 'f', parameters: schema }] }],
      toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['f'] } },
      safetySettings: [{ category: 'x', threshold: 'OFF' }],
      generationConfig: {
        responseMimeType: 'application/json',
        responseSchema: schema,
        thinkingConfig: { thinkingBudget: -1, includeThoughts: true },
      },
    },
  ],
];

type Path = (string | number)[];

function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const inner = Object.entries(value).flatMap(([name, one]) =>
    pathsIn(one, [...path, Array.isArray(value) ? Number(name) : name]),
  );
  return [path, ...inner];
}

function replaced(value: unknown, [first, ...rest]: Path, by: unknown): unknown {
  if (first === undefined) return by;
  if (Array.isArray(value)) return value.map((one, at) => (at === first ? replaced(one, rest, by) : (one as unknown)));
  return { ...(value as object), [first]: replaced((value as Record<string, unknown>)[first], rest, by) };
}

describe.each(doors)('%s', (_name, parse, body) => {
  test('reads a body that has everything', () => {
    expect(() => parse(body)).not.toThrow();
  });

  test('whatever stands in the place of one of its fields is read, or refused as the mistake of the caller', () => {
    const rubbish = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom('', 'x'.repeat(300), -1, 1.5, {}, [], [null]),
    );
    fc.assert(
      fc.property(fc.constantFrom(...pathsIn(body)), rubbish, (path, value) => {
        try {
          parse(replaced(body, path, value));
        } catch (error) {
          expect(error).toBeInstanceOf(GatewayError);
          expect((error as GatewayError).status).toBe(400);
        }
      }),
      { numRuns: 1500 },
    );
  });

  test('what it reads is not changed', () => {
    const before = structuredClone(body);
    parse(body);
    expect(body).toEqual(before);
  });
});

test('a schema that goes on for ever is refused', () => {
  let nested: object = { type: 'STRING' };
  for (let depth = 0; depth < 5000; depth += 1) nested = { type: 'ARRAY', items: nested };
  const body = {
    contents: [{ parts: [{ text: 'x' }] }],
    generationConfig: { responseMimeType: 'application/json', responseSchema: nested },
  };
  expect(() => parseContent(body, 'm')).toThrow(/must not be nested deeper than 64 levels/);
});

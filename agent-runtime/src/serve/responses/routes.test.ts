import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import OpenAI from 'openai';
import {
  chunk,
  gatewayError,
  say,
  sendJson,
  serveAgent,
  startGateway,
  startStream,
  testAgent,
} from '../../testing/harness.ts';
import type { ServedAgent, TestGateway } from '../../testing/harness.ts';
import { toolGateway, text } from '../../testing/tool-gateway.ts';

const ask = { model: 'greeter', input: 'Hi' };
const schema = { type: 'object', properties: { sum: { type: 'number' } }, required: ['sum'] };
const add = { type: 'function' as const, name: 'mine', parameters: schema, strict: true };

let gateway: TestGateway;
const served: ServedAgent[] = [];
let client: OpenAI;
let worker: OpenAI;
const clientOf = async (agent: Record<string, unknown> = {}): Promise<OpenAI> => {
  const one = await serveAgent({ gatewayUrl: gateway.url, agent: testAgent(agent) });
  served.push(one);
  return new OpenAI({ baseURL: `${one.url}/v1`, apiKey: 'none', maxRetries: 0 });
};
beforeAll(async () => {
  gateway = await startGateway();
  [client, worker] = [await clientOf(), await clientOf({ tools: true })];
});
afterEach(() => {
  gateway.handler = say('Hello from the model.');
  gateway.requests.length = 0;
});
afterAll(async () => {
  await Promise.all(served.map(({ runtime }) => runtime.shutdown(0)));
  await gateway.close();
});

const asked = () => gateway.requests.at(-1)?.body;
const eventsOf = async (stream: AsyncIterable<OpenAI.Responses.ResponseStreamEvent>) => {
  const events: OpenAI.Responses.ResponseStreamEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
};

describe('an agent seen through Responses of the official OpenAI client', () => {
  test('answers at once, under its own name', async () => {
    const answer = await client.responses.create({ ...ask, metadata: { topic: 'greeting' } });
    expect(answer).toMatchObject({ object: 'response', status: 'completed', model: 'greeter', store: false });
    expect(answer.output_text).toBe('Hello from the model.');
    expect(answer.metadata).toEqual({ topic: 'greeting' });
    expect(answer.usage).toMatchObject({ input_tokens: 7, output_tokens: 5, total_tokens: 12 });
  });

  test('says on the chat wire what it was asked', async () => {
    await client.responses.create({
      model: 'greeter',
      instructions: 'In French.',
      input: [
        { role: 'developer', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'What is it?' },
            { type: 'input_image', image_url: 'https://a.example/x.png', detail: 'low' },
          ],
        },
        { type: 'function_call', call_id: 'c1', name: 'mine', arguments: '{}' },
        { type: 'function_call', call_id: 'c2', name: 'mine', arguments: '{"a":1}' },
        { type: 'function_call_output', call_id: 'c1', output: '3' },
        { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: '4' }] },
      ],
      tools: [add],
      tool_choice: { type: 'function', name: 'mine' },
      text: { format: { type: 'json_schema', name: 'sum', schema }, verbosity: 'low' },
      temperature: 0.2,
      max_output_tokens: 99,
      reasoning: { effort: 'low' },
      safety_identifier: 'ann',
    });
    const call = (id: string, args: string) => ({ id, type: 'function', function: { name: 'mine', arguments: args } });
    expect(asked()).toMatchObject({
      model: 'smart',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'system', content: 'In French.' },
        { role: 'system', content: 'Be brief.' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: { url: 'https://a.example/x.png', detail: 'low' } },
          ],
        },
        { role: 'assistant', content: null, tool_calls: [call('c1', '{}'), call('c2', '{"a":1}')] },
        { role: 'tool', tool_call_id: 'c1', content: '3' },
        { role: 'tool', tool_call_id: 'c2', content: '4' },
      ],
      tools: [{ type: 'function', function: { name: 'mine', parameters: schema, strict: true } }],
      tool_choice: { type: 'function', function: { name: 'mine' } },
      response_format: { type: 'json_schema', json_schema: { name: 'sum', schema } },
      verbosity: 'low',
      temperature: 0.2,
      max_completion_tokens: 99,
      reasoning_effort: 'low',
    });
  });

  test('streams events in their order, with usage at the end', async () => {
    const events = await eventsOf(await client.responses.create({ ...ask, stream: true }));
    const types = events.map(({ type }) => type);
    expect(types.filter((type, index) => type !== types[index - 1])).toEqual([
      'response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added',
      'response.output_text.delta', 'response.output_text.done', 'response.content_part.done', 'response.output_item.done',
      'response.completed',
    ]); // prettier-ignore
    expect(events.map(({ sequence_number: number }) => number)).toEqual(events.map((_, index) => index));
    expect(events.at(-1)).toMatchObject({ response: { usage: { total_tokens: 12 }, status: 'completed' } });
    const helped = await client.responses.stream(ask).finalResponse();
    expect(helped.output_text).toBe('Hello from the model.');
  });

  test('its own tools show as calls of a server, and what it writes beside them is no answer', async () => {
    const script = {
      model: [
        {
          text: 'I add. ',
          calls: [
            ['add', '{"a":1}'],
            ['look', '{}'],
          ] as [string, string][],
        },
        { text: 'It is three.' },
      ],
    };
    const failing = {
      call: ({ name }: { name: string }) =>
        name === 'look' ? { ...text('no'), isError: true, reason: 'ToolFailed' as const } : text('3'),
    };
    gateway.handler = toolGateway({ ...script, ...failing });
    const events = await eventsOf(await worker.responses.create({ ...ask, stream: true }));
    const output = [
      {
        type: 'mcp_call',
        name: 'add',
        server_label: 'greeter',
        arguments: '{"a":1}',
        status: 'completed',
        error: null,
        output: null,
      },
      { type: 'mcp_call', name: 'look', status: 'failed', error: { content: [{ text: 'ToolFailed' }] } },
      { type: 'message', status: 'completed', content: [{ text: 'It is three.' }] },
    ];
    expect(events.at(-1)).toMatchObject({
      type: 'response.completed',
      response: { output, usage: { total_tokens: 24 } },
    });
    const deltas = events.flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []));
    expect(deltas.join('')).toBe('I add. It is three.');
    expect(events.filter(({ type }) => type === 'response.mcp_call.completed')).toHaveLength(1);
    gateway.handler = toolGateway({ ...script, ...failing });
    const whole = await worker.responses.create(ask);
    expect(whole).toMatchObject({ output, output_text: 'It is three.' });
    gateway.handler = toolGateway({ ...script, ...failing });
    expect((await worker.responses.stream(ask).finalResponse()).output_text).toBe('It is three.');
    // What came back can be sent on as it is.
    await worker.responses.create({
      model: 'greeter',
      input: [...whole.output, { role: 'user', content: 'And then?' }] as OpenAI.Responses.ResponseInput,
    });
    expect(asked()?.messages?.map(({ content }) => content)).toEqual(['Be kind.', 'It is three.', 'And then?']);
  });

  test.each([false, true])('calls of tools of the caller come back to it (streamed: %s)', async (stream) => {
    gateway.handler = toolGateway({ model: [{ calls: [['mine', '{"a":1}']] }] });
    const params = { ...ask, tools: [add] };
    const answer = stream
      ? await worker.responses.stream(params).finalResponse()
      : await worker.responses.create(params);
    expect(answer.output).toMatchObject([
      { type: 'function_call', name: 'mine', arguments: '{"a":1}', status: 'completed' },
    ]);
  });

  test('parses structured output, and one of its own schema has no other', async () => {
    gateway.handler = say('{"sum":3}');
    const format = { type: 'json_schema' as const, name: 'sum', schema };
    const parsed = await client.responses.parse({ ...ask, text: { format } });
    expect(parsed.output_parsed).toEqual({ sum: 3 });
    const strict = await clientOf({ output: { schema } });
    expect((await strict.responses.create(ask)).output_text).toBe('{"sum":3}');
    const events = await eventsOf(await strict.responses.create({ ...ask, stream: true }));
    expect(events.at(-1)).toMatchObject({ response: { output: [{ content: [{ text: '{"sum":3}' }] }] } });
    await expect(strict.responses.create({ ...ask, text: { format } })).rejects.toMatchObject({ status: 400 });
  });

  test.each([
    ['another model', { model: 'other' }, 404, 'model_not_found'],
    ['a field that nobody knows', { surprise: 1 }, 400, 'InvalidInput'],
    ['no input', { input: undefined }, 400, 'InvalidInput'],
    ['nothing but what the agent did', { input: [{ type: 'reasoning', id: 'r', summary: [] }] }, 400, 'InvalidInput'],
    ['an item of another kind', { input: [{ type: 'item_reference', id: 'x' }] }, 400, 'InvalidInput'],
    ['a tool of the provider', { tools: [{ type: 'web_search' }] }, 400, 'InvalidInput'],
    ['work in the background', { background: true }, 400, 'InvalidInput'],
    ['memory that it has not', { previous_response_id: 'resp_1' }, 400, 'unsupported_value'],
    ['a conversation that it does not keep', { conversation: 'conv_1' }, 400, 'unsupported_value'],
    ['an answer that is kept', { store: true }, 400, 'unsupported_value'],
  ])('refuses %s', async (_what, change, status, code) => {
    const request = client.responses.create({ ...ask, ...change } as OpenAI.Responses.ResponseCreateParamsNonStreaming);
    await expect(request).rejects.toMatchObject({ status, code });
    expect(gateway.requests).toEqual([]);
  });

  test('without memory nothing can be read again, and it says why', async () => {
    await expect(client.responses.retrieve(`resp_${'0'.repeat(32)}`)).rejects.toMatchObject({
      status: 404,
      message: expect.stringContaining('spec.memory') as unknown,
    });
    await expect(client.conversations.create()).rejects.toMatchObject({ status: 400 });
    await expect(client.conversations.delete('conv_1')).rejects.toMatchObject({ status: 404 });
  });

  test('failures have the shape of OpenAI, before the stream and in it', async () => {
    gateway.handler = (_request, response) => sendJson(response, 429, gatewayError('RateLimited', 'slowly'));
    for (const stream of [false, true])
      await expect(client.responses.create({ ...ask, stream })).rejects.toMatchObject({
        status: 429,
        code: 'RateLimited',
      });
    gateway.handler = (_request, response) => {
      startStream(response);
      response.write(chunk({ content: 'Hel' }), () => response.destroy());
    };
    const events: string[] = [];
    const reading = (async () => {
      for await (const { type } of await client.responses.create({ ...ask, stream: true })) events.push(type);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'ModelUnavailable' });
    expect(events.slice(-2)).toEqual(['response.output_item.done', 'response.failed']);
  });

  test('an answer that was cut says so', async () => {
    gateway.handler = (_request, response) => {
      startStream(response);
      response.end(chunk({ content: 'Hel' }) + chunk({}, 'length') + 'data: [DONE]\n\n');
    };
    expect(await client.responses.create(ask)).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
    });
  });
});

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ToolActivity } from '@kadre/crds';
import { AgentFailure } from '../failure.ts';
import { eventually, gatewayError, sendJson, startGateway, testAgent, type TestGateway } from '../testing/harness.ts';
import { text, toolGateway, type Said, type Scripted } from '../testing/tool-gateway.ts';
import { createAgent, type Agent, type Piece, type Turn } from './agent.ts';
import { createGatewayClient, type GatewayClient } from './gateway-client.ts';

let gateway: TestGateway;
let client: GatewayClient;
beforeEach(async () => {
  gateway = await startGateway();
  client = createGatewayClient({
    gatewayUrl: gateway.url,
    token: () => Promise.resolve('pod-token'),
    sleep: () => Promise.resolve(),
  });
});
afterEach(async () => {
  await client.close();
  await gateway.close();
});

const agentWith = (more: Record<string, unknown> = {}): Promise<Agent> =>
  createAgent(testAgent({ tools: true, ...more }), { gateway: client });
const limits = (more: Record<string, unknown>) => ({ limits: { turns: 16, durationMs: 60_000, ...more } });
const turnOf = (more: Partial<Turn> = {}): Turn => ({
  messages: [{ role: 'user', content: 'Go.' }],
  signal: new AbortController().signal,
  ...more,
});
const ask = async (scripted: Scripted, more: Record<string, unknown> = {}, turn: Partial<Turn> = {}) => {
  gateway.handler = toolGateway(scripted);
  return (await agentWith(more)).answer(turnOf(turn));
};
const piecesOf = async (scripted: Scripted, more: Record<string, unknown> = {}): Promise<Piece[]> => {
  gateway.handler = toolGateway(scripted);
  const pieces: Piece[] = [];
  for await (const piece of (await agentWith(more)).pieces(turnOf(), { restarts: true })) pieces.push(piece);
  return pieces;
};
const modelCalls = () => gateway.requests.filter(({ path }) => path === '/v1/chat/completions');
const toolCalls = () => gateway.requests.filter(({ path }) => path === '/v1/tools/call');
/** What tools have said to the model, as it was told last. */
const told = () =>
  (modelCalls().at(-1)?.body.messages ?? []).filter(({ role }) => role === 'tool').map(({ content }) => content);

const once = (...calls: [string, string][]): Said[] => [{ calls }, { text: 'The end.' }];

describe('model, tools, model', () => {
  test('the model is offered the tools, its calls are made, and it is told their results in their order', async () => {
    const call: Scripted['call'] = ({ name, arguments: args }) => text(`${name} of ${args}`);
    const { output, usage } = await ask({ model: once(['add', '{"a":1}'], ['look', '{}']), call });
    expect(output).toBe('The end.');
    expect(usage).toEqual({ inputTokens: 14, outputTokens: 10 });
    const [first, second] = modelCalls();
    const offered = (first?.body['tools'] as { function: object }[]).map((tool) => tool.function);
    expect(offered).toEqual([
      { name: 'add', description: 'Does add.', parameters: { type: 'object' } },
      { name: 'look', description: 'Does look.', parameters: { type: 'object' } },
    ]);
    expect(second?.body.messages?.slice(2)).toEqual([
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'call-1-0~k1~signature', type: 'function', function: { name: 'add', arguments: '{"a":1}' } },
          { id: 'call-1-1~k1~signature', type: 'function', function: { name: 'look', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'call-1-0~k1~signature', content: 'add of {"a":1}' },
      { role: 'tool', tool_call_id: 'call-1-1~k1~signature', content: 'look of {}' },
    ]);
  });

  test('streamed or not, the model is asked the same', async () => {
    const model = [{ text: 'I look.', calls: [['look', '{"q":"é"}']] }, { text: 'Done.' }] satisfies Said[];
    await ask({ model });
    const whole = modelCalls().map(({ body }) => body.messages);
    gateway.requests.length = 0;
    await piecesOf({ model });
    expect(modelCalls().map(({ body }) => body.messages)).toEqual(whole);
  });

  test('calls of a step are numbered in the order of the answers', async () => {
    const model: Said[] = [
      {
        calls: [
          ['add', '1'],
          ['add', '2'],
          ['look', ''],
        ],
      },
      { calls: [['add', '3']] },
      { text: 'x' },
    ];
    await ask({ model }, {}, { stepToken: 'step-secret', traceparent: '00-aa-bb-01' });
    const numbers = gateway.requests.map(({ path, headers, body }) => [path, headers['kadre-call'], body['arguments']]);
    expect(numbers[0]).toEqual(['/v1/tools', undefined, undefined]);
    const calls = numbers.slice(1).sort((a, b) => Number(a[1]) - Number(b[1]));
    expect(calls).toEqual([
      ['/v1/chat/completions', '1', undefined],
      ['/v1/tools/call', '2', '1'],
      ['/v1/tools/call', '3', '2'],
      ['/v1/tools/call', '4', '{}'],
      ['/v1/chat/completions', '5', undefined],
      ['/v1/tools/call', '6', '3'],
      ['/v1/chat/completions', '7', undefined],
    ]);
    for (const { headers } of gateway.requests)
      expect(headers).toMatchObject({ 'kadre-step': 'step-secret', traceparent: '00-aa-bb-01' });
  });

  test('calls of one answer are made side by side', async () => {
    let waiting = 0;
    let goOn = (): void => undefined;
    const all = new Promise<void>((resolve) => (goOn = resolve));
    const handler = toolGateway({ model: once(['add', '1'], ['add', '2'], ['look', '3']) });
    gateway.handler = async (request, response) => {
      if (request.path === '/v1/tools/call') {
        if ((waiting += 1) === 3) goOn();
        await all;
      }
      await handler(request, response);
    };
    expect((await (await agentWith()).answer(turnOf())).output).toBe('The end.');
  });

  test('failures and refusals are told to the model, which goes on', async () => {
    const call: Scripted['call'] = ({ name }) => ({
      ...text(name === 'add' ? 'a rule forbids it' : 'no such page'),
      isError: true,
      reason: name === 'add' ? 'ToolRefused' : 'ToolFailed',
    });
    expect((await ask({ model: once(['add', '{}'], ['look', '{}']), call })).output).toBe('The end.');
    expect(told()).toEqual(['Error: a rule forbids it', 'Error: no such page']);
  });

  test('images reach the model as images, if they are not too large', async () => {
    const image = (data: string) => ({ type: 'image' as const, data, mediaType: 'image/png' });
    const call: Scripted['call'] = ({ name }) => ({
      content: name === 'add' ? [{ type: 'text', text: 'see' }, image('AAAA')] : [image('A'.repeat(1_048_577))],
    });
    await ask({ model: once(['add', '{}'], ['look', '{}']), call });
    const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
    expect(told()).toEqual([
      [{ type: 'text', text: 'see' }, picture],
      '[An image is left out: it is larger than 1048576 bytes.]',
    ]);
  });

  test('what is asked after untrusted words says so, outside of steps', async () => {
    const model: Said[] = [{ calls: [['look', '1']] }, { calls: [['add', '2']] }, { text: 'x' }];
    const call: Scripted['call'] = () => ({ trust: 'untrusted' });
    await ask({ model, call });
    await ask({ model, call }, {}, { stepToken: 's' });
    expect(toolCalls().map(({ body }) => body['tainted'])).toEqual([false, true, undefined, undefined]);
  });

  test('an agent without tools asks for none, and leaves calls to its caller', async () => {
    const { completion } = await ask({ model: once(['theirs', '{}']) }, { tools: false });
    expect(completion.choices[0]?.message.tool_calls).toHaveLength(1);
    expect(gateway.requests.map(({ path }) => path)).toEqual(['/v1/chat/completions']);
  });
});

describe('limits', () => {
  test('an agent that has no answer after so many turns fails, and its last calls are not made', async () => {
    let count = 0;
    const model = (): Said => ({ calls: [['add', String((count += 1))]] });
    await expect(ask({ model }, limits({ turns: 3 }))).rejects.toMatchObject({
      reason: 'LimitExceeded',
      message: expect.stringContaining('asked its model 3 times'),
    });
    expect([modelCalls().length, toolCalls().length]).toEqual([3, 2]);
  });

  test('time that runs out stops what is under way', async () => {
    let hungUp = 0;
    const handler = toolGateway({ model: once(['add', '1'], ['look', '2']) });
    gateway.handler = (request, response) => {
      if (request.path !== '/v1/tools/call') return handler(request, response);
      response.once('close', () => (hungUp += 1));
    };
    const asking = (await agentWith(limits({ durationMs: 200 }))).answer(turnOf());
    await expect(asking).rejects.toMatchObject({
      reason: 'LimitExceeded',
      message: expect.stringContaining('limits.duration'),
    });
    await eventually(() => hungUp === 2);
  });

  test('a limit of months is one, too', async () => {
    expect((await ask({ model: once(['add', '1']) }, limits({ durationMs: 1e10 }))).output).toBe('The end.');
  });

  test.each<[string, [string, string][][], number]>([
    ['the same call', [[['add', '{"a": 1}']], [['add', '{"a":1}']]], 2],
    [
      'the same calls in one answer',
      [
        [
          ['add', '1'],
          ['look', '2'],
        ],
      ],
      2,
    ],
    ['two calls in turns', [[['add', '1']], [['look', '1']]], 5],
  ])('%s, a third time in a row, ends the task; the model is told before', async (_name, rounds, made) => {
    let turn = 0;
    const model = (): Said => ({ calls: rounds[turn++ % rounds.length] ?? [] });
    await expect(ask({ model })).rejects.toMatchObject({
      reason: 'LimitExceeded',
      message: expect.stringContaining('third time in a row'),
    });
    expect(modelCalls()).toHaveLength(made + 1);
    expect(told().at(-1)).toMatch(/^Note: you made the same call before\./);
  });

  test('calls that differ, or are not in a row, may go on', async () => {
    const args = ['1', '2', '1', '1', '2', '2', '1'];
    const model: Said[] = [...args.map((arg): Said => ({ calls: [['add', arg]] })), { text: 'Done.' }];
    expect((await ask({ model })).output).toBe('Done.');
  });

  test('more than 32 calls of one answer are refused, and so are impossible names', async () => {
    const many = Array.from({ length: 33 }, (_, index): [string, string] => ['add', String(index)]);
    await ask({ model: once(['x'.repeat(200), '{}'], ...many) }, {}, { stepToken: 's' });
    expect(toolCalls()).toHaveLength(32);
    expect(told()).toHaveLength(34);
    expect(told()[0]).toBe('Error: There is no tool of that name.');
    expect(told()[33]).toContain('Error: Not done: only the first 32 calls');
    expect(modelCalls().map(({ headers }) => headers['kadre-call'])).toEqual(['1', '34']);
  });

  test('a long result is cut, and says so', async () => {
    const call: Scripted['call'] = () => text(`${'x'.repeat(2047)}😀${'y'.repeat(5000)}`);
    await ask({ model: once(['look', '{}']), call }, limits({ contextCharacters: 8192 }));
    expect(told()[0]).toBe(
      `${'x'.repeat(2047)}\n[Cut: these are the first 2047 of 7049 characters. Ask for less, or for another part.]`,
    );
  });

  test('a conversation that grows too long loses its oldest results, and tells of it', async () => {
    const rounds = Array.from({ length: 6 }, (_, index): Said => ({ calls: [['look', String(index)]] }));
    const call: Scripted['call'] = ({ arguments: args }) => text(args.repeat(2000));
    const pieces = await piecesOf({ model: [...rounds, { text: 'x' }], call }, limits({ contextCharacters: 8192 }));
    const dropped = pieces.flatMap((piece) => ('compaction' in piece ? [piece.compaction] : []));
    expect(dropped).toEqual([{ results: 3, characters: 6000 }]);
    expect(told().map((said) => said.slice(0, 30))).toEqual([
      ...Array.from({ length: 3 }, () => '[Left out to make room: a resu'),
      ...['3', '4', '5'].map((digit) => digit.repeat(30)),
    ]);
  });
});

describe('an answer in a format', () => {
  const output = { schema: { type: 'object', required: ['score'], properties: { score: { type: 'integer' } } } };

  test('is checked when the loop has come to it, and mended without tools', async () => {
    const model: Said[] = [{ calls: [['look', '{}']] }, { text: '{"points": 3}' }, { text: '{"score": 3}' }];
    const answer = await ask({ model }, { output }, { stepToken: 's' });
    expect(answer).toMatchObject({ output: { score: 3 }, usage: { inputTokens: 21, outputTokens: 15 } });
    const calls = modelCalls().map(({ headers, body }) => [headers['kadre-call'], body['tool_choice']]);
    expect(calls).toEqual([
      ['1', undefined],
      ['3', undefined],
      ['4', 'none'],
    ]);
    for (const { body } of modelCalls()) expect(body).toHaveProperty('response_format');
  });

  test('tells of the tools while it is found', async () => {
    const pieces = await piecesOf({ model: [{ calls: [['look', '{}']] }, { text: '{"score": 3}' }] }, { output });
    expect(pieces.map((piece) => Object.keys(piece)[0])).toEqual(['activity', 'activity', 'answer']);
  });
});

describe('pieces of an answer', () => {
  test('are the text as it is written, calls as they begin and end, and the text anew after them', async () => {
    const model: Said[] = [
      { text: 'I look.', calls: [['look', `{"q":"${'x'.repeat(2000)}"}`]] },
      { text: 'It rains.' },
    ];
    const call: Scripted['call'] = () => ({ isError: true, reason: 'ToolFailed' });
    const pieces = await piecesOf({ model, call });
    const shown = `{"q":"${'x'.repeat(1018)}`;
    expect(pieces).toEqual([
      { delta: 'I ' },
      { delta: 'look.' },
      { restart: true },
      { activity: { call: 2, tool: 'look', phase: 'Running', arguments: shown } satisfies ToolActivity },
      { activity: { call: 2, tool: 'look', phase: 'Failed', reason: 'ToolFailed' } satisfies ToolActivity },
      { delta: 'It ' },
      { delta: 'rains.' },
      {
        answer: expect.objectContaining({
          output: 'It rains.',
          usage: { inputTokens: 14, outputTokens: 10 },
        }) as unknown,
      },
    ]);
  });
});

describe('what goes wrong', () => {
  const answering = (status: number, code: string, times: number) => {
    let left = times;
    const handler = toolGateway({ model: once(['add', '{}']) });
    gateway.handler = (request, response) =>
      request.path === '/v1/tools/call' && left-- > 0
        ? sendJson(response, status, gatewayError(code, 'because'))
        : handler(request, response);
  };
  const hangingUp = () => {
    let left = 1;
    const handler = toolGateway({ model: once(['add', '{}']) });
    gateway.handler = (request, response) => {
      if (request.path === '/v1/tools/call' && left-- > 0) response.socket?.destroy();
      else void handler(request, response);
    };
  };

  test('a gateway that is not ready is asked again', async () => {
    answering(503, 'ModelUnavailable', 2);
    expect((await (await agentWith()).answer(turnOf())).output).toBe('The end.');
    expect(toolCalls()).toHaveLength(3);
  });

  test('a connection that breaks in a step is begun again under the same number', async () => {
    hangingUp();
    expect((await (await agentWith()).answer(turnOf({ stepToken: 's' }))).output).toBe('The end.');
    expect(toolCalls().map(({ headers }) => headers['kadre-call'])).toEqual(['2', '2']);
  });

  test('a connection that breaks outside of a step is not, because the tool may have done its work', async () => {
    hangingUp();
    expect((await (await agentWith()).answer(turnOf())).output).toBe('The end.');
    expect(toolCalls()).toHaveLength(1);
    expect(told()[0]).toContain('It is not known whether the call took effect');
  });

  test.each([
    [409, 'JournalDiverged', 'JournalDiverged'],
    [403, 'LimitExceeded', 'LimitExceeded'],
    [401, 'unknown', 'Unauthorized'],
    [404, 'not_found', 'ToolFailed'],
  ])('status %d of the tools ends the loop', async (status, code, reason) => {
    answering(status, code, 1);
    const asking = (await agentWith()).answer(turnOf());
    await expect(asking).rejects.toMatchObject({ reason, message: 'because' });
    expect(modelCalls()).toHaveLength(1);
  });

  test('one call that cannot go on stops the others', async () => {
    let hungUp = false;
    const handler = toolGateway({ model: once(['add', '{}'], ['look', '{}']) });
    gateway.handler = async (request, response) => {
      if (request.path !== '/v1/tools/call') return handler(request, response);
      if (request.body['name'] === 'look') return void response.once('close', () => (hungUp = true));
      await eventually(() => toolCalls().length === 2);
      sendJson(response, 409, gatewayError('JournalDiverged'));
    };
    await expect((await agentWith()).answer(turnOf())).rejects.toMatchObject({ reason: 'JournalDiverged' });
    await eventually(() => hungUp);
  });

  test('who cancels stops the tools at once', async () => {
    const controller = new AbortController();
    let hungUp = 0;
    const handler = toolGateway({ model: once(['add', '1'], ['look', '2']) });
    gateway.handler = (request, response) => {
      if (request.path !== '/v1/tools/call') return handler(request, response);
      response.once('close', () => (hungUp += 1));
      if (toolCalls().length === 2) controller.abort(new AgentFailure('Cancelled', 'enough'));
    };
    const asking = (await agentWith()).answer(turnOf({ signal: controller.signal }));
    await expect(asking).rejects.toMatchObject({ reason: 'Cancelled', message: 'enough' });
    await eventually(() => hungUp === 2);
  });

  test.each<[string, string, unknown]>([
    ['a list of tools that is none', '/v1/tools', { tools: 7 }],
    ['a result that is none', '/v1/tools/call', { content: 'x' }],
  ])('%s is ToolFailed', async (_name, path, body) => {
    const handler = toolGateway({ model: once(['add', '{}']) });
    gateway.handler = (request, response) =>
      request.path === path ? sendJson(response, 200, body) : handler(request, response);
    await expect((await agentWith()).answer(turnOf())).rejects.toMatchObject({ reason: 'ToolFailed' });
  });
});

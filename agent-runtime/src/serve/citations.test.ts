// What an answer rests on, as each door tells it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SendMessageRequest, type Task } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { a2aMetadata, type Citation, type ToolResult } from '@kadre/crds';
import OpenAI from 'openai';
import { post, serveAgent, startGateway, testAgent, type ServedAgent, type TestGateway } from '../testing/harness.ts';
import { toolGateway } from '../testing/tool-gateway.ts';

let gateway: TestGateway;
let agent: ServedAgent;
let client: OpenAI;
beforeAll(async () => {
  gateway = await startGateway();
  agent = await serveAgent({ gatewayUrl: gateway.url, agent: testAgent({ tools: true }) });
  client = new OpenAI({ baseURL: `${agent.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(async () => {
  await agent.runtime.shutdown(0);
  await gateway.close();
});

/** As the gateway answers a search: numbers begin with 1 each time. */
function found(...titles: string[]): Partial<ToolResult> {
  const part = (text: string) => ({ type: 'text' as const, text });
  return {
    content: [
      part(`${titles.length} passages [1]`),
      ...titles.map((title, at) => part(`[${at + 1}] ${title}\n> [9] of ${title}`)),
    ],
    trust: 'untrusted',
    citations: titles.map((title, at) => ({
      id: String(at + 1),
      source: 'handbook/pages',
      title,
      url: `https://a.example/${title}`,
      passage: `of ${title}`,
    })),
  };
}
const searches: Record<string, string[]> = {
  '{"query":"x"}': ['refunds', 'gifts'],
  '{"query":"y"}': ['shipping', 'refunds'],
};
const answering = (
  text: string,
  calls: [string, string][] = [
    ['search_handbook', '{"query":"x"}'],
    ['search_handbook', '{"query":"y"}'],
  ],
) =>
  toolGateway({
    model: [{ text: 'I look. ', calls }, { text }],
    tools: ['search_handbook'],
    call: ({ arguments: args }) => found(...(searches[args] ?? [])),
  });
const ask = { model: 'greeter', messages: [{ role: 'user' as const, content: 'Refunds?' }] };
const generated = async () =>
  (await post(`${agent.url}/generate`, { prompt: 'Refunds?' })).body as { citations?: Citation[] };
const TEXT = 'Thirty days [1], two days [3].';

beforeEach(() => {
  gateway.handler = answering(TEXT);
  gateway.requests.length = 0;
});

test('a passage has one number in the whole task, whichever search finds it', async () => {
  await generated();
  const [, , , last] = gateway.requests.filter(
    ({ path }) => path === '/v1/chat/completions' || path === '/v1/tools/call',
  );
  const told = JSON.stringify(last?.body ?? gateway.requests.at(-1)?.body);
  for (const said of ['[1] refunds', '[2] gifts', '[3] shipping', '2 passages [1]', '> [9] of gifts'])
    expect(told).toContain(said);
  expect(told).not.toContain('[2] refunds');
});

describe('what the answer marks is told', () => {
  const urls = ['https://a.example/refunds', 'https://a.example/shipping'];

  test('by /generate', async () => {
    expect((await generated()).citations).toEqual([
      { id: '1', source: 'handbook/pages', title: 'refunds', url: urls[0], passage: 'of refunds' },
      { id: '3', source: 'handbook/pages', title: 'shipping', url: urls[1], passage: 'of shipping' },
    ]);
  });

  const placed = (
    text: string,
    list: { url_citation: { start_index: number; end_index: number; url: string } }[] = [],
  ) => list.map(({ url_citation: { start_index: start, end_index: end, url } }) => [text.slice(start, end), url]);
  const expected = [
    ['[1]', urls[0]],
    ['[3]', urls[1]],
  ];

  test('by chat completions, where it stands', async () => {
    const { choices } = await client.chat.completions.create(ask);
    const { content, annotations } = choices[0]?.message ?? {};
    expect(placed(content ?? '', annotations)).toEqual(expected);
  });

  test('by a stream of chat completions, in all that was written', async () => {
    let text = '';
    const annotations: Parameters<typeof placed>[1] = [];
    for await (const { choices } of await client.chat.completions.create({ ...ask, stream: true })) {
      const delta = (choices[0]?.delta ?? {}) as { content?: string; annotations?: typeof annotations };
      text += delta.content ?? '';
      annotations.push(...(delta.annotations ?? []));
    }
    expect(text).toBe(`I look. \n\n${TEXT}`);
    expect(placed(text, annotations)).toEqual(expected);
  });

  test.each([true, false])('by Responses (streamed: %s)', async (streamed) => {
    const asked = { model: 'greeter', input: 'Refunds?' };
    const response = streamed
      ? await client.responses.stream(asked).finalResponse()
      : await client.responses.create(asked);
    const parts = response.output.flatMap((item) => (item.type === 'message' ? item.content : []));
    const annotations = parts.flatMap((part) => (part.type === 'output_text' ? part.annotations : []));
    expect(annotations).toEqual([
      { type: 'url_citation', start_index: 12, end_index: 15, url: urls[0], title: 'refunds' },
      { type: 'url_citation', start_index: 26, end_index: 29, url: urls[1], title: 'shipping' },
    ]);
  });

  test('by A2A, in the metadata of the artifact', async () => {
    const a2a = await new ClientFactory().createFromUrl(agent.url);
    const message = { messageId: 'm-1', role: 'ROLE_USER', parts: [{ text: 'Refunds?' }] };
    const task = (await a2a.sendMessage(SendMessageRequest.fromJSON({ message }))) as Task;
    const [artifact] = task.artifacts;
    expect(artifact?.metadata?.[a2aMetadata.citations]).toMatchObject([{ id: '1' }, { id: '3' }]);
  });
});

test.each([
  ['all that was read if it marks nothing', 'Thirty days.', ['1', '2', '3']],
  ['all that was read if it marks what there is not', 'Thirty days [7].', ['1', '2', '3']],
  ['several in one mark', 'Thirty days [1, 2].', ['1', '2']],
])('an answer rests on %s', async (_what, text, ids) => {
  gateway.handler = answering(text);
  expect((await generated()).citations?.map(({ id }) => id)).toEqual(ids);
});

test("another agent's answer is told with the numbers of this task, whatever they were in its own", async () => {
  const [two, one] = ['2', '1'].map((id) => ({ id, source: 'handbook/pages', title: `was ${id}` }));
  gateway.handler = toolGateway({
    model: [{ calls: [['ask_writer', '{}']] }, { text: 'So it is [1].' }],
    tools: ['ask_writer'],
    call: () => ({ content: [{ type: 'text', text: 'A [2], B [1; 2], C [9].' }], cited: [two, one] as Citation[] }),
  });
  expect((await generated()).citations).toEqual([{ id: '1', source: 'handbook/pages', title: 'was 2' }]);
  expect(JSON.stringify(gateway.requests.at(-1)?.body)).toContain('A [1], B [2; 1], C [9].');
});

test('an answer for which nothing was read has no citations', async () => {
  gateway.handler = toolGateway({ model: [{ text: 'Hello [1].' }] });
  expect(await generated()).not.toHaveProperty('citations');
  const { choices } = await client.chat.completions.create(ask);
  expect(choices[0]?.message).not.toHaveProperty('annotations');
});

// What each door tells of one answer while it comes: the same story, as far as its wire has words for it.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SendMessageRequest } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import OpenAI from 'openai';
import { serveAgent, startGateway, testAgent, type ServedAgent, type TestGateway } from '../testing/harness.ts';
import { text, toolGateway } from '../testing/tool-gateway.ts';

interface Story {
  /** Pieces of text, as they came. */
  tokens: string[];
  /** What stands in the end. */
  text: string;
  /** Calls of tools: name and how far. */
  tools: string[];
  usage: { input: number; output: number } | undefined;
}

let gateway: TestGateway;
let agent: ServedAgent;
let openai: OpenAI;
beforeAll(async () => {
  gateway = await startGateway();
  agent = await serveAgent({ gatewayUrl: gateway.url, agent: testAgent({ tools: true }) });
  openai = new OpenAI({ baseURL: `${agent.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
beforeEach(() => {
  const calls: [string, string][] = [
    ['add', '{"a":1}'],
    ['look', '{}'],
  ];
  gateway.handler = toolGateway({
    model: [{ text: 'I add it. ', calls }, { text: 'It is three.' }],
    call: ({ name }) => (name === 'look' ? { ...text('no'), isError: true, reason: 'ToolFailed' } : text('3')),
  });
});
afterAll(async () => {
  await agent.runtime.shutdown(0);
  await gateway.close();
});

const empty = (): Story => ({ tokens: [], text: '', tools: [], usage: undefined });

async function generate(): Promise<Story> {
  const story = empty();
  const response = await fetch(`${agent.url}/generate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: 'Add.', stream: true }),
  });
  for (const [, event, data = ''] of (await response.text()).matchAll(/event: (.*)\ndata: (.*)\n\n/g)) {
    const told = JSON.parse(data) as Record<string, unknown>;
    if (event === 'delta') story.tokens.push(String(told['text']));
    if (event === 'tool') story.tools.push(`${String(told['tool'])} ${String(told['phase'])}`);
    if (event !== 'result') continue;
    const usage = told['usage'] as { inputTokens: number; outputTokens: number };
    story.text = String(told['output']);
    story.usage = { input: usage.inputTokens, output: usage.outputTokens };
  }
  return story;
}

async function chatCompletions(): Promise<Story> {
  const story = empty();
  const messages = [{ role: 'user' as const, content: 'Add.' }];
  const options = { stream: true, stream_options: { include_usage: true } } as const;
  for await (const chunk of await openai.chat.completions.create({ model: 'greeter', messages, ...options })) {
    const { choices, usage } = chunk;
    const { 'kadre.dev/tool': tool } = chunk as unknown as Record<string, Record<string, unknown> | undefined>;
    if (tool) story.tools.push(`${String(tool['tool'])} ${String(tool['phase'])}`);
    const content = choices[0]?.delta.content;
    if (content) story.tokens.push(content);
    if (usage) story.usage = { input: usage.prompt_tokens, output: usage.completion_tokens };
  }
  return { ...story, text: story.tokens.join('') };
}

async function responses(): Promise<Story> {
  const story = empty();
  for await (const event of await openai.responses.create({ model: 'greeter', input: 'Add.', stream: true })) {
    if (event.type === 'response.output_text.delta') story.tokens.push(event.delta);
    if (event.type === 'response.output_item.added' && event.item.type === 'mcp_call')
      story.tools.push(`${event.item.name} Running`);
    if (event.type === 'response.output_item.done' && event.item.type === 'mcp_call')
      story.tools.push(`${event.item.name} ${event.item.status === 'completed' ? 'Succeeded' : 'Failed'}`);
    if (event.type !== 'response.completed') continue;
    const { output, usage } = event.response;
    story.text = output
      .flatMap((item) => (item.type === 'message' ? item.content : []))
      .map((part) => ('text' in part ? part.text : ''))
      .join('');
    story.usage = usage && { input: usage.input_tokens, output: usage.output_tokens };
  }
  return story;
}

async function a2a(): Promise<Story> {
  const story = empty();
  const client = await new ClientFactory().createFromUrl(agent.url);
  const message = { messageId: crypto.randomUUID(), role: 'ROLE_USER', parts: [{ text: 'Add.' }] };
  for await (const { payload } of client.sendMessageStream(SendMessageRequest.fromJSON({ message }))) {
    if (payload?.$case === 'artifactUpdate') {
      const said = payload.value.artifact?.parts.map(({ content }) => String(content?.value)).join('') ?? '';
      story.text = payload.value.append ? story.text + said : said;
      if (said !== '') story.tokens.push(said);
    }
    if (payload?.$case !== 'statusUpdate') continue;
    const { 'kadre.dev/tool': tool, 'kadre.dev/usage': usage } = (payload.value.metadata ?? {}) as Record<
      string,
      Record<string, unknown>
    >;
    if (tool) story.tools.push(`${String(tool['tool'])} ${String(tool['phase'])}`);
    if (usage) story.usage = { input: Number(usage['inputTokens']), output: Number(usage['outputTokens']) };
  }
  return story;
}

test("OpenAI's own gathering of a stream passes over what it does not know", async () => {
  const messages = [{ role: 'user' as const, content: 'Add.' }];
  const { choices } = await openai.chat.completions.stream({ model: 'greeter', messages }).finalChatCompletion();
  expect(choices).toMatchObject([{ finish_reason: 'stop', message: { content: 'I add it. \n\nIt is three.' } }]);
  expect(choices[0]?.message.tool_calls).toBeUndefined();
});

describe('one answer, with calls of tools on the way', () => {
  const tools = ['add Running', 'look Running', 'add Succeeded', 'look Failed'];
  const usage = { input: 14, output: 10 };
  test.each([
    ['/generate', generate, { text: 'It is three.', tools }],
    // Nothing can be taken back there.
    ['/v1/chat/completions', chatCompletions, { text: 'I add it. \n\nIt is three.', tools }],
    ['/v1/responses', responses, { text: 'It is three.', tools }],
    ['A2A', a2a, { text: 'It is three.', tools }],
  ])('is told by %s', async (_door, listen, told) => {
    const story = await listen();
    expect({ ...story, tools: story.tools.toSorted() }).toMatchObject({ ...told, tools: told.tools.toSorted(), usage });
    expect(story.tokens.join('')).toMatch(/It is three\.$/);
  });
});

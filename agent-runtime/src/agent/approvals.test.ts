// Calls of tools that people must approve, as the agent that makes them sees it, and whoever has given it the task.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SendMessageRequest, StreamResponse } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { a2aMetadata, CALL_HEADER } from '@kadre/crds';
import { sendJson, serveAgent, startGateway, testAgent, type TestGateway } from '../testing/harness.ts';
import { text, toolGateway, type Said } from '../testing/tool-gateway.ts';
import { createAgent, type Piece } from './agent.ts';
import { createGatewayClient, type GatewayClient } from './gateway-client.ts';

let gateway: TestGateway;
let client: GatewayClient;
/** How often people are still undecided, by the number of the call. */
let undecided: Map<string, number>;
beforeEach(async () => {
  gateway = await startGateway();
  client = createGatewayClient({ gatewayUrl: gateway.url, token: () => Promise.resolve('pod-token') });
});
afterEach(async () => {
  await client.close();
  await gateway.close();
});

function script(calls: [string, string][], pending: Record<string, number>, pause = 0): void {
  const model: Said[] = [{ calls }, { text: 'The end.' }];
  const scripted = toolGateway({ model, call: ({ name }) => text(`${name} is done`) });
  undecided = new Map(Object.entries(pending));
  gateway.handler = (request, response) => {
    const number = String(request.headers[CALL_HEADER]);
    const left = undecided.get(number) ?? 0;
    if (request.path !== '/v1/tools/call' || left === 0) return scripted(request, response);
    undecided.set(number, left - 1);
    setTimeout(() => sendJson(response, 202, { pending: { approval: `approval-${number}` } }), pause);
  };
}

async function pieces(durationMs = 60_000, errand: { stepToken?: string } = { stepToken: 'token' }): Promise<Piece[]> {
  const limits = { turns: 16, durationMs, contextCharacters: 400_000 };
  const agent = await createAgent({ ...testAgent({ tools: true }), limits }, { gateway: client });
  const messages = [{ role: 'user' as const, content: 'Go.' }];
  const all: Piece[] = [];
  for await (const piece of agent.pieces({ messages, signal: new AbortController().signal, ...errand }))
    all.push(piece);
  return all;
}

const waits = (all: Piece[]): string[][] => all.flatMap((piece) => ('waiting' in piece ? [piece.waiting] : []));
const output = (all: Piece[]): unknown => all.flatMap((piece) => ('answer' in piece ? [piece.answer.output] : []))[0];
const toolCalls = () => gateway.requests.filter(({ path }) => path === '/v1/tools/call');

describe('a call that waits for people', () => {
  test('is made again under its number until it is decided, and told once', async () => {
    script([['add', '1']], { 2: 3 });
    const all = await pieces();
    expect(waits(all)).toEqual([['approval-2'], []]);
    expect(output(all)).toBe('The end.');
    expect(toolCalls().map(({ headers }) => headers[CALL_HEADER])).toEqual(['2', '2', '2', '2']);
  });

  test('holds up none of the others', async () => {
    script([['add', '1'], ['look', '2'], ['add', '3']] as [string, string][], { 2: 2, 4: 5 }, 5); // prettier-ignore
    const told = waits(await pieces());
    expect(new Set(told.flat())).toEqual(new Set(['approval-2', 'approval-4']));
    expect(told.at(-1)).toEqual([]);
    expect(toolCalls()).toHaveLength(3 + 2 + 5);
  });

  test('is no time that the agent takes', async () => {
    script([['add', '1']], { 2: 4 }, 300);
    expect(output(await pieces(900))).toBe('The end.');
  });

  test('cannot be outside of steps, whatever the gateway says', async () => {
    script([['add', '1']], { undefined: 1 });
    await expect(pieces(60_000, {})).rejects.toMatchObject({ reason: 'ToolFailed' });
  });
});

test('by A2A the task asks for input meanwhile, and names the Approval', async () => {
  script([['add', '1']], { 2: 2 }, 20);
  const agent = await serveAgent({ gatewayUrl: gateway.url, agent: testAgent({ tools: true }) });
  const a2a = await new ClientFactory().createFromUrl(agent.url);
  const metadata = { [a2aMetadata.stepToken]: 'token' };
  const message = { messageId: 'm', role: 'ROLE_USER', parts: [{ text: 'Go.' }], metadata };
  const seen: [string, unknown][] = [];
  for await (const event of a2a.sendMessageStream(SendMessageRequest.fromJSON({ message }))) {
    const { statusUpdate } = StreamResponse.toJSON(event) as {
      statusUpdate?: { status: { state: string; message?: { metadata?: Record<string, unknown> } }; metadata?: object };
    };
    if (!statusUpdate || a2aMetadata.tool in (statusUpdate.metadata ?? {})) continue;
    const { state, message: said } = statusUpdate.status;
    seen.push([state, said?.metadata?.[a2aMetadata.approvals]]);
  }
  expect(seen).toEqual([
    ['TASK_STATE_INPUT_REQUIRED', ['approval-2']],
    ['TASK_STATE_WORKING', undefined],
    ['TASK_STATE_COMPLETED', undefined],
  ]);
  await agent.runtime.shutdown(0);
});

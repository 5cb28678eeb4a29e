// What tools print while they are at work, as the agent hears of it.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { ToolActivity } from '@kadre/crds';
import { startGateway, testAgent, type TestGateway } from '../testing/harness.ts';
import { text, toolGateway } from '../testing/tool-gateway.ts';
import { createAgent, type Piece } from './agent.ts';
import { createGatewayClient, type GatewayClient } from './gateway-client.ts';

let gateway: TestGateway;
let client: GatewayClient;
beforeEach(async () => {
  gateway = await startGateway();
  client = createGatewayClient({ gatewayUrl: gateway.url, token: () => Promise.resolve('pod-token') });
});
afterEach(async () => {
  await client.close();
  await gateway.close();
});

/** @param written what the gateway writes of each call, piece by piece */
async function activities(calls: [string, string][], written: string[]): Promise<ToolActivity[]> {
  const scripted = toolGateway({ model: [{ calls }, { text: 'The end.' }] });
  gateway.handler = (request, response) => {
    if (request.path !== '/v1/tools/call') return scripted(request, response);
    const { accept = '' } = request.headers;
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    const next = ([piece, ...others]: string[]): void => {
      if (piece === undefined) return void response.end(JSON.stringify(text(`accepts ${accept}`)));
      response.write(piece, () => setTimeout(next, 5, others));
    };
    next(written);
  };
  const agent = await createAgent(testAgent({ tools: true }), { gateway: client });
  const messages = [{ role: 'user' as const, content: 'Go.' }];
  const all: Piece[] = [];
  for await (const piece of agent.pieces({ messages, signal: new AbortController().signal })) all.push(piece);
  return all.flatMap((piece) => ('activity' in piece ? [piece.activity] : []));
}

const printed = (all: ToolActivity[], number: number): string =>
  all.flatMap(({ call, output = '' }) => (call === number ? [output] : [])).join('');

test('comes between the beginning and the end of the call, wherever the lines break', async () => {
  const all = await activities(
    [['add', '{}']],
    ['{"progr', 'ess":"one "}\n', '{"progress":"two ', 'ü"}\n{"progress":"!"}\n'],
  );
  expect(all.map(({ phase }) => phase)).toEqual(['Running', ...all.slice(2).map(() => 'Running'), 'Succeeded']);
  expect(printed(all, 2)).toBe('one two ü!');
});

test('is told of each call by its number', async () => {
  const all = await activities([['add', '{}'], ['look', '{}']] as [string, string][], ['{"progress":"here"}\n']); // prettier-ignore
  expect([printed(all, 2), printed(all, 3)]).toEqual(['here', 'here']);
});

test('is nothing that stands in the way of the result, whatever it is', async () => {
  const all = await activities([['add', '{}']], ['rubbish\n', '{"progress":7}\n', '\n']);
  expect(all.map(({ phase }) => phase)).toEqual(['Running', 'Succeeded']);
});

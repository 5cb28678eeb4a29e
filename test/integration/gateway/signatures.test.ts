// Thoughts that a provider signed come back to it with the results of its tools, whatever dialect the client speaks.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ModelSpec } from '@kadre/crds';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { startBed, type Bed } from './bed.ts';
import { doorClients } from './clients.ts';

const signature = 'EqQBCkYICRgCKkBsaWdodA==';
const auth = { secretRef: { name: 'llm', key: 'key' } };

interface Family {
  spec: Partial<ModelSpec>;
  /** Its first answer: a thought that is signed, and a call. */
  answer: object;
  /** What it must be sent with the result. */
  signed: object;
}

const thinking = { type: 'thinking', thinking: 'Let me see.', signature };
const secret = { type: 'redacted_thinking', data: 'c2VjcmV0' };
const functionCall = { id: 'call_1', name: 'weather', args: { city: 'Bern' } };

const families: Record<string, Family> = {
  anthropic: {
    spec: { provider: 'anthropic', model: 'claude-sonnet-4-6' },
    answer: {
      id: 'msg_1',
      content: [thinking, secret, { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Bern' } }],
      stop_reason: 'tool_use',
      usage: { input_tokens: 10, output_tokens: 5 },
    },
    signed: {
      messages: [
        {},
        { role: 'assistant', content: [thinking, secret, { type: 'tool_use', id: 'toolu_1' }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'sunny' }] },
      ],
    },
  },
  google: {
    spec: { provider: 'google', model: 'gemini-3-pro' },
    answer: {
      candidates: [{ content: { parts: [{ functionCall, thoughtSignature: signature }] }, finishReason: 'STOP' }],
      usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 5 },
    },
    signed: {
      contents: [
        {},
        { role: 'model', parts: [{ functionCall, thoughtSignature: signature }] },
        { role: 'user', parts: [{ functionResponse: { id: 'call_1', name: 'weather' } }] },
      ],
    },
  },
  openai: {
    spec: { provider: 'openai', model: 'gpt-5', api: 'responses' },
    answer: {
      id: 'resp_1',
      status: 'completed',
      output: [
        { id: 'rs_1', type: 'reasoning', summary: [], encrypted_content: signature },
        { id: 'fc_1', type: 'function_call', call_id: 'call_1', name: 'weather', arguments: '{"city":"Bern"}' },
      ],
      usage: { input_tokens: 10, output_tokens: 5 },
    },
    signed: {
      input: [
        {},
        { id: 'rs_1', type: 'reasoning', encrypted_content: signature },
        { type: 'function_call', call_id: 'call_1' },
        { type: 'function_call_output', call_id: 'call_1', output: 'sunny' },
      ],
    },
  },
};

let bed: Bed;
let server: Server;
let bodies: unknown[];
let answer: object;

beforeEach(async () => {
  bodies = [];
  server = createServer((request, response) => {
    void text(request).then((body) => {
      bodies.push(JSON.parse(body));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  bed = await startBed();
});
afterEach(async () => {
  await bed.close();
  server.closeAllConnections();
  server.close();
});

describe.each(doorClients)('%s', (_door, clientOf) => {
  const cases = Object.entries(families).flatMap(([name, family]) => [
    [name, 'whole', family, false] as const,
    [name, 'streamed', family, true] as const,
  ]);
  test.each(cases)('hands what %s signed back, %s', async (_name, _way, family, streamed) => {
    const { port } = server.address() as AddressInfo;
    bed.model('m', { ...family.spec, auth, baseUrl: `http://127.0.0.1:${port}/v1` });
    ({ answer } = family);
    const turn = await clientOf(bed).ask('weather?', streamed);
    expect(turn.calls).toEqual([{ name: 'weather', arguments: { city: 'Bern' } }]);
    await turn.answer(['sunny'], streamed);
    expect(bodies[1]).toMatchObject(family.signed);
  });
});

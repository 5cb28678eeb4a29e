// A gateway that has its answers ready: a model that calls the calculator until it has done so often enough, and the
// calculator for those whose tools the gateway calls. Ends with whoever started it.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** Answers of the model in one task; all but the last call the tool once. */
export const TURNS = 10;

const result = JSON.stringify({ content: [{ type: 'text', text: '2' }], isError: false, trust: 'trusted' });
const parameters = { type: 'object', properties: { expression: { type: 'string' } }, required: ['expression'] };
const calculator = { name: 'calculator', description: 'Adds numbers.', inputSchema: parameters };

async function answer(request: IncomingMessage): Promise<string> {
  const body = await text(request);
  if (request.url === '/v1/tools') return JSON.stringify({ tools: [calculator] });
  if (request.url === '/v1/tools/call') return result;
  if (request.url !== '/v1/chat/completions') return '{}';
  const told = body.match(/"role": ?"tool"/g)?.length ?? 0;
  const call = { name: 'calculator', arguments: JSON.stringify({ expression: `1+${told}` }) };
  const calls = { content: null, tool_calls: [{ id: `call-${told}`, type: 'function', function: call }] };
  const done = told >= TURNS - 1;
  const message = { role: 'assistant', ...(done ? { content: 'Done.' } : calls) };
  const choices = [{ index: 0, message, finish_reason: done ? 'stop' : 'tool_calls' }];
  const usage = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 };
  return JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices, usage });
}

if (process.send) {
  process.once('disconnect', () => process.exit(0));
  const server = createServer((request, response) => {
    void answer(request).then((body) => response.writeHead(200, { 'content-type': 'application/json' }).end(body));
  });
  server.listen({ host: '127.0.0.1', port: 0, backlog: 2048 }, () =>
    process.send?.((server.address() as AddressInfo).port),
  );
}

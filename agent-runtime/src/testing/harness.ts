// What tests of the runtime share: a gateway that does as it is told, and a served agent.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { agentConfig, type AgentConfig } from '@kadre/crds';
import { pino } from 'pino';
import { createRuntime, type Runtime, type RuntimeConfig, type RuntimeDeps } from '../index.ts';

export interface GatewayRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** Parsed JSON; an empty object for GET. */
  body: { messages?: { role: string; content: string }[]; stream?: boolean } & Record<string, unknown>;
}

export type GatewayHandler = (request: GatewayRequest, response: ServerResponse) => void | Promise<void>;

export interface TestGateway {
  url: string;
  /** Requests other than probes of health. */
  requests: GatewayRequest[];
  handler: GatewayHandler;
  close(): Promise<void>;
}

export async function startGateway(handler: GatewayHandler = say('Hello from the model.')): Promise<TestGateway> {
  const requests: GatewayRequest[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request;
      if (path === '/healthz') return void response.end('ok');
      const body = chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as GatewayRequest['body']);
      const seen = { method, path, headers, body };
      requests.push(seen);
      void gateway.handler(seen, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const gateway: TestGateway = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    handler,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return gateway;
}

/** Answers with this text, streamed word by word if asked to stream. */
export function say(text: string): GatewayHandler {
  return ({ body }, response) => {
    if (body.stream !== true) {
      sendJson(response, 200, completion(text));
      return;
    }
    startStream(response);
    for (const word of text.split(/(?<= )/)) response.write(chunk({ content: word }));
    endStream(response);
  };
}

export function completion(content: string): Record<string, unknown> {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'upstream-model',
    choices: [
      { index: 0, message: { role: 'assistant', content, refusal: null }, finish_reason: 'stop', logprobs: null },
    ],
    usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 },
  };
}

export function startStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
}

export function chunk(delta: Record<string, unknown>, finishReason: string | null = null): string {
  const choices = [{ index: 0, delta, finish_reason: finishReason }];
  return `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'upstream-model', choices })}\n\n`;
}

export function endStream(response: ServerResponse): void {
  response.write(chunk({}, 'stop'));
  response.write(
    `data: ${JSON.stringify({ id: 'chatcmpl-1', choices: [], usage: { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 } })}\n\n`,
  );
  response.end('data: [DONE]\n\n');
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export function gatewayError(code: string, message = 'no'): { error: Record<string, unknown> } {
  return { error: { message, type: 'server_error', param: null, code } };
}

export function testAgent(more: Record<string, unknown> = {}): AgentConfig {
  return agentConfig.parse({
    name: 'greeter',
    namespace: 'demo',
    description: 'Greets people.',
    instructions: 'Be kind.',
    model: 'smart',
    ...more,
  });
}

export interface ServedAgent {
  url: string;
  runtime: Runtime;
  /** Everything that was logged. */
  log: string[];
}

export async function serveAgent(
  config: Partial<RuntimeConfig> & { gatewayUrl: string },
  deps: Partial<RuntimeDeps> = {},
): Promise<ServedAgent> {
  const log: string[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void log.push(line) });
  const runtime = await createRuntime(
    { agent: testAgent(), ...config },
    { token: () => Promise.resolve('pod-token'), logger, ...deps },
  );
  return { url: await runtime.listen({ host: '127.0.0.1', port: 0 }), runtime, log };
}

export async function post(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; body: unknown }> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(url, {
    method: 'POST',
    body: text,
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** Looks again and again until the probe says yes. */
export async function eventually(probe: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await probe())) await new Promise((resolve) => setTimeout(resolve, 5));
}

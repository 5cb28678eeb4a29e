// Real servers on this machine, and Tools that lead to them.
import type { Tool, ToolSpec } from '@kadre/crds';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ReadSecret, Toolbox, ToolCallRequest } from '../contract.ts';
import { ToolError } from '../tool-error.ts';
import { createToolbox } from '../toolbox.ts';

export interface Received {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

type Answer = (response: ServerResponse, request: Received) => void;

export interface TestServer {
  url: string;
  port: number;
  received: Received[];
  /** How requests are answered from now on. */
  answer: Answer;
  close(): Promise<void>;
}

export const json =
  (value: unknown, status = 200): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

export async function startServer(answer: Answer = json({ ok: true })): Promise<TestServer> {
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const { method = '', url = '', headers } = request;
      const received = { method, url, headers, body };
      running.received.push(received);
      running.answer(response, received);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const running: TestServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    received: [],
    answer,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return running;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

export interface Bed {
  toolbox: Toolbox;
  clock: { at: number; now(): number };
  secrets: Map<string, string>;
  secret: ReadSecret;
  call(tool: Tool, args?: Record<string, unknown>, more?: Partial<ToolCallRequest>): ReturnType<Toolbox['call']>;
  describe(tool: Tool): ReturnType<Toolbox['describe']>;
}

/** @param allowLoopback false where the guard is tried */
export function makeBed(options: Parameters<typeof createToolbox>[0] = { allowLoopback: true }): Bed {
  const clock = { at: Date.parse('2026-11-21T09:00:00Z'), now: () => clock.at };
  const secrets = new Map([['keys/token', 's3cr3t-token']]);
  const secret: ReadSecret = (name, key) => {
    const value = secrets.get(`${name}/${key}`);
    if (value !== undefined) return Promise.resolve(value);
    return Promise.reject(new ToolError('misconfigured', `There is no Secret ${name} with the key ${key}.`));
  };
  const toolbox = createToolbox({ clock, ...options });
  return {
    toolbox,
    clock,
    secrets,
    secret,
    call: (tool, args = {}, more = {}) =>
      toolbox.call(tool, secret, {
        args,
        idempotencyKey: 'key-1',
        signal: new AbortController().signal,
        headers: {},
        ...more,
      }),
    describe: (tool) => toolbox.describe(tool, secret, new AbortController().signal),
  };
}

/** Of what the API server would have filled in. */
export const makeTool = (spec: Partial<ToolSpec>, name = 'tool'): Tool => ({
  apiVersion: 'kadre.dev/v1alpha1',
  kind: 'Tool',
  metadata: {
    name,
    namespace: 'team',
    uid: `uid-${name}`,
    generation: 1,
    resourceVersion: '1',
    creationTimestamp: '2026-11-21T08:00:00Z',
  },
  spec: { trust: 'untrusted', consequential: false, ...spec },
});

export const tokenRef = { name: 'keys', key: 'token' };
export const faultOf = (error: unknown): unknown =>
  error instanceof ToolError ? { fault: error.fault, retry: error.retry, sent: error.sent } : error;

// A gateway with Tools, and a plain HTTP server behind them that answers as a test says.
import {
  CALL_HEADER,
  REPLAYED_HEADER,
  STEP_HEADER,
  type Tool,
  type ToolGrant,
  type ToolPending,
  type ToolResult,
} from '@kadre/crds';
import type { GatewayOptions } from '@kadre/gateway';
import { mintStepToken } from '@kadre/store';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { NAMESPACE, startBed, step, type Bed } from './bed.ts';

export interface Asked {
  path: string;
  headers: IncomingHttpHeaders;
  body: unknown;
}

export interface ToolServer {
  url: string;
  /** What it was asked, in order. */
  asked: Asked[];
  answer: (response: ServerResponse, asked: Asked) => void;
  close(): void;
}

export async function startToolServer(): Promise<ToolServer> {
  const server: Server = createServer((request, response) => {
    void text(request).then((body) => {
      const asked: Asked = {
        path: request.url ?? '',
        headers: request.headers,
        body: body === '' ? undefined : (JSON.parse(body) as unknown),
      };
      it.asked.push(asked);
      it.answer(response, asked);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const it: ToolServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    answer: (response) => json(response, { answer: it.asked.length }),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return it;
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export interface Reply {
  status: number;
  replayed: boolean;
  result: ToolResult;
  /** All texts of the result. */
  text: string;
  /** Name of the Approval that the call waits for. */
  pending: string | undefined;
  code: string | undefined;
  retry: string | null;
}

export interface Call {
  name?: string;
  /** Of arguments; a text is sent as it stands. */
  args?: unknown;
  /** Absent: not on behalf of a step. */
  call?: number;
  claims?: Partial<typeof step>;
  token?: string;
  tainted?: boolean;
  signal?: AbortSignal;
}

export interface ToolBed extends Bed {
  server: ToolServer;
  tools: Map<string, Tool>;
  /** By agent. */
  grants: Map<string, ToolGrant[]>;
  /** A Tool that is an endpoint of the server, and the researcher may use. */
  tool(name: string, spec?: Partial<Tool['spec']>, namespace?: string): Tool;
  list(token?: string): Promise<{ names: string[]; leftOut: string | null; tools: { description: string }[] }>;
  call(call?: Call): Promise<Reply>;
}

export async function startToolBed(options: Partial<GatewayOptions> = {}): Promise<ToolBed> {
  const tools: ToolBed['tools'] = new Map();
  const grants: ToolBed['grants'] = new Map();
  const server = await startToolServer();
  const bed = await startBed({
    tools: {
      grants: (namespace, agent) => (namespace === NAMESPACE ? (grants.get(agent) ?? []) : []),
      get: (namespace, name) => tools.get(`${namespace}/${name}`),
    },
    ...options,
  });
  const store = options.store ?? bed.store;
  const stepToken = async (claims: Partial<typeof step>): Promise<string> =>
    mintStepToken(await store.secret('step-token'), { ...step, ...claims }, Date.now() + 600_000);

  return {
    ...bed,
    server,
    tools,
    grants,
    tool: (name, spec = {}, namespace = NAMESPACE) => {
      const tool = toolOf(name, { ...(isReached(spec) ? {} : endpoint(`${server.url}/${name}`)), ...spec }, namespace);
      tools.set(`${namespace}/${name}`, tool);
      const granted = grants.get('researcher') ?? [];
      if (!granted.some((grant) => grant.name === name)) grants.set('researcher', [...granted, { name }]);
      return tool;
    },
    list: async (token = 'token-a') => {
      const response = await fetch(`${bed.url}/v1/tools`, { headers: { authorization: `Bearer ${token}` } });
      const { tools: listed } = (await response.json()) as { tools: { name: string; description: string }[] };
      return {
        names: listed.map(({ name }) => name),
        leftOut: response.headers.get('kadre-tools-left-out'),
        tools: listed,
      };
    },
    call: async ({ name = 'search', args = {}, call, claims = {}, token = 'token-a', tainted, signal } = {}) => {
      const response = await fetch(`${bed.url}/v1/tools/call`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          ...(call !== undefined && { [CALL_HEADER]: String(call), [STEP_HEADER]: await stepToken(claims) }),
        },
        body: JSON.stringify({
          name,
          arguments: typeof args === 'string' ? args : JSON.stringify(args),
          ...(tainted !== undefined && { tainted }),
        }),
        ...(signal && { signal }),
      });
      const body = (await response.json()) as ToolResult &
        Partial<ToolPending> & { error?: { code: string; message: string } };
      return {
        status: response.status,
        replayed: response.headers.get(REPLAYED_HEADER) === 'true',
        result: body,
        text:
          body.error?.message ??
          (body.content as ToolResult['content'] | undefined)
            ?.map((part) => (part.type === 'text' ? part.text : part.mediaType))
            .join('') ??
          '',
        pending: body.pending?.approval,
        code: body.error?.code,
        retry: response.headers.get('x-should-retry'),
      };
    },
    close: async () => {
      await bed.close();
      server.close();
    },
  };
}

const isReached = ({ http, mcp, openapi, builtin, workflow }: Partial<Tool['spec']>): boolean =>
  [http, mcp, openapi, builtin, workflow].some((one) => one !== undefined);

const endpoint = (url: string): Pick<Tool['spec'], 'http' | 'description'> => ({
  description: 'Looks something up.',
  http: { method: 'POST', url, input: { schema: { type: 'object' } } },
});

let generation = 0;

function toolOf(name: string, spec: Partial<Tool['spec']>, namespace = NAMESPACE): Tool {
  generation += 1;
  return {
    apiVersion: 'kadre.dev/v1alpha1',
    kind: 'Tool',
    metadata: {
      name,
      namespace,
      uid: `uid-${namespace}-${name}`,
      resourceVersion: String(generation),
      generation,
      creationTimestamp: '2026-01-02T03:04:05Z',
    },
    spec: { trust: 'trusted', consequential: false, ...spec },
  };
}

// One client for each Tool: kept while it is used, made anew when the Tool or its secret changes or the connection breaks.
import { Client, ProtocolError, SdkHttpError, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { milliseconds, toolServerUrl, type Tool, type ToolSpec } from '@kadre/crds';
import { createHash } from 'node:crypto';
import type { Described, ToolAnswer, ToolCallRequest } from '../contract.ts';
import type { Clock, Errand } from '../executor.ts';
import { fixedHeaders } from '../http/endpoint.ts';
import type { Outlet } from '../net/outlet.ts';
import { signIn } from '../net/sign-in.ts';
import type { ToolboxOptions } from '../toolbox-options.ts';
import { readOperations, readResult } from './content.ts';
import { argumentComplaint, fromMcp } from './failures.ts';
import { boundedFetch, type Exchanges } from './fetch.ts';

export interface McpClients {
  describe(errand: Errand): Promise<Described>;
  call(errand: Errand, request: ToolCallRequest): Promise<ToolAnswer>;
  close(): Promise<void>;
}

type Work<T> = (client: Client, options: { signal: AbortSignal; timeout: number }) => Promise<T>;

interface Connection {
  /** Of all that it was made from. */
  fingerprint: string;
  client: Client;
  transport: StreamableHTTPClientTransport;
  connected: Promise<void>;
  /** Ends the attempt to connect. */
  stop: AbortController;
  users: number;
  lastUsed: number;
}

const VERSION = '0.1.0';
const CONNECT_MS = 30_000;
const CONNECT_BYTES = 256 * 1024;
const MAX_PAGES = 16;
const END_SESSION_MS = 2_000;

export interface McpOptions extends NonNullable<ToolboxOptions['mcp']> {
  outlet: Outlet;
  clock: Clock;
  clusterDomain: string | undefined;
}

export function createMcpClients(options: McpOptions): McpClients {
  const { outlet, clock, clusterDomain, maxClients = 64, idleMs = 300_000 } = options;
  const connections = new Map<string, Connection>();
  const { exchanges, fetch } = boundedFetch(outlet.agents.administrator);

  const discard = (id: string, connection: Connection): void => {
    if (connections.get(id) === connection) connections.delete(id);
    if (connection.users === 0) void end(connection, exchanges);
  };
  const sweep = (): void => {
    for (const [id, connection] of connections) {
      const idle = clock.now() - connection.lastUsed >= idleMs;
      if (connection.users === 0 && (idle || connections.size > maxClients)) discard(id, connection);
    }
  };
  const sweeper = setInterval(sweep, Math.min(idleMs, 60_000)).unref();

  /** With one user more, so that nobody ends it before it is used. */
  const acquire = async ({ tool, secret }: Errand): Promise<[string, Connection]> => {
    const spec = specOf(tool.spec);
    const id = `${tool.metadata.namespace ?? ''}/${tool.metadata.name}`;
    const url = spec.url ?? (spec.server && toolServerUrl(tool.metadata, spec.server, clusterDomain)) ?? '';
    const headers = { ...fixedHeaders(spec.headers), ...(await signIn(spec.auth, secret)) };
    const fingerprint = createHash('sha256')
      .update(JSON.stringify([tool.metadata.uid, url, headers]))
      .digest('hex');
    const found = connections.get(id);
    const isSame = found?.fingerprint === fingerprint;
    const connection = isSame ? found : connect(url, headers, fingerprint, fetch, exchanges, tool);
    connection.users++;
    connection.lastUsed = clock.now();
    if (found && !isSame) discard(id, found);
    // The least recently used ones come first.
    connections.delete(id);
    connections.set(id, connection);
    if (!isSame) connection.connected.catch(() => discard(id, connection));
    return [id, connection];
  };

  /** A server that has forgotten the session has done nothing: it is asked once more, with a new one. */
  const use = async <T>(errand: Errand, work: Work<T>, signal: AbortSignal, second = false): Promise<T> => {
    const [id, connection] = await acquire(errand);
    let error: unknown;
    try {
      await connection.connected;
      return await work(connection.client, { signal, timeout: timeoutOf(errand.tool) });
    } catch (thrown) {
      error = thrown;
      // An answer, even one that says no, and a caller who gives up leave the connection as it was.
      if (!(thrown instanceof ProtocolError) && !errand.signal.aborted) discard(id, connection);
    } finally {
      connection.users--;
      connection.lastUsed = clock.now();
      if (connection.users === 0 && connections.get(id) !== connection) void end(connection, exchanges);
      sweep();
    }
    if (!second && connection.transport.sessionId !== undefined && isSessionGone(error))
      return use(errand, work, signal, true);
    throw error;
  };

  const asked = <T>(errand: Errand, work: Work<T>): Promise<T> =>
    exchanges.run(errand, (signal) => use(errand, work, signal));

  return {
    describe: async (errand) => {
      try {
        return await asked(errand, async (client, options) => {
          const { tools } = await client.listTools(undefined, { ...options, cacheMode: 'refresh' });
          return readOperations(tools, client.getServerVersion());
        });
      } catch (error) {
        throw fromMcp(error);
      }
    },
    call: async (errand, request) => {
      const { operation = '', args, idempotencyKey, headers } = request;
      const traceparent = headers['traceparent'];
      const meta = {
        'kadre.dev/idempotency-key': idempotencyKey,
        ...(traceparent === undefined ? {} : { traceparent }),
      };
      try {
        return await asked(errand, async (client, options) =>
          readResult(
            await client.callTool(
              { name: operation, arguments: args, _meta: meta },
              { ...options, headers: { ...headers, 'idempotency-key': idempotencyKey } },
            ),
          ),
        );
      } catch (error) {
        const complaint = argumentComplaint(error);
        if (complaint) return complaint;
        throw fromMcp(error);
      }
    },
    close: async () => {
      clearInterval(sweeper);
      const all = [...connections.values()];
      connections.clear();
      await Promise.all(all.map((connection) => end(connection, exchanges)));
    },
  };
}

function connect(
  url: string,
  headers: Record<string, string>,
  fingerprint: string,
  fetch: typeof globalThis.fetch,
  exchanges: Exchanges,
  tool: Tool,
): Connection {
  const client = new Client(
    { name: 'kadre', version: VERSION },
    {
      capabilities: {},
      versionNegotiation: { mode: 'auto' },
      listMaxPages: MAX_PAGES,
      // Whoever calls checks answers, within bounds of its own.
      jsonSchemaValidator: {
        getValidator: () => (data) => ({ valid: true, data: data as never, errorMessage: undefined }),
      },
      // Nobody sits at an agent's tool call who could be asked.
      inputRequired: { autoFulfill: false },
    },
  );
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch, requestInit: { headers } });
  // Not the caller's signal: others may be waiting for the same connection.
  const stop = new AbortController();
  const late = AbortSignal.timeout(Math.min(timeoutOf(tool), CONNECT_MS));
  const bounds = { maxBytes: CONNECT_BYTES, signal: AbortSignal.any([stop.signal, late]) };
  const connected = exchanges.run(bounds, (signal) => client.connect(transport, { signal, timeout: CONNECT_MS }));
  return { fingerprint, client, transport, connected, stop, users: 0, lastUsed: 0 };
}

async function end({ client, transport, connected, stop }: Connection, exchanges: Exchanges): Promise<void> {
  stop.abort();
  await connected.catch(() => undefined);
  const bounds = { maxBytes: CONNECT_BYTES, signal: AbortSignal.timeout(END_SESSION_MS) };
  await exchanges.run(bounds, () => transport.terminateSession()).catch(() => undefined);
  await client.close().catch(() => undefined);
}

const timeoutOf = ({ spec }: Tool): number => (spec.timeout === undefined ? 30_000 : milliseconds(spec.timeout));

const isSessionGone = (error: unknown): boolean =>
  error instanceof SdkHttpError && (error.status === 404 || error.status === 400);

function specOf({ mcp }: ToolSpec): NonNullable<ToolSpec['mcp']> {
  if (!mcp) throw new Error('only a Tool with mcp gets here');
  return mcp;
}

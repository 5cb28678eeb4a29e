// POST /mcp/{namespace}: the streamable HTTP of the Model Context Protocol, of 2025 and of 2026, without sessions.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Clock } from '../options.ts';
import { Refusal, unavailable } from '../refusal.ts';
import { createRateLimit } from '../webhook/rate-limit.ts';
import { createAdmit } from './access.ts';
import { createExchanges, hangUpOf } from './exchanges.ts';
import { offersOf } from './offers.ts';
import { CALLS_PER_MINUTE, type McpOptions } from './options.ts';
import { createRuns } from './runs.ts';

const MCP_PATH = '/mcp/:namespace';

interface McpServices {
  mcp: McpOptions;
  clock: Clock;
  logger: Logger;
  ready: () => boolean;
}

type McpRequest = FastifyRequest<{ Params: { namespace: string }; Body: Buffer | undefined }>;

export function mcpRoutes(app: FastifyInstance, services: McpServices): void {
  const { mcp, clock, logger, ready } = services;
  const { store } = mcp;
  const admit = createAdmit(mcp, clock);
  const limit = createRateLimit(clock);
  const exchanges = createExchanges();
  const report = (err: unknown): void => logger.error({ err }, 'A call over MCP went wrong.');
  app.addHook('preClose', () => exchanges.stop());
  app.route<{ Params: { namespace: string }; Body: Buffer | undefined }>({
    method: ['GET', 'POST', 'DELETE'],
    url: MCP_PATH,
    handler: async (http, reply) => {
      const hungUp = hangUpOf(reply.raw);
      if (!ready()) throw unavailable('The server has not read all that it must know yet.');
      mustBeNoPage(http);
      const { namespace } = http.params;
      const user = await admit(http.headers.authorization, namespace);
      // Loaded for the first request: most installations never see one.
      const [{ createMcpHandler }, { mcpServer }] = await Promise.all([
        import('@modelcontextprotocol/server'),
        import('./protocol.ts'),
      ]);
      const { gone, during, onEnd } = exchanges.begin(user.username, hungUp, reply.raw);
      const mayCall = (): boolean => limit.take(`${namespace}/${user.username}`, CALLS_PER_MINUTE) === 0;
      const runs = createRuns({ store, user, namespace, gone, report });
      const offers = () => offersOf(mcp, namespace);
      const handler = createMcpHandler(() =>
        mcpServer({ offers, mayCall, run: (call) => during(runs(call)), where: `namespace ${namespace}` }),
      );
      onEnd(() => handler.close());
      const answer = await handler.fetch(requestOf(http, hungUp));
      reply.outcome = answer.ok ? 'Answered' : 'Malformed';
      for (const [name, value] of answer.headers) void reply.header(name, value);
      void reply.code(answer.status);
      return reply.send(answer.body ? Readable.fromWeb(answer.body) : null);
    },
  });
}

const LOCAL = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Pages of other sites must not speak with what the browser can reach, nor call themselves by the name under which they reach
 * it. Programs send no Origin.
 */
function mustBeNoPage({ headers: { origin, host } }: McpRequest): void {
  if (origin === undefined) return;
  const from = URL.canParse(origin) ? new URL(origin) : undefined;
  if (from?.host === host && LOCAL.includes(from?.hostname ?? '')) return;
  throw new Refusal(403, 'Forbidden', 'Requests from pages of other sites are not taken.');
}

function requestOf({ method, headers, body, params }: McpRequest, signal: AbortSignal): Request {
  const plain = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value ?? []].flat()) plain.append(name, one);
  }
  const url = `http://kadre/mcp/${encodeURIComponent(params.namespace)}`;
  return new Request(url, { method, headers: plain, signal, ...(body && { body: new Uint8Array(body) }) });
}

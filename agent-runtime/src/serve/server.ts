// The HTTP server of one agent: routes, limits, one log line and one measurement per request.
import { randomUUID } from 'node:crypto';
import { A2A_PATH, AGENT_CARD_PATH } from '@kadre/crds';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { a2aRoutes, type A2aOptions } from '../a2a/routes.ts';
import type { RpcContext } from '../a2a/rpc.ts';
import { AgentFailure, asFailure } from '../failure.ts';
import { traceparentOf, type RouteContext } from './exchange.ts';
import { endpointRoutes, generateRoutes, type CompiledEndpoint } from './generate-routes.ts';
import { invalid, sendFailure } from './http-errors.ts';
import type { Metrics } from './metrics.ts';
import { openaiRoutes } from './openai-routes.ts';
import type { Readiness } from './readiness.ts';
import { responsesRoutes } from './responses/routes.ts';

export interface ServerContext extends RouteContext, Omit<RpcContext, 'onFault'> {
  endpoints: CompiledEndpoint[];
  readiness: Readiness;
  metrics: Metrics;
  logger: Logger;
  version: string;
}

const BODY_LIMIT_BYTES = 4 * 1024 * 1024;
const REQUEST_TIMEOUT_MS = 60_000;
const QUIET = new Set(['/health', '/healthz', '/readyz', '/metrics']);

export async function createServer(context: ServerContext, options: A2aOptions): Promise<FastifyInstance> {
  const { basePath } = options;
  const app = Fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    // How long a client may take to send its request; answers may take as long as the work does.
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    genReqId: (request) => knownRequestId(request.headers['x-request-id']) ?? randomUUID(),
    rewriteUrl: ({ url = '/' }) => withoutBase(url, basePath),
    exposeHeadRoutes: false,
    // Ids of conversations that callers choose.
    routerOptions: { maxParamLength: 512 },
  });
  observe(app, context);
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, context));
  app.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .send(
        invalid(
          `There is no ${request.method} ${request.url.slice(0, 200)} here; GET / lists what there is.`,
          null,
          'not_found',
        ),
      ),
  );
  statusRoutes(app, context, basePath);
  generateRoutes(app, context);
  endpointRoutes(app, context, context.endpoints);
  openaiRoutes(app, context);
  responsesRoutes(app, context);
  await a2aRoutes(
    app,
    { ...context, onFault: (error) => context.logger.error({ err: error }, 'unexpected error') },
    options,
  );
  return app;
}

function statusRoutes(app: FastifyInstance, context: ServerContext, basePath: string): void {
  const { agent, gate, readiness, metrics, endpoints, version } = context;
  const { name, namespace, description, model } = agent.config;
  const link = (path: string): string => `${basePath}${path}`;
  const links = {
    card: link(AGENT_CARD_PATH),
    a2a: link(A2A_PATH),
    openai: link('/v1'),
    generate: link('/generate'),
    metrics: link('/metrics'),
  };
  const about = {
    name,
    namespace,
    description: description ?? null,
    model,
    version,
    endpoints: endpoints.map(({ path }) => link(path)),
    links,
  };
  const alive = { status: 'ok', agent: name };
  app.get('/', () => about);
  app.get('/health', () => alive);
  app.get('/healthz', () => alive);
  app.get('/readyz', (_request, reply) => {
    const obstacle = gate.draining ? 'the agent is shutting down' : readiness.obstacle();
    return obstacle === undefined
      ? { status: 'ready' }
      : reply.code(503).send({ status: 'not ready', reason: obstacle });
  });
  app.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await metrics.render();
    return reply.type(contentType).send(text);
  });
}

/** Bodies stay out of the log: they hold prompts. */
function observe(app: FastifyInstance, { metrics, logger, gate }: ServerContext): void {
  app.addHook('onRequest', (request, reply, done) => {
    const started = performance.now();
    reply.header('x-request-id', request.id);
    if (gate.draining) reply.header('connection', 'close');
    reply.raw.once('close', () => {
      const route = request.routeOptions.url ?? 'unmatched';
      const seconds = (performance.now() - started) / 1000;
      const status = reply.raw.writableFinished ? reply.raw.statusCode : 499;
      metrics.request({ method: request.method, route, status }, seconds);
      const level = QUIET.has(route) ? 'debug' : 'info';
      logger[level](
        {
          requestId: request.id,
          traceId: traceparentOf(request)?.split('-')[1],
          method: request.method,
          route,
          status,
          ms: Math.round(seconds * 1000),
        },
        'request',
      );
    });
    done();
  });
}

function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { logger }: ServerContext,
): FastifyReply {
  const failure = refusedByServer(error) ?? asFailure(error);
  const line = { requestId: request.id, reason: failure.reason };
  if (failure.reason === 'InternalError') logger.error({ ...line, err: failure.cause }, 'unexpected error');
  else logger.info(line, 'request failed');
  return sendFailure(reply, failure);
}

/** Fastify's own refusals: broken JSON, a body that is too large, an unknown content type. */
function refusedByServer(error: unknown): AgentFailure | undefined {
  if (
    !(error instanceof Error) ||
    !('statusCode' in error) ||
    typeof error.statusCode !== 'number' ||
    error.statusCode >= 500
  )
    return undefined;
  if (error.statusCode === 415)
    return new AgentFailure('InvalidInput', 'Send JSON, with content-type: application/json.');
  return new AgentFailure('InvalidInput', error.message, { status: error.statusCode });
}

function withoutBase(url: string, basePath: string): string {
  if (basePath === '' || !url.startsWith(basePath)) return url;
  const rest = url.slice(basePath.length);
  if (rest === '' || rest.startsWith('?')) return `/${rest}`;
  return rest.startsWith('/') ? rest : url;
}

function knownRequestId(header: unknown): string | undefined {
  return typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header) ? header : undefined;
}

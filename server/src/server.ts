// The server: where people and programs outside of the agents' pods reach Kadre. It keeps nothing of its own, so there may
// be as many of them as are needed.
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import type { AddressInfo } from 'node:net';
import { createMetrics } from './metrics.ts';
import { defaultLimits, type Limits, type ServerOptions } from './options.ts';
import { Refusal, unavailable } from './refusal.ts';
import { mcpRoutes } from './mcp/route.ts';
import { WEBHOOK_PATH, webhookRoute } from './webhook/route.ts';

export interface Server {
  app: FastifyInstance;
  /** Resolves with the address, such as http://127.0.0.1:8082; port 0 takes any free one. */
  listen(address: { host: string; port: number }): Promise<string>;
  /** Takes no more requests and lets those in flight finish. Idempotent. */
  close(): Promise<void>;
}

declare module 'fastify' {
  interface FastifyReply {
    /** Outcome, or reason of a refusal. */
    outcome: string;
  }
}

export function createServer(options: ServerOptions): Server {
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const clock = options.clock ?? { now: () => Date.now() };
  const app = createApp(options, limits);
  const answer = webhookRoute({ ...options, clock, limits });
  app.post<{ Params: { namespace: string; name: string }; Body: Buffer | undefined }>(
    WEBHOOK_PATH,
    async (http, reply) => {
      const { status, body } = await answer(http);
      reply.outcome = body.outcome;
      return reply.code(status).send(body);
    },
  );
  const { mcp, logger, ready = () => true } = options;
  if (mcp) mcpRoutes(app, { mcp, clock, logger, ready });
  return {
    app,
    listen: async ({ host, port }) => {
      await app.listen({ host, port });
      const { port: bound } = app.server.address() as AddressInfo;
      return `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
    },
    close: () => app.close(),
  };
}

function createApp(options: ServerOptions, limits: Limits): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: limits.requestBytes,
    requestTimeout: limits.requestMs,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 253 },
  });
  // A signature is one of the bytes as they came, so nobody reads them before it is checked.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_http, body, done) => done(null, body));
  app.decorateReply('outcome', '');
  let inFlight = 0;
  const observe = options.registry ? createMetrics(options.registry, () => inFlight) : () => undefined;
  app.addHook('onRequest', (_http, reply, proceed) => {
    inFlight += 1;
    reply.raw.once('close', () => {
      inFlight -= 1;
      observe(reply.outcome || 'Aborted', reply.elapsedTime);
    });
    reply.header('cache-control', 'no-store');
    proceed(inFlight > limits.concurrentRequests ? unavailable('The server is busy. Send it again.') : undefined);
  });
  app.setErrorHandler((error: FastifyError, http, reply) => {
    const refusal = asRefusal(error, limits);
    if (refusal.status >= 500 && refusal.cause !== undefined)
      options.logger.error({ err: refusal.cause, path: http.routeOptions.url }, refusal.message);
    return refuse(refusal, reply);
  });
  app.setNotFoundHandler((_http, reply) =>
    refuse(new Refusal(404, 'UnknownUrl', `There is POST ${WEBHOOK_PATH.replace(/:(\w+)/g, '{$1}')}.`), reply),
  );
  return app;
}

function refuse(refusal: Refusal, reply: FastifyReply): FastifyReply {
  reply.outcome = refusal.code;
  return reply.code(refusal.status).headers(refusal.headers()).send(refusal.body());
}

/** Fastify's own refusals have a status; anything else is a fault of ours. */
function asRefusal(error: FastifyError, { requestBytes }: Limits): Refusal {
  if (error instanceof Refusal) return error;
  const { statusCode: status, message } = error;
  if (status === 413)
    return new Refusal(413, 'TooLarge', `The body is too large: at most ${requestBytes} bytes are taken.`);
  if (status !== undefined && status >= 400 && status < 500) return new Refusal(status, 'Malformed', message);
  return new Refusal(500, 'InternalError', 'The server failed; its log says why.', { cause: error });
}

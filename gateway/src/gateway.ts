// The one door out of an agent's pod: every model call passes here, where it is authenticated, checked, priced and
// written down. The gateway keeps nothing of its own, so there may be as many of them as are needed.
import { STEP_HEADER } from '@kadre/crds';
import type { SandboxHost } from '@kadre/sandbox';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createAdmit, mustBeFor, type EngineUse } from './access/caller.ts';
import { createKeys } from './access/secrets.ts';
import { createIdentify } from './access/service-accounts.ts';
import { registerConversations } from './conversations.ts';
import { createEmbedder } from './knowledge/embed.ts';
import { createIndexer } from './knowledge/indexer.ts';
import { searchExecutor } from './knowledge/search.ts';
import { chatCompletionsDoor } from './doors/chat-completions/door.ts';
import type { Door, DoorServices } from './doors/door.ts';
import { embeddingsDoor } from './doors/embeddings/door.ts';
import { generateContentDoor } from './doors/generate-content/door.ts';
import { messagesDoor } from './doors/messages/door.ts';
import { modelsDoor } from './doors/models/door.ts';
import { responsesDoor } from './doors/responses/door.ts';
import { GatewayError, shuttingDown, unavailable } from './errors.ts';
import type { Share } from './limits/limits.ts';
import { createSharedLimits } from './limits/share.ts';
import { createMetrics } from './metrics.ts';
import { defaultLimits, systemClock, type GatewayOptions, type Limits } from './options.ts';
import { createHooks } from './pipeline/defaults.ts';
import { createPipeline, type Pipeline } from './pipeline/pipeline.ts';
import { createPriceBook } from './price/price.ts';
import { createDecisionLog, type DecisionLog } from './routing/decision-log.ts';
import { createCatalog, type Catalog } from './providers/catalog.ts';
import { createRequests, type RequestRecord, type Requests } from './requests.ts';
import { registerCode } from './sandbox/door.ts';
import { createPodSandboxes } from './sandbox/pods.ts';
import { registerSteps } from './steps.ts';
import { createToolDoor, type ToolDoor } from './tools/door.ts';

declare module 'fastify' {
  interface FastifyRequest {
    record: RequestRecord;
  }
  interface FastifyContextConfig {
    /** How the route's dialect writes a refusal. Absent: as OpenAI does. */
    errorBody?: (error: GatewayError) => object;
    engines?: EngineUse;
  }
}

export interface Gateway {
  app: FastifyInstance;
  /** Resolves with the address, such as http://127.0.0.1:8090; port 0 takes any free one. */
  listen(address: { host: string; port: number }): Promise<string>;
  /** Takes no more requests, lets those in flight finish for `limits.drainMs`, then breaks them off. Idempotent. */
  close(): Promise<void>;
}

/** How long calls that are broken off get to say so to clients that read slowly. */
const FAREWELL_MS = 1_000;
const PROBES = new Set(['/healthz', '/readyz', '/metrics']);

export function createGateway(options: GatewayOptions): Gateway {
  const clock = options.clock ?? systemClock;
  const limits: Limits = { ...defaultLimits, ...options.limits };
  const requests = createRequests(options.logger, clock);
  const catalog = createCatalog(clock, limits);
  const closing = new AbortController();
  const draining = { now: false };

  const app = createApp(limits, requests, draining);
  registerProbes(app, options, requests, draining);
  const shared = createSharedLimits({
    store: options.store,
    clock,
    logger: options.logger,
    heartbeatMs: limits.heartbeatMs,
  });
  const decisions = createDecisionLog({ ...options, clock });
  const sandboxes = options.sandboxes ?? createPodSandboxes({ ...options, clock });
  const wiring = { clock, limits, catalog, closing: closing.signal, share: shared.current, decisions, sandboxes };
  const prices = createPriceBook(options.prices, options.logger);
  const hooks = createHooks({ ...options, ...wiring, prices });
  const keys = createKeys(options.secrets, clock);
  const pipeline = createPipeline({ hooks, keys, catalog, prices, clock });
  const embedder = createEmbedder({ ...options, pipeline, requests });
  const { knowledge: source } = options;
  const indexer = source && createIndexer({ ...options, embedder, clock });
  const search = source && searchExecutor({ ...options, source, embedder });
  const tools = createToolDoor({ ...options, ...wiring, search });
  registerApi(app, options, { ...wiring, pipeline, tools });

  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    draining.now = true;
    tools.letGo();
    const idle = indexer?.stop();
    const stopped = app.close();
    const abort = clock.after(limits.drainMs, () => closing.abort(shuttingDown()));
    const cut = clock.after(limits.drainMs + FAREWELL_MS, () => app.server.closeAllConnections());
    await idle;
    await requests.idle();
    abort();
    cut();
    app.server.closeAllConnections();
    await stopped;
    await tools.close();
    await decisions.close();
    await shared.stop();
    await catalog.close();
  };

  return {
    app,
    listen: async ({ host, port }) => {
      shared.start();
      await app.listen({ host, port });
      indexer?.start();
      const { port: bound } = app.server.address() as AddressInfo;
      return `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
    },
    close: () => (closed ??= close()),
  };
}

function createApp(limits: Limits, requests: Requests, draining: { now: boolean }): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: limits.requestBytes,
    requestTimeout: limits.requestMs,
    // Ids are keys of the ledger, so no caller may choose one.
    genReqId: () => `req_${randomUUID()}`,
    requestIdHeader: false,
    return503OnClosing: false,
  });
  const turnAway = (): GatewayError | undefined => {
    if (draining.now) return shuttingDown();
    return requests.size > limits.concurrentRequests ? unavailable('The gateway is busy.', '1') : undefined;
  };
  app.removeContentTypeParser('text/plain');
  app.decorateRequest('record', null as unknown as RequestRecord);
  app.addHook('onRequest', (http, reply, proceed) => {
    const path = http.routeOptions.url ?? 'unknown';
    http.record = requests.open(http.id, PROBES.has(path) ? 'probe' : path);
    reply.raw.once('close', http.record.hold());
    reply.header('x-request-id', http.id);
    proceed(PROBES.has(path) ? undefined : turnAway());
  });
  app.addHook('onSend', (http, _reply, _payload, proceed) => {
    // From here on the client has to read.
    http.raw.socket.setTimeout(limits.slowClientMs);
    proceed();
  });
  app.setErrorHandler((error: FastifyError, http, reply) => refuse(asGatewayError(error), http, reply));
  app.setNotFoundHandler((http, reply) => {
    const path = http.url.split('?')[0]?.slice(0, 200) ?? '';
    return refuse(new GatewayError(404, 'unknown_url', `Unknown request URL: ${http.method} ${path}.`), http, reply);
  });
  return app;
}

function refuse(error: GatewayError, http: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (http.record.code === undefined) http.record.fail(error);
  const body = http.routeOptions.config.errorBody?.(error) ?? error.body();
  return reply.code(error.status).headers(error.headers()).send(body);
}

/** Fastify's own refusals (too large, not JSON, wrong media type) have a status; anything else is a fault of ours. */
function asGatewayError(error: FastifyError): GatewayError {
  if (error instanceof GatewayError) return error;
  const status = error.statusCode;
  if (status !== undefined && status >= 400 && status < 500)
    return new GatewayError(status, 'ModelFailed', error.message);
  return new GatewayError(500, 'InternalError', 'The gateway failed; its log says why.', { cause: error });
}

function registerProbes(
  app: FastifyInstance,
  options: GatewayOptions,
  requests: Requests,
  draining: { now: boolean },
): void {
  app.get('/healthz', () => ({ status: 'ok' }));
  app.get('/readyz', (_http, reply) => {
    const ready = !draining.now && (options.ready?.() ?? true);
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'not ready' });
  });
  const { registry } = options;
  if (!registry) return;
  requests.observeWith(createMetrics(registry, () => requests.size));
  app.get('/metrics', async (_http, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}

/** Each speaks one dialect. */
const doors: readonly Door[] = [
  chatCompletionsDoor,
  responsesDoor,
  messagesDoor,
  generateContentDoor,
  embeddingsDoor,
  modelsDoor,
];

interface Wiring extends Pick<DoorServices, 'clock' | 'limits' | 'closing'> {
  catalog: Catalog;
  share: () => Share;
  decisions: DecisionLog;
  pipeline: Pipeline;
  tools: ToolDoor;
  sandboxes: SandboxHost;
}

/** Everything here needs a token. It is checked before the body is read. */
function registerApi(app: FastifyInstance, options: GatewayOptions, wiring: Wiring): void {
  const { models, store } = options;
  const { clock } = wiring;
  const identify = createIdentify(options.authenticate, clock);
  const admit = createAdmit(store, clock);
  const services = { ...wiring, models };
  void app.register((api, _options, registered) => {
    api.addHook('onRequest', async (http) => {
      const stepToken = http.headers[STEP_HEADER];
      const shown = typeof stepToken === 'string' ? stepToken : undefined;
      const caller = await admit(() => identify(tokenIn(http)), shown);
      mustBeFor(http.routeOptions.config.engines, caller);
      http.record.caller = caller;
    });
    for (const door of doors) door(api, services);
    wiring.tools.register(api);
    registerSteps(api, store, options.spans);
    registerCode(api, { ...wiring, store });
    registerConversations(api, { store, memory: options.memory, clock });
    registered();
  });
}

/** Clients of Anthropic and of Google send their key in headers of their own. */
function tokenIn({ headers }: FastifyRequest): string | undefined {
  if (headers.authorization !== undefined) return headers.authorization;
  const key = headers['x-api-key'] ?? headers['x-goog-api-key'];
  return typeof key === 'string' ? `Bearer ${key}` : undefined;
}

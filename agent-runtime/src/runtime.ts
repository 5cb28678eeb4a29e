// One agent as a server: put together here, used by the process entry, by the CLI and by tests.
import type { RequestListener } from 'node:http';
import { a2aMetadata, type AgentConfig } from '@kadre/crds';
import type { Logger } from 'pino';
import packageJson from '../package.json' with { type: 'json' };
import { TaskStore, type TaskLimits } from './a2a/task-store.ts';
import { createAgent, type Agent } from './agent/agent.ts';
import { createGatewayClient } from './agent/gateway-client.ts';
import { createMemory } from './agent/memory.ts';
import { remembering } from './agent/remembering.ts';
import type { TokenSource } from './credentials.ts';
import { compileEndpoints } from './serve/generate-routes.ts';
import { createMetrics } from './serve/metrics.ts';
import { probeGateway, watchGateway } from './serve/readiness.ts';
import { createServer } from './serve/server.ts';
import { WorkGate } from './serve/work-gate.ts';

export interface RuntimeConfig {
  agent: AgentConfig;
  /** Base URL of the gateway, without a slash at its end. */
  gatewayUrl: string;
  /** Goes with `http://<podIp>:<port>` into the metadata of tasks, so that they can be found on this replica. */
  podIp?: string | undefined;
  /** Path prefix that callers may put before every path. */
  basePath?: string | undefined;
  /** Where callers reach the agent; goes into its A2A card. */
  publicUrl?: string | undefined;
  /** Requests and tasks at once; more are answered 503. */
  maxConcurrent?: number | undefined;
}

export interface RuntimeDeps {
  token: TokenSource;
  logger: Logger;
  limits?: Partial<TaskLimits>;
  /** Also report on the whole process under /metrics; for the process that runs nothing but this agent. */
  processMetrics?: boolean;
}

export interface Runtime {
  /** Starts to serve; port 0 picks a free one. Returns the base URL. */
  listen(address: { host: string; port: number }): Promise<string>;
  /** Answers requests that come in through somebody else's server, instead of `listen`. */
  listener(): Promise<RequestListener>;
  /** Fails readiness, refuses new work, gives what is under way so many milliseconds, then closes. */
  shutdown(graceMs: number): Promise<void>;
}

/** The part of an agent's configuration that only use can prove is wrong: a schema, or the prompt of an endpoint. */
export class AgentConfigError extends Error {
  override name = 'AgentConfigError';
}

const DEFAULT_MAX_CONCURRENT = 256;
/** What is remembered of a conversation leaves room for what is said now. */
const KEPT_SHARE = 1 / 2;
const STREAMS_PER_SLOT = 4;
/** Late enough not to hold up the first answer to a readiness probe, early enough for the first request. */
const WARM_UP_AFTER_MS = 300;
const DEFAULT_LIMITS = {
  maxTasks: 2_000,
  maxAgeMs: 30 * 60_000,
  maxRetained: 64 * 1024 * 1024,
};

/** @throws {AgentConfigError} when a schema or a prompt of the configuration is wrong. */
export async function createRuntime(config: RuntimeConfig, deps: RuntimeDeps): Promise<Runtime> {
  const { logger, token } = deps;
  const maxConcurrent = config.maxConcurrent ?? DEFAULT_MAX_CONCURRENT;
  const limits = { ...DEFAULT_LIMITS, ...deps.limits };
  let instance: string | undefined;
  let warmUpTimer: NodeJS.Timeout | undefined;
  const gate = new WorkGate(maxConcurrent);
  const tasks = new TaskStore(limits, () => (instance === undefined ? {} : { [a2aMetadata.instance]: instance }));
  const metrics = createMetrics({
    inFlight: () => gate.active,
    tasks: () => tasks.size,
    tasksStarted: () => tasks.started,
    process: deps.processMetrics === true,
  });
  const readiness = watchGateway({ probe: probeGateway(config.gatewayUrl) });
  const gateway = createGatewayClient({ gatewayUrl: config.gatewayUrl, token, onReached: () => readiness.reached() });
  const memory = config.agent.memory
    ? createMemory(gateway, config.agent.limits.contextCharacters * KEPT_SHARE)
    : undefined;
  const parts = await compile(config.agent, async () => {
    const agent = await createAgent(config.agent, {
      gateway,
      onUsage: (usage) => metrics.tokens(usage),
      onCompaction: (compaction) => logger.info(compaction, 'left results of tools out of a long conversation'),
    });
    return memory === undefined ? agent : remembering(agent, memory);
  }).catch((error: unknown) => {
    readiness.stop();
    throw error;
  });
  const options = {
    publicUrl: config.publicUrl,
    basePath: config.basePath ?? '',
    maxStreams: maxConcurrent * STREAMS_PER_SLOT,
  };
  const app = await createServer(
    { ...parts, memory, gate, tasks, readiness, metrics, logger, version: packageJson.version },
    options,
  );
  return {
    listen: async (address) => {
      const url = await app.listen(address);
      const { port } = new URL(url);
      if (config.podIp !== undefined)
        instance = `http://${config.podIp.includes(':') ? `[${config.podIp}]` : config.podIp}:${port || '80'}`;
      const warmUp = (): void => {
        gateway.warmUp().catch((error: unknown) => logger.warn({ err: error }, 'could not load the HTTP client'));
      };
      warmUpTimer = setTimeout(warmUp, WARM_UP_AFTER_MS).unref();
      return url;
    },
    listener: async () => {
      await app.ready();
      return (request, response) => app.routing(request, response);
    },
    shutdown: async (graceMs) => {
      await gate.drain(graceMs);
      clearTimeout(warmUpTimer);
      readiness.stop();
      await app.close();
      await gateway.close();
    },
  };
}

async function compile(config: AgentConfig, create: () => Promise<Agent>) {
  try {
    const [agent, endpoints] = await Promise.all([create(), compileEndpoints(config)]);
    return { agent, endpoints };
  } catch (error) {
    throw new AgentConfigError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

// Agents and their gateway in this very process. Each starts when it is first asked: a run begins without waiting for them.
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  agentConfigOf,
  type Agent,
  type Budget,
  type Knowledge,
  type Model,
  type Tool,
  type Workflow,
} from '@kadre/crds';
import type { AgentDirectory } from '@kadre/engine';
import type { Gateway, Identity } from '@kadre/gateway';
import type { Runtime } from '@kadre/agent-runtime';
import type { Store } from '@kadre/store';
import type { Logger } from 'pino';

export interface AgentHostOptions {
  namespace: string;
  agents: readonly Agent[];
  models: readonly Model[];
  tools: readonly Tool[];
  /** What Tools run. */
  workflows: readonly Workflow[];
  budgets: readonly Budget[];
  /** What the agents may search, and what makes it ready for one. */
  knowledge: readonly Knowledge[];
  ready: (agent: Agent) => Promise<void>;
  /** Agents that somebody else serves, by name: their URLs. */
  served: ReadonlyMap<string, string>;
  /** The data of a Secret; undefined if it is not there. */
  secret: (name: string) => Record<string, string> | undefined;
  store: Store;
  logger: Logger;
}

export interface AgentHost {
  directory: AgentDirectory;
  /** The address of the gateway, which starts now if it hasn't yet. */
  gateway: () => Promise<string>;
  close(): Promise<void>;
}

const LOOPBACK = '127.0.0.1';

export async function startAgentHost(options: AgentHostOptions): Promise<AgentHost> {
  const { agents, served, namespace } = options;
  // Others on this machine can reach the port as well; without the key they get nowhere.
  const key = randomBytes(16).toString('base64url');
  const server = createServer((request, response) => void crew.answer(request, response));
  const { port } = await listening(server);
  const names = new Set(agents.map(({ metadata }) => metadata.name));
  const directory: AgentDirectory = {
    resolve: (where, name) => {
      const own = names.has(name) ? `http://${LOOPBACK}:${port}/${key}/${name}` : undefined;
      const url = where === namespace ? (served.get(name) ?? own) : undefined;
      return url === undefined ? { found: false, serving: false } : { found: true, serving: true, url };
    },
  };
  const crew = new Crew(options, key, directory);
  return {
    directory,
    gateway: () => crew.gatewayUrl(),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await crew.close();
    },
  };
}

class Crew {
  readonly #options: AgentHostOptions;
  readonly #key: string;
  readonly #directory: AgentDirectory;
  readonly #tokens = new Map<string, Identity>();
  readonly #starting = new Map<string, Promise<{ runtime: Runtime; listener: RequestListener }>>();
  #gateway: Promise<{ gateway: Gateway; url: string }> | undefined;

  constructor(options: AgentHostOptions, key: string, directory: AgentDirectory) {
    this.#options = options;
    this.#key = key;
    this.#directory = directory;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, key, name = ''] = (request.url ?? '').split('/');
    const agent = this.#options.agents.find(({ metadata }) => metadata.name === name);
    if (key !== this.#key || !agent) {
      response.writeHead(404).end();
      return;
    }
    const starting = this.#starting.get(name) ?? this.#start(agent);
    this.#starting.set(name, starting);
    try {
      const { listener } = await starting;
      listener(request, response);
    } catch (error) {
      this.#options.logger.error({ err: error }, `agent ${name} cannot start`);
      refuse(response, `Agent ${name} cannot start: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async gatewayUrl(): Promise<string> {
    return (await this.#startGateway()).url;
  }

  async close(): Promise<void> {
    const started = await Promise.allSettled(this.#starting.values());
    const runtimes = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value.runtime] : []));
    await Promise.all(runtimes.map((runtime) => runtime.shutdown(0)));
    const gateway = await this.#gateway?.catch(() => undefined);
    await gateway?.gateway.close();
  }

  async #start(agent: Agent): Promise<{ runtime: Runtime; listener: RequestListener }> {
    const { namespace, logger } = this.#options;
    const { name } = agent.metadata;
    const [{ createRuntime }, { url }] = await Promise.all([import('@kadre/agent-runtime'), this.#startGateway()]);
    await this.#options.ready(agent);
    const token = randomBytes(24).toString('base64url');
    this.#tokens.set(token, { namespace, serviceAccount: `agent-${name}`, uid: name });
    const runtime = await createRuntime(
      {
        // Nobody calls it here but steps and other agents.
        agent: { ...agentConfigOf(name, namespace, agent.spec), endpoints: [], memory: false },
        gatewayUrl: url,
        basePath: `/${this.#key}/${name}`,
      },
      { token: () => Promise.resolve(token), logger: logger.child({ agent: name }) },
    );
    return { runtime, listener: await runtime.listener() };
  }

  #startGateway(): Promise<{ gateway: Gateway; url: string }> {
    return (this.#gateway ??= this.#openGateway());
  }

  async #openGateway(): Promise<{ gateway: Gateway; url: string }> {
    const { agents, models, tools, workflows, knowledge, budgets, secret, store, logger, namespace } = this.#options;
    const named = <T extends { metadata: { name: string } }>(all: readonly T[], where: string, name: string) =>
      where === namespace ? all.find(({ metadata }) => metadata.name === name) : undefined;
    const [{ createGateway }, { createLaptopSandbox }] = await Promise.all([
      import('@kadre/gateway'),
      import('@kadre/sandbox'),
    ]);
    const gateway = createGateway({
      models: {
        get: (where, name) => named(models, where, name),
        list: (where) => (where === namespace ? [...models] : []),
      },
      budgets: {
        list: (where) => (where === namespace ? [...budgets] : []),
        ofAgent: (where, agent) => named(agents, where, agent)?.spec.limits,
      },
      tools: {
        get: (where, name) => named(tools, where, name),
        grants: (where, agent) => named(agents, where, agent)?.spec.tools ?? [],
      },
      workflows: { get: (where, name) => named(workflows, where, name) },
      agents: {
        resolve: (where, name) => this.#directory.resolve(where, name),
        grants: (where, agent) => named(agents, where, agent)?.spec.agents ?? [],
        spec: (where, name) => (this.#options.served.has(name) ? undefined : named(agents, where, name)?.spec),
      },
      ...(knowledge.length > 0 && {
        knowledge: {
          get: (where, name) => named(knowledge, where, name),
          grants: (where, agent) => named(agents, where, agent)?.spec.knowledge ?? [],
        },
      }),
      secrets: { read: (_, name) => Promise.resolve(secret(name)) },
      authenticate: (token) => Promise.resolve(this.#tokens.get(token)),
      store,
      logger,
      sandboxes: createLaptopSandbox(),
      // A server of models or tools on one's own machine is the usual one here.
      limits: { allowLoopback: true, drainMs: 0 },
    });
    return { gateway, url: await gateway.listen({ host: LOOPBACK, port: 0 }) };
  }
}

/** As A2A says that something is wrong, so that the step fails with this message. */
function refuse(response: ServerResponse, message: string): void {
  const error = { code: -32603, message };
  response
    .writeHead(200, { 'content-type': 'application/json' })
    .end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
}

function listening(server: Server): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, LOOPBACK, () => resolve(server.address() as AddressInfo));
  });
}

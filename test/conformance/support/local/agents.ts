// The agents of a case as they are in a cluster: each is the agent-runtime, all reach their models through the gateway. Steps
// reach tools and sandboxes through it, too.
import { createRuntime, type Runtime } from '@kadre/agent-runtime';
import { agentConfig, STEP_HEADER, toolSpec, type Model, type Tool } from '@kadre/crds';
import type { AgentDirectory } from '@kadre/engine';
import { createGateway } from '@kadre/gateway';
import { createLaptopSandbox } from '@kadre/sandbox';
import { verifyStepToken, type Store } from '@kadre/store';
import { pino } from 'pino';
import { ensureBubblewrap } from '../../../support/bubblewrap.ts';
import type { Case } from '../case.ts';
import type { FastClock } from './clock.ts';

const logger = pino({ level: process.env['KADRE_TEST_LOG'] ?? 'silent' });
const NAMESPACE = 'conformance';
/** What the token of an agent begins with; its name follows. */
const TOKEN = 'token-of-agent-';

export interface HostedAgents {
  directory: AgentDirectory;
  /** Address of the gateway. */
  gateway: () => Promise<string>;
  /** How often models were asked for an attempt of a run, such as draft/1. */
  asked(run: string): Record<string, number>;
  close(): Promise<void>;
}

export async function hostAgents(one: Case, store: Store, clock: FastClock): Promise<HostedAgents> {
  await ensureBubblewrap();
  const asked = new Map<string, Record<string, number>>();
  const gateway = createGateway({
    models: modelsOf(one),
    tools: { grants: () => [], get: toolsOf(one) },
    sandboxes: createLaptopSandbox(),
    secrets: { read: () => Promise.resolve(undefined) },
    authenticate: (token) => {
      const agent = token.slice(TOKEN.length);
      return Promise.resolve({ namespace: NAMESPACE, serviceAccount: `agent-${agent}`, uid: agent });
    },
    store,
    logger,
    clock,
  });
  const secret = await store.secret('step-token');
  gateway.app.addHook('onRequest', (request, _reply, proceed) => {
    const token = request.headers[STEP_HEADER];
    const claims = typeof token === 'string' ? verifyStepToken(secret, token, clock.now()) : undefined;
    if (claims) count(asked, claims.run, `${claims.step}/${claims.attempt}`);
    proceed();
  });
  let listening: Promise<string> | undefined;
  const gatewayUrl = () => (listening ??= gateway.listen({ host: '127.0.0.1', port: 0 }));
  const hosted = await Promise.all(one.agents.map(async (agent) => serve(agent, await gatewayUrl())));
  const urls = new Map(hosted.map(({ name, url }) => [name, url]));
  return {
    directory: {
      resolve: (_namespace, name) => {
        const url = urls.get(name);
        return url === undefined ? { found: false, serving: false } : { found: true, serving: true, url };
      },
    },
    gateway: gatewayUrl,
    asked: (run) => asked.get(run) ?? {},
    close: async () => {
      await Promise.all(hosted.map(({ runtime }) => runtime.shutdown(0)));
      await gateway.close();
    },
  };
}

async function serve(
  { metadata: { name }, spec }: Case['agents'][number],
  gatewayUrl: string,
): Promise<{ name: string; url: string; runtime: Runtime }> {
  const { instructions, model, output } = spec;
  const agent = agentConfig.parse({ name, namespace: NAMESPACE, instructions, model, output });
  const runtime = await createRuntime(
    { agent, gatewayUrl, podIp: '127.0.0.1' },
    { token: () => Promise.resolve(TOKEN + name), logger },
  );
  return { name, url: await runtime.listen({ host: '127.0.0.1', port: 0 }), runtime };
}

const created = (name: string) => ({
  ...{ name, namespace: NAMESPACE, uid: name, generation: 1 },
  creationTimestamp: '2026-01-01T00:00:00Z',
});

function toolsOf({ tools }: Case) {
  const all = tools.map(({ metadata: { name }, spec, ...tool }) => ({
    ...tool,
    spec: toolSpec.parse(spec),
    metadata: created(name),
  })) as Tool[];
  return (_namespace: string, name: string) => all.find(({ metadata }) => metadata.name === name);
}

function modelsOf({ models }: Case) {
  const all = models.map((model) => ({ ...model, metadata: created(model.metadata.name) }) as Model);
  return {
    get: (_namespace: string, name: string) => all.find(({ metadata }) => metadata.name === name),
    list: () => all,
  };
}

function count(asked: Map<string, Record<string, number>>, run: string, attempt: string): void {
  const counts = asked.get(run) ?? {};
  counts[attempt] = (counts[attempt] ?? 0) + 1;
  asked.set(run, counts);
}

// A gateway and agents that may ask each other, each a runtime of its own as its image runs it.
import { createRuntime, type Runtime } from '@kadre/agent-runtime';
import {
  a2aMetadata,
  agentConfig,
  type AgentConfig,
  type AgentGrant,
  type AgentSpec,
  type ModelSpec,
} from '@kadre/crds';
import type { GatewayOptions } from '@kadre/gateway';
import { mintStepToken } from '@kadre/store';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import pino from 'pino';
import { NAMESPACE, step } from '../gateway/bed.ts';
import { startToolBed, type ToolBed } from '../gateway/tool-bed.ts';

type Script = NonNullable<NonNullable<ModelSpec['simulated']>['script']>;

export interface Asked {
  id?: string;
  prompt?: string;
  /** Absent: on behalf of the step of the bed. */
  outside?: boolean;
  metadata?: Record<string, unknown>;
  signal?: AbortSignal;
}

export interface Task {
  id: string;
  status: { state: string; message?: { parts: { text: string }[]; metadata?: Record<string, unknown> } };
  artifacts?: { parts: { text?: string; data?: unknown }[]; metadata?: Record<string, unknown> }[];
}

export interface Crew extends ToolBed {
  /** Serves an agent whose model answers by the script. */
  agent(name: string, script: Script, spec?: Partial<AgentSpec>): Promise<void>;
  /** One that runs in Jobs alone. */
  unserved(name: string): void;
  /** Where it answers now. */
  urlOf(name: string): string;
  stop(name: string): Promise<void>;
  ask(name: string, asked?: Asked): Promise<Task>;
  rpc(name: string, method: string, params: unknown, signal?: AbortSignal): Promise<Response>;
  message(asked?: Asked): Promise<object>;
}

interface Served {
  runtime: Runtime;
  server: Server;
  url: string;
}

export const grant = (name: string, handOff = false): AgentGrant => ({ name, handOff });

export const textOf = ({ artifacts, status }: Task): string =>
  artifacts?.[0]?.parts.map(({ text, data }) => text ?? JSON.stringify(data)).join('') ??
  status.message?.parts[0]?.text ??
  '';

export async function startCrew(options: Partial<GatewayOptions> = {}): Promise<Crew> {
  const specs = new Map<string, AgentSpec>();
  const served = new Map<string, Served>();
  const bed = await startToolBed({
    agents: {
      grants: (_, agent) => specs.get(agent)?.agents ?? [],
      spec: (_, name) => specs.get(name),
      resolve: (namespace, name) => {
        const url = namespace === NAMESPACE ? served.get(name)?.url : undefined;
        return { found: specs.has(name), serving: url !== undefined, ...(url !== undefined && { url }) };
      },
    },
    budgets: { list: () => [], ofAgent: (_, agent) => specs.get(agent)?.limits },
    ...options,
  });

  const stop = async (name: string): Promise<void> => {
    const found = served.get(name);
    found?.server.closeAllConnections();
    found?.server.close();
    await found?.runtime.shutdown(0);
  };
  const urlOf = (name: string): string => served.get(name)?.url ?? '';
  const message = async ({ id = 'm1', prompt = 'Go.', outside, metadata }: Asked = {}) => {
    const stepToken = outside
      ? undefined
      : mintStepToken(await bed.store.secret('step-token'), step, Date.now() + 600_000);
    return {
      ...{ messageId: id, role: 'ROLE_USER', parts: [{ text: prompt }] },
      metadata: { ...(stepToken !== undefined && { [a2aMetadata.stepToken]: stepToken }), ...metadata },
    };
  };
  const rpc: Crew['rpc'] = (name, method, params, signal) =>
    fetch(`${urlOf(name)}/a2a`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'a2a-version': '1.0' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      ...(signal && { signal }),
    });

  return {
    ...bed,
    urlOf,
    stop,
    message,
    rpc,
    unserved: (name) => void specs.set(name, { instructions: 'Go on.', model: name }),
    agent: async (name, script, spec = {}) => {
      const full: AgentSpec = { instructions: 'Go on.', model: name, ...spec };
      specs.set(name, full);
      bed.model(name, { simulated: { script } });
      bed.tokens.set(`token-${name}`, { namespace: NAMESPACE, serviceAccount: `agent-${name}`, uid: name });
      served.set(name, await serve(configOf(name, full, (bed.grants.get(name) ?? []).length > 0), bed.url));
    },
    ask: async (name, asked = {}) => {
      const response = await rpc(name, 'SendMessage', { message: await message(asked) }, asked.signal);
      const { result, error } = (await response.json()) as { result?: { task: Task }; error?: { message: string } };
      if (!result) throw new Error(error?.message ?? 'no result');
      return result.task;
    },
    close: async () => {
      await Promise.all([...served.keys()].map(stop));
      await bed.close();
    },
  };
}

const configOf = (name: string, spec: AgentSpec, hasTools: boolean): AgentConfig =>
  agentConfig.parse({
    ...{ name, namespace: NAMESPACE, instructions: spec.instructions, model: spec.model },
    ...(spec.output && { output: spec.output }),
    tools: hasTools || (spec.agents ?? []).length > 0,
  });

async function serve(agent: AgentConfig, gatewayUrl: string): Promise<Served> {
  const token = (): Promise<string> => Promise.resolve(`token-${agent.name}`);
  const logger = pino({ level: 'silent' });
  const runtime = await createRuntime({ agent, gatewayUrl, basePath: '' }, { token, logger });
  const server = createServer(await runtime.listener());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { runtime, server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

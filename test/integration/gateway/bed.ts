// A gateway on a loopback port, with a real store on disk and everything else in the test's hands.
import type { Model, ModelSpec } from '@kadre/crds';
import { createGateway, type Gateway, type GatewayOptions, type Identity } from '@kadre/gateway';
import { openSqliteStore, type Store, type UsageTotal } from '@kadre/store';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import OpenAI from 'openai';
import pino from 'pino';

export const CANARY = 'sk-canary-5f0c9d1e';
export const NAMESPACE = 'team-a';

export interface Bed {
  url: string;
  gateway: Gateway;
  store: Store;
  /** Everything that was logged, as text. */
  log(): string;
  /** The log lines about finished requests. */
  lines(): Record<string, unknown>[];
  /** Models by `namespace/name`. */
  models: Map<string, Model>;
  /** Secrets by `namespace/name`. */
  secrets: Map<string, Record<string, string>>;
  /** Who each token stands for. */
  tokens: Map<string, Identity>;
  model(name: string, spec: Partial<ModelSpec>): void;
  client(token?: string, headers?: Record<string, string>): OpenAI;
  close(): Promise<void>;
}

export const researcher: Identity = {
  namespace: NAMESPACE,
  serviceAccount: 'agent-researcher',
  pod: 'agent-researcher-7d9c-x2x2x',
  uid: 'sa-1',
};

export async function startBed(options: Partial<GatewayOptions> = {}): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), 'kadre-gateway-'));
  const store = openSqliteStore(join(folder, 'kadre.db'));
  const models = new Map<string, Model>();
  const secrets = new Map([[`${NAMESPACE}/llm`, { key: CANARY }]]) as Bed['secrets'];
  const tokens = new Map([['token-a', researcher]]);
  let written = '';
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written += chunk.toString();
      done();
    },
  });
  const gateway = createGateway({
    models: {
      get: (namespace, name) => models.get(`${namespace}/${name}`),
      list: (namespace) => [...models.values()].filter(({ metadata }) => metadata.namespace === namespace),
    },
    secrets: { read: (namespace, name) => Promise.resolve(secrets.get(`${namespace}/${name}`)) },
    authenticate: (token) => Promise.resolve(tokens.get(token)),
    store,
    logger: pino({ level: 'trace' }, sink),
    ...options,
    limits: { allowLoopback: true, drainMs: 1000, ...options.limits },
  });
  const url = await gateway.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    gateway,
    store,
    models,
    secrets,
    tokens,
    log: () => written,
    lines: () =>
      written
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ msg }) => msg === 'request'),
    model: (name, spec) => models.set(`${NAMESPACE}/${name}`, modelOf(name, spec)),
    client: (token = 'token-a', headers = {}) =>
      new OpenAI({ baseURL: `${url}/v1`, apiKey: token, maxRetries: 0, defaultHeaders: headers }),
    close: async () => {
      await gateway.close();
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

let models = 0;

function modelOf(name: string, spec: Partial<ModelSpec>): Model {
  models += 1;
  return {
    apiVersion: 'kadre.dev/v1alpha1',
    kind: 'Model',
    metadata: {
      name,
      namespace: NAMESPACE,
      uid: `uid-${name}`,
      resourceVersion: '1',
      generation: models,
      creationTimestamp: '2026-01-02T03:04:05Z',
    },
    spec: { provider: 'simulated', ...spec },
  };
}

/** A step's run, step and attempt under which the bed's tokens are minted. */
export const step = { run: 'run-1', step: 'research', attempt: 1, namespace: NAMESPACE, agent: 'researcher' };

export const usageOf = (bed: Bed): Promise<UsageTotal> => bed.store.usage(step.run, step.step, step.attempt);

/** Asks again and again until the answer is true; fails after ten seconds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let left = 1000; left > 0; left -= 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('the condition was not met within ten seconds');
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export const user = (content: string): { role: 'user'; content: string }[] => [{ role: 'user', content }];

/** The error of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OpenAI.APIError)) throw new Error(`expected an APIError, got ${String(error)}`);
  return error;
}

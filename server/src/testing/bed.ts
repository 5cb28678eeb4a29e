// A server as its senders meet it: over HTTP, with Triggers, Secrets and Runs in memory and a clock that stands still.
import { createHmac } from 'node:crypto';
import { pino } from 'pino';
import { API_VERSION, type Trigger, type TriggerSpec } from '@kadre/crds';
import type { RunManifest } from '@kadre/engine';
import type { PublishedEvent } from '@kadre/store';
import { createServer } from '../server.ts';
import type { RunStarter, ServerOptions } from '../options.ts';

export type Webhook = NonNullable<TriggerSpec['webhook']>;

export const SECRET = "It's a Secret to Everybody";
export const NOW = Date.UTC(2026, 10, 21, 12);

/** As GitHub sends them, with the defaults that the API server fills in. */
export const github: Webhook = {
  auth: {
    hmac: {
      secretRef: { name: 'hook', key: 'secret' },
      header: 'X-Hub-Signature-256',
      algorithm: 'sha256',
      encoding: 'hex',
      prefix: 'sha256=',
      tolerance: '5m',
    },
  },
  idempotencyKey: "$(headers['x-github-delivery'])",
  remember: '1h',
};

export const bearer: Webhook = {
  auth: { bearer: { secretRef: { name: 'hook', key: 'secret' } } },
  idempotencyKey: "$(headers['idempotency-key'])",
  remember: '1h',
};

export function trigger(webhook: Webhook | undefined, more: Partial<TriggerSpec> = {}, name = 'issues'): Trigger {
  const metadata = {
    name,
    namespace: 'team',
    uid: `uid-${name}`,
    resourceVersion: '1',
    generation: 1,
    creationTimestamp: '',
  };
  const start = { workflow: { name: 'triage' }, input: '$(body)' };
  return { apiVersion: API_VERSION, kind: 'Trigger', metadata, spec: { ...(webhook && { webhook }), start, ...more } };
}

export const sign = (body: string | Buffer, secret = SECRET, algorithm = 'sha256') =>
  createHmac(algorithm, secret).update(body);

export interface Reply {
  status: number;
  headers: Headers;
  body: {
    outcome?: string;
    run?: { name: string };
    event?: { name: string };
    error?: { code: string; message: string };
  };
}

export type Bed = Awaited<ReturnType<typeof startBed>>;

export async function startBed(triggers: Trigger[], more: Partial<ServerOptions> = {}) {
  const clock = { at: NOW, now: () => clock.at };
  const secrets = new Map<string, Record<string, string>>([['hook', { secret: `${SECRET}\n`, empty: '' }]]);
  const runs = new Map<string, RunManifest>();
  const events = new Map<string, PublishedEvent>();
  const logged: string[] = [];
  const starter: RunStarter = {
    start: (run) => {
      const state = runs.has(run.metadata.name) ? 'exists' : 'created';
      runs.set(run.metadata.name, run);
      return Promise.resolve({ state });
    },
  };
  const reads: string[] = [];
  const options: ServerOptions = {
    triggers: {
      get: (namespace, name) =>
        triggers.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name),
    },
    secrets: {
      read: (_namespace, name) => {
        reads.push(name);
        return Promise.resolve(secrets.get(name));
      },
    },
    runs: starter,
    store: {
      publishEvent: (event) => {
        const isNew = !events.has(event.id);
        events.set(event.id, event);
        return Promise.resolve(isNew);
      },
    },
    logger: pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) }),
    clock,
    ...more,
  };
  const server = createServer(options);
  const url = await server.listen({ host: '127.0.0.1', port: 0 });

  const post = async (
    body: string | Buffer | undefined,
    headers: Record<string, string> = {},
    path = '/v1/namespaces/team/triggers/issues',
  ): Promise<Reply> => {
    const payload = body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) };
    const response = await fetch(`${url}${path}`, { method: 'POST', headers, ...payload });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: JSON.parse(text) as Reply['body'] };
  };

  return {
    url,
    clock,
    secrets,
    reads,
    runs,
    events,
    logged,
    post,
    /** What GitHub would send. */
    deliver: (body: string | Buffer, delivery = 'd-1', headers: Record<string, string> = {}, path?: string) =>
      post(
        body,
        {
          'content-type': 'application/json',
          'x-github-delivery': delivery,
          'x-hub-signature-256': `sha256=${sign(body).digest('hex')}`,
          ...headers,
        },
        path,
      ),
    stop: () => server.close(),
  };
}

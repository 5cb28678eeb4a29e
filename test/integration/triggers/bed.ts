// A real API server with Kadre's kinds, rights and policies, an operator that has no more than these rights and a clock that
// tests set, and as many servers as a test wants. There is no engine: tests say what becomes of Runs.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { labels, type TriggerStatus } from '@kadre/crds';
import { validateWorkflow } from '@kadre/engine';
import { ruleProblem } from '@kadre/gateway';
import { connect, createOperator, createTriggerSources, type Connection, type Operator } from '@kadre/operator';
import { createToolbox } from '@kadre/tools';
import { createServer } from '@kadre/server';
import { capture } from '../../support/kubectl.ts';
import { eventually, field, KADRE, startBed, type Ref, type Seen } from '../operator/bed.ts';

const root = join(import.meta.dirname, '..', '..', '..');

export type Client = Connection['client'];
export type TriggerBed = Awaited<ReturnType<typeof startTriggerBed>>;

export async function startTriggerBed() {
  const base = await startBed();
  const folder = await mkdtemp(join(tmpdir(), 'kadre-triggers-'));
  const admin = base.controlPlane.adminKubeconfigPath;
  const kubectl = (args: string[], input = '', as?: string): Promise<string> =>
    capture(
      base.controlPlane.binaries.kadreCluster,
      ['kubectl', '--kubeconfig', admin, ...(as === undefined ? [] : ['--as', as]), ...args],
      input,
    );
  await kubectl(['create', 'namespace', 'kadre-system']);
  for (const part of ['rbac', 'policy']) await kubectl(['apply', '--server-side', '-k', join(root, 'config', part)]);
  const kubeconfig = await kubeconfigOfKadre(kubectl, folder);
  /** Added to the time of day. Timers go by the real one: tests make the operator look with `poke`. */
  let ahead = 0;
  const stops = new Set<() => Promise<void>>();

  const clock = {
    now: () => Date.now() + ahead,
    monotonic: () => performance.now(),
    after: (ms: number, action: () => void) => {
      const timer = setTimeout(action, Math.min(ms, 2 ** 31 - 1));
      return () => clearTimeout(timer);
    },
  };
  const onStop = (stop: () => Promise<void>) => {
    const once = async () => {
      if (stops.delete(once)) await stop();
    };
    stops.add(once);
    return once;
  };

  const startOperator = async (wrap: (client: Client) => Client = (client) => client) => {
    const connection = connect({ kubeconfig });
    const toolbox = createToolbox();
    const operator: Operator = createOperator({
      client: wrap(connection.client),
      metrics: connection.metrics,
      store: base.store,
      settings: {
        runtimeImage: 'kadre-runtime:test',
        gatewayUrl: 'http://gateway.kadre-system.svc',
        serverUrl: 'http://kadre-server.kadre-system.svc',
        systemNamespace: 'kadre-system',
      },
      validateWorkflow,
      ruleProblem: (rule) => Promise.resolve(ruleProblem(rule)),
      toolbox,
      instance: 'test',
      clock,
    });
    await operator.start();
    return onStop(async () => {
      await operator.stop(5000);
      await toolbox.close();
      await connection.close();
    });
  };

  const startServer = async () => {
    const connection = connect({ kubeconfig });
    const sources = createTriggerSources({ client: connection.client, instance: 'test' });
    const server = createServer({ ...sources, store: base.store, clock, logger: pino({ level: 'silent' }) });
    await sources.start();
    const url = await server.listen({ host: '127.0.0.1', port: 0 });
    const stop = onStop(async () => {
      await server.close();
      await sources.stop();
      await connection.close();
    });
    return { url, stop };
  };

  return {
    ...base,
    kubectl,
    startOperator,
    startServer,
    /** Sets the time of day so many milliseconds forward. */
    forward: (ms: number) => (ahead += ms),
    /** To the time of the API server, which says when objects were created. */
    resetClock: () => (ahead = 0),
    now: clock.now,
    stop: async () => {
      for (const stop of [...stops]) await stop();
      await base.stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** The administrator's kubeconfig with the token of Kadre's ServiceAccount in place of the administrator's certificate. */
async function kubeconfigOfKadre(kubectl: (args: string[]) => Promise<string>, folder: string): Promise<string> {
  const token = (await kubectl(['-n', 'kadre-system', 'create', 'token', 'kadre'])).trim();
  const view = JSON.parse(await kubectl(['config', 'view', '--raw', '--flatten', '-o', 'json'])) as { users: object[] };
  const file = join(folder, 'kubeconfig');
  const users = view.users.map((entry) => ({ ...entry, user: { token } }));
  await writeFile(file, JSON.stringify({ ...view, users }), { mode: 0o600 });
  return file;
}

/** What tests do with the Triggers of one namespace. */
export function triggersIn(bed: TriggerBed, namespace: string) {
  const ref = (kind: string, name: string): Ref => ({ apiVersion: KADRE, kind, namespace, name });
  const trigger = (name = 't') => ref('Trigger', name);
  let pokes = 0;
  const runs = async (): Promise<Seen[]> =>
    (await bed.list(KADRE, 'Run', namespace)).filter(({ metadata }) => metadata.labels?.[labels.trigger] !== undefined);
  const poke = (name = 't') =>
    bed.client.patch(trigger(name), { metadata: { annotations: { poked: `${++pokes}` } } }).then(() => undefined);
  const apply = (spec: object, name = 't') =>
    bed.apply({ apiVersion: KADRE, kind: 'Trigger', metadata: { name, namespace }, spec });
  const ready = (reason: string, name = 't') =>
    eventually(`Trigger ${name} ${reason}`, async () => {
      const object = await bed.get(trigger(name));
      const status = object?.status as TriggerStatus | undefined;
      const found = status?.conditions?.find(({ type }) => type === 'Ready');
      if (found?.reason === reason && status?.observedGeneration === object?.metadata.generation) return found;
      throw new Error(JSON.stringify(status));
    });
  return {
    trigger,
    apply,
    ready,
    /** Waits until the operator has looked at all that there was to look at: then it sees a Trigger that came last. */
    settled: async (name = 't') => {
      await poke(name);
      const probe = `probe-${++pokes}`;
      const event = { name: 'never' };
      await apply({ schedule: { cron: '0 0 1 1 *' }, start: { event }, suspend: true }, probe);
      await ready('Suspended', probe);
    },
    run: (name: string) => ref('Run', name),
    runs,
    poke,
    status: async (name = 't') => (await bed.get(trigger(name)))?.status as TriggerStatus | undefined,
    count: (wanted: number) =>
      eventually(`${wanted} Runs`, async () => {
        const all = await runs();
        if (all.length === wanted) return all;
        throw new Error(all.map(({ metadata }) => JSON.stringify(metadata.annotations)).join('\n'));
      }),
    end: (run: Seen, phase: 'Succeeded' | 'Failed') =>
      bed.controlPlane.api.merge(`/apis/kadre.dev/v1alpha1/namespaces/${namespace}/runs/${run.metadata.name}/status`, {
        status: { phase },
      }),
    inputs: async () => (await runs()).map((one) => field(one, 'spec.input')),
  };
}

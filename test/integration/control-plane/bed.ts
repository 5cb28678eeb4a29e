// A real API server, a real PostgreSQL, each role of Kadre as a process of its own, and an agent that waits to be told to
// answer.
import { openPostgresStore, type Store, type StoredEvent } from '@kadre/store';
import { startAgent } from '../../../engine/src/testing/agent-server.ts';
import { startControlPlane } from '../../cluster/control-plane.ts';
import { prepareApi, startKadre, type KadreProcess } from '../../support/kadre-process.ts';
import { eventually } from '../../support/kubectl.ts';
import { startPostgres } from '../../support/postgres.ts';
import { servicesModule } from './services.ts';

const KADRE = 'kadre.dev/v1alpha1';
const OBJECTS = `/apis/${KADRE}/namespaces/default`;
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kadre-system/leases/kadre';

export type Bed = Awaited<ReturnType<typeof startBed>>;

interface RunObject {
  metadata: { name: string; uid: string };
  status?: { phase?: string; output?: unknown };
}

interface ApprovalObject {
  metadata: { name: string };
  spec: { decision?: string };
}

export async function startBed() {
  const [controlPlane, postgres, agent] = await Promise.all([startControlPlane(), startPostgres(), startHeldAgent()]);
  await prepareApi(controlPlane);
  const processes: KadreProcess[] = [];
  const env = {
    KADRE_STORE_URL: postgres.url('kadre'),
    NODE_OPTIONS: `--import=${servicesModule}`,
    SERVICES: JSON.stringify({ 'writer.default.svc': Number(new URL(agent.url).port) }),
  };
  let look: Store | undefined;
  const bed = {
    controlPlane,
    postgres,
    agent,
    /** Starts a role and waits until it is ready. */
    start: async (command: string, name: string, change: NodeJS.ProcessEnv = {}): Promise<KadreProcess> => {
      const started = await bed.launch(command, name, change);
      await eventually(`${name} ready`, async () => {
        if (started.child.exitCode !== null) throw new Error(started.output());
        return started.ready();
      });
      return started;
    },
    /** Starts a role that need not become ready. */
    launch: async (command: string, name: string, change: NodeJS.ProcessEnv = {}): Promise<KadreProcess> => {
      const started = await startKadre(controlPlane, command, name, { ...env, ...change });
      processes.push(started);
      return started;
    },
    killAll: async (): Promise<void> => {
      for (const { child } of processes) child.kill('SIGKILL');
      await Promise.all(processes.splice(0).map(({ exit }) => exit));
    },
    apply: (plural: string, kind: string, name: string, spec: object) =>
      controlPlane.api.apply(`${OBJECTS}/${plural}/${name}`, { apiVersion: KADRE, kind, metadata: { name }, spec }),
    run: (name: string) => controlPlane.api.get<RunObject>(`${OBJECTS}/runs/${name}`),
    /** Says yes to whatever is asked. */
    approve: async () => {
      const { items } = await controlPlane.api.get<{ items: ApprovalObject[] }>(`${OBJECTS}/approvals`);
      for (const { metadata, spec } of items) {
        if (spec.decision !== undefined) continue;
        const decided = { spec: { decision: 'approved', decidedBy: 'ann' } };
        await controlPlane.api.merge(`${OBJECTS}/approvals/${metadata.name}`, decided);
      }
    },
    succeeded: (name: string): Promise<RunObject> =>
      eventually(`run ${name} succeeded`, async () => {
        const run = await bed.run(name);
        if (run.status?.phase !== 'Succeeded') throw new Error(JSON.stringify(run.status));
        return run;
      }),
    leader: async () =>
      (await controlPlane.api.get<{ spec: { holderIdentity?: string } }>(LEASE)).spec.holderIdentity ?? '',
    takeLease: () => controlPlane.api.merge(LEASE, { spec: { holderIdentity: 'somebody-else' } }),
    returnLease: () => controlPlane.api.merge(LEASE, { spec: { holderIdentity: '' } }),
    /** What was recorded of a run. */
    history: async (name: string): Promise<StoredEvent[]> => {
      look ??= await openPostgresStore(postgres.url('kadre'));
      return look.events((await bed.run(name)).metadata.uid);
    },
    openRuns: async (): Promise<string[]> => {
      look ??= await openPostgresStore(postgres.url('kadre'));
      return look.openRuns();
    },
    /** How many open runs each engine has, by the number of its seat: engines are numbered as they start. */
    runsByEngine: async (): Promise<Map<number, number>> => {
      const rows = await postgres.query<{ owner: string; runs: string }>(
        'SELECT owner, count(*) AS runs FROM kadre.runs WHERE NOT closed AND owner IS NOT NULL GROUP BY owner',
      );
      return new Map(rows.map(({ owner, runs }) => [Number(owner), Number(runs)]));
    },
    stop: async (): Promise<void> => {
      await bed.killAll();
      await look?.close();
      await Promise.all([controlPlane.stop(), postgres.remove(), agent.close()]);
    },
  };
  return bed;
}

/** Takes every task, and answers once it may. */
async function startHeldAgent() {
  let open: (() => void) | undefined;
  let gate: Promise<void> = Promise.resolve();
  const begun: string[] = [];
  const server = await startAgent(async ({ messageId, text }) => {
    begun.push(messageId);
    await gate;
    return { text: `Done: ${text}` };
  });
  return {
    url: server.url,
    /** Message ids of the tasks that were begun. */
    begun,
    hold: () => {
      gate = new Promise((resolve) => (open = resolve));
    },
    letGo: () => open?.(),
    close: () => server.close(),
  };
}

/** Values, a timer, an agent, and a person where the input says so. */
export const article = {
  input: { schema: { type: 'object', properties: { n: { type: 'integer' }, ask: { type: 'boolean' } } } },
  steps: [
    { name: 'double', value: '$(input.n * 2)' },
    { name: 'pause', needs: ['double'], wait: { for: '100ms' } },
    { name: 'write', needs: ['pause'], agent: { name: 'writer', prompt: 'About $(steps.double.output)' } },
    { name: 'allow', needs: ['write'], when: '$(input.ask)', approval: { message: 'Publish it?' } },
    { name: 'publish', needs: ['allow'], value: '$(steps.write.output)' },
  ],
  output: '$(steps.publish.output)',
};

/** Steps that have more than one beginning, or more than one end. Empty is what must be. */
export function recordedTwice(history: StoredEvent[]): string[] {
  const seen = new Set<string>();
  return history.flatMap(({ type, data }) => {
    const { step = '', attempt = 0 } = data as { step?: string; attempt?: number };
    const kind = /^Step(Succeeded|Failed|Cancelled|Skipped)$/.test(type) ? 'end' : type;
    const key = `${kind} ${step} ${attempt}`;
    if (seen.has(key)) return [key];
    seen.add(key);
    return [];
  });
}

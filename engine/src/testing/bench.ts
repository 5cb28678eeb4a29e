// A store on disk, an engine on it and whatever agents a test wants; the operator's part is played on demand.
import { API_VERSION, type Budget, type BudgetSpec } from '@kadre/crds';
import { openSqliteStore, type JobRecord, type RunProjection, type RunSubmission, type Store } from '@kadre/store';
import type { Spans } from '@kadre/telemetry';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';
import type { AgentDirectory } from '../driver/agents.ts';
import { startEngine, type Engine } from '../driver/engine.ts';
import type { EngineLimits } from '../driver/options.ts';

const silent: Logger = pino({ level: process.env['KADRE_TEST_LOG'] ?? 'silent' });

/** Short waits: tests wait for what must happen, never for time to pass. */
const testLimits: Partial<EngineLimits> = { poll: 50 };

/** Agents by name: a URL is served there, 'job' is not served. */
export type Agents = Record<string, string>;

export class Bench {
  readonly agents: Agents = {};
  /** In the namespace of the runs. */
  readonly budgets: Budget[] = [];
  /** What engines that are started from now on leave of their runs. */
  spans: Spans | undefined;
  readonly store: Store;
  readonly open: () => Store | Promise<Store>;
  readonly #tidy: () => Promise<void>;
  readonly #limits: Partial<EngineLimits>;
  #engine: { stop: AbortController; engine: Engine } | undefined;

  /** On an embedded store of its own. */
  static async make(): Promise<Bench> {
    const folder = await mkdtemp(join(tmpdir(), 'kadre-engine-'));
    const open = (): Store => openSqliteStore(join(folder, 'kadre.db'));
    return new Bench(open(), open, () => rm(folder, { recursive: true }));
  }

  /** `open`: opens the store once more. `tidy`: called after the store was closed. `limits`: of the engines. */
  constructor(
    store: Store,
    open: () => Store | Promise<Store>,
    tidy: () => Promise<void>,
    limits: Partial<EngineLimits> = {},
  ) {
    this.store = store;
    this.open = open;
    this.#limits = { ...testLimits, ...limits };
    this.#tidy = tidy;
  }

  readonly directory: AgentDirectory = {
    resolve: (_, agent) => {
      const place = this.agents[agent];
      if (place === undefined) return { found: false, serving: false };
      return place === 'job' ? { found: true, serving: false } : { found: true, serving: true, url: place };
    },
  };

  async startEngine(limits: Partial<EngineLimits> = {}, store: Store = this.store): Promise<void> {
    const stop = new AbortController();
    const options = {
      store,
      agents: this.directory,
      budgets: { list: () => this.budgets },
      logger: silent,
      signal: stop.signal,
      limits: { ...this.#limits, ...limits },
      ...(this.spans && { spans: this.spans }),
    };
    this.#engine = { stop, engine: await startEngine(options) };
  }

  async stopEngine(): Promise<void> {
    const running = this.#engine;
    this.#engine = undefined;
    running?.stop.abort();
    await running?.engine.stopped;
  }

  async submit(workflow: unknown, input: unknown = null, uid = 'u1', more: Partial<RunSubmission> = {}): Promise<void> {
    const head = { uid, namespace: 'team', name: `run-${uid}`, subject: 'test' };
    await this.store.submitRun({ ...head, workflow, input, ...more });
  }

  /** Makes a Budget, or changes it. */
  budget(name: string, limits: BudgetSpec['limits'], scope: BudgetSpec['scope'] = {}): void {
    const spec = { period: 'total', timeZone: 'UTC', action: 'block', warnAt: 80, limits, scope } as const;
    const metadata = { name, namespace: 'team', uid: name, resourceVersion: '1', generation: 1, creationTimestamp: '' };
    const known = this.budgets.find(({ metadata: { name: other } }) => other === name);
    if (known) known.spec = spec;
    else this.budgets.push({ apiVersion: API_VERSION, kind: 'Budget', metadata, spec });
  }

  /** The projection once it satisfies the condition. */
  async projected(holds: (projection: RunProjection) => boolean, uid = 'u1'): Promise<RunProjection> {
    return until(async () => {
      const projection = await this.store.projection(uid);
      return projection && holds(projection) ? projection : undefined;
    });
  }

  /** The projection of the run once it is over. */
  over(uid = 'u1'): Promise<RunProjection> {
    return this.projected(({ status }) => ['Succeeded', 'Failed', 'Cancelled'].includes(status.phase ?? ''), uid);
  }

  /** The first open job that satisfies the condition, once there is one. */
  job(holds: (job: JobRecord) => boolean = () => true): Promise<JobRecord> {
    return until(async () => (await this.store.openJobs()).find(holds));
  }

  async cleanUp(): Promise<void> {
    await this.stopEngine();
    await this.store.close();
    await this.#tidy();
  }
}

/** What `look` finds, once it finds something. */
export async function until<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

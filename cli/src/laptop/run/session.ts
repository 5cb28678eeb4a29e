// One run at work in this process: store, engine, agents and gateway.
import { join } from 'node:path';
import { startEngine } from '@kadre/engine';
import { openSqliteStore, type Store, type StoredEvent } from '@kadre/store';
import type { Logger } from 'pino';
import { lockRun, readFork, submissionOf, type RunFolder, type RunRecord } from '../history/folders.ts';
import { laptopStore, openOutputCache } from '../history/laptop-store.ts';
import { openSharedLedger, withLedger } from '../history/shared-ledger.ts';
import { openKnowledgeStores, withKnowledge, type KnowledgeStores } from '../history/knowledge-stores.ts';
import { startAgentHost } from './agent-host.ts';
import { startChildRuns, type ChildRun } from './child-runs.ts';
import { createLaptopKnowledge, type PinnedKnowledge } from './knowledge.ts';

export interface SessionOptions {
  /** The folder of all runs. */
  history: string;
  folder: RunFolder;
  record: RunRecord;
  secret: (name: string) => Record<string, string> | undefined;
  logger: Logger;
}

export interface Session {
  store: Store;
  uid: string;
  /** How many events there were before. */
  before: number;
  /** Milliseconds since 1970. */
  openedAt: number;
  /** Runs that this one asks for, one through the other. */
  children(): readonly ChildRun[];
  /** Events after those that were given before; waits up to so many milliseconds for the first. */
  next(milliseconds: number): Promise<StoredEvent[]>;
  /** Stops at once what can be taken up again later. */
  close(): Promise<void>;
}

export async function openSession(options: SessionOptions): Promise<Session> {
  const { history, folder, record, logger, secret } = options;
  const unlock = lockRun(folder, record.name);
  const cache = openOutputCache(join(history, 'cache.db'));
  const own = openSqliteStore(folder.store);
  const { namespace, agents, models, tools = [], budgets = [], knowledge = [], configMaps = {} } = record.pinned;
  const { toolWorkflows = [] } = record.pinned;
  const ledger = budgets.length > 0 ? openSharedLedger(join(history, 'ledger.db')) : undefined;
  const alone = laptopStore(own, cache, await readFork(folder));
  const counted = ledger ? withLedger(alone, ledger) : alone;
  const searched = openSearched(history, knowledge);
  const store = searched ? withKnowledge(counted, searched) : counted;
  const documents = createLaptopKnowledge({ knowledge, configMaps, models, secret, index: store, logger });
  const stopping = new AbortController();
  const served = new Map(Object.entries(record.served));
  const host = await startAgentHost({
    ...{ namespace, agents, models, tools, budgets, served, secret, store, logger },
    knowledge: knowledge.map(({ object }) => object),
    workflows: toolWorkflows.map(({ object }) => object),
    ready: (agent) => documents.ready(agent),
  });
  await store.submitRun(submissionOf(record));
  const before = (await store.events(record.uid)).length;
  const engine = await startEngine({
    ...{ store, logger, signal: stopping.signal },
    ...{ agents: host.directory, gateway: host.gateway },
    // It is in this process: what it cannot do now it cannot do later.
    limits: { gatewayPatience: 1_000 },
  });
  const children = toolWorkflows.length > 0 ? startChildRuns({ store, toolWorkflows, logger }) : undefined;
  const reader = new Reader(store, record.uid);
  return {
    store,
    uid: record.uid,
    before,
    openedAt: Date.now(),
    children: () => children?.known() ?? [],
    next: (milliseconds) => reader.next(milliseconds),
    close: async () => {
      stopping.abort();
      reader.close();
      await children?.close();
      await engine.stopped;
      await documents.close();
      await host.close();
      await searched?.close();
      await own.close();
      await ledger?.close();
      cache.close();
      unlock();
    },
  };
}

function openSearched(history: string, knowledge: readonly PinnedKnowledge[]): KnowledgeStores | undefined {
  if (knowledge.length === 0) return undefined;
  return openKnowledgeStores(
    history,
    knowledge.map(({ object, file }) => ({ name: object.metadata.name, file })),
  );
}

/** Follows the log. Hints say that there is more of it; they may get lost. */
class Reader {
  readonly #store: Store;
  readonly #uid: string;
  readonly #unsubscribe: (() => void)[];
  #seq = 0;
  #wake: () => void = () => undefined;
  #news = true;

  constructor(store: Store, uid: string) {
    this.#store = store;
    this.#uid = uid;
    const poke = (): void => {
      this.#news = true;
      this.#wake();
    };
    this.#unsubscribe = [store.subscribe('projections', poke), store.subscribe('approvals', poke)];
  }

  async next(milliseconds: number): Promise<StoredEvent[]> {
    if (!this.#news) await this.#pause(milliseconds);
    this.#news = false;
    const events = await this.#store.events(this.#uid, this.#seq);
    this.#seq = events.at(-1)?.seq ?? this.#seq;
    return events;
  }

  close(): void {
    for (const stop of this.#unsubscribe) stop();
    this.#wake();
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

// Embeds what the operator has put into the store, batch by batch. Any number of gateways may do so: each claims what it works
// on, and what a gateway had claimed that died is claimed again by another.
import { knowledgeAgent } from '@kadre/crds';
import type { ChunkClaim, Store } from '@kadre/store';
import type { Logger } from 'pino';
import { callTimedOut, GatewayError } from '../errors.ts';
import type { Clock } from '../options.ts';
import type { Embedder } from './embed.ts';

export type IndexerStore = Pick<Store, 'claimChunks' | 'putVectors' | 'releaseChunks' | 'subscribe'>;

interface IndexerOptions {
  store: IndexerStore;
  embedder: Embedder;
  clock: Clock;
  logger: Pick<Logger, 'warn'>;
}

export interface Indexer {
  start(): void;
  stop(): Promise<void>;
}

const BATCH = 64;
const CALL_MS = 120_000;
/** Longer than a call, and what is written of it afterwards. */
const CLAIM_MS = CALL_MS + 30_000;
/** Hints may get lost. */
const IDLE_MS = 5_000;
const FIRST_RETRY_MS = 5_000;
const LONGEST_RETRY_MS = 300_000;

export function createIndexer({ store, embedder, clock, logger }: IndexerOptions): Indexer {
  const stopping = new AbortController();
  const failures = new Map<string, number>();
  let running: Promise<void> = Promise.resolve();
  let heard = false;
  let wake: () => void = () => undefined;

  const turn = async (): Promise<boolean> => {
    const now = clock.now();
    const claim = await store.claimChunks(now, now + CLAIM_MS, BATCH);
    if (!claim) return false;
    const name = `${claim.namespace}/${claim.name}`;
    try {
      if (claim.chunks.length > 0) await store.putVectors(claim, claim.space, await vectorsFor(claim));
      failures.delete(name);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      if (stopping.signal.aborted) return false;
      const before = failures.get(name) ?? 0;
      failures.set(name, before + 1);
      const waitMs = Math.min(FIRST_RETRY_MS * 2 ** before, LONGEST_RETRY_MS);
      const failure = { reason: error.code, message: error.message };
      const hashes = claim.chunks.map(({ hash }) => hash);
      await store.releaseChunks(claim, hashes, failure, clock.now() + waitMs);
    }
    return true;
  };

  const vectorsFor = async ({ namespace, name, model, space, chunks }: ChunkClaim) => {
    if (embedder.spaceOf(namespace, model) !== space)
      throw new GatewayError(503, 'ModelUnavailable', `Model ${model} has just been changed.`);
    const late = new AbortController();
    const cancel = clock.after(CALL_MS, () => late.abort(callTimedOut(CALL_MS)));
    const agent = knowledgeAgent(name);
    try {
      const vectors = await embedder.embed({
        caller: { namespace, serviceAccount: agent, uid: '', agent },
        model,
        texts: chunks.map(({ text }) => text),
        signal: AbortSignal.any([late.signal, stopping.signal]),
      });
      return vectors.map((vector, index) => ({ hash: chunks[index]?.hash ?? '', vector }));
    } finally {
      cancel();
    }
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const busy = await turn().catch((error: unknown) => {
        if (!stopping.signal.aborted) logger.warn({ err: error }, 'Documents could not be indexed; trying again soon.');
        return false;
      });
      if (!busy && !takeNews()) await rest();
    }
  };

  const takeNews = (): boolean => {
    const news = heard;
    heard = false;
    return news;
  };

  const rest = (): Promise<void> =>
    new Promise((resolve) => {
      const cancel = clock.after(IDLE_MS, resolve);
      wake = () => {
        cancel();
        resolve();
      };
      if (stopping.signal.aborted) wake();
    });

  const unsubscribe = store.subscribe('knowledge', () => {
    heard = true;
    wake();
  });

  return {
    start: () => {
      running = run();
    },
    stop: async () => {
      stopping.abort(new GatewayError(503, 'ModelUnavailable', 'The gateway is shutting down.'));
      unsubscribe();
      wake();
      await running;
    },
  };
}

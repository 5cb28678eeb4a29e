// Knowledge without an operator: its sources are read when the first agent that may search it is asked, and the agent begins once
// all of it can be found.
import { setTimeout as delay } from 'node:timers/promises';
import { vectorSpace, type Agent, type Knowledge, type Model } from '@kadre/crds';
import type { ConfigMap } from '@kadre/knowledge';
import type { KnowledgeIndex } from '@kadre/store';
import { ToolError } from '@kadre/tools';
import type { Logger } from 'pino';

export interface PinnedKnowledge {
  object: Knowledge;
  /** The file with its manifest. */
  file: string;
}

export interface KnowledgeOptions {
  knowledge: readonly PinnedKnowledge[];
  /** By name; those that the sources name. */
  configMaps: Readonly<Record<string, ConfigMap>>;
  models: readonly Model[];
  secret: (name: string) => Record<string, string> | undefined;
  index: KnowledgeIndex;
  logger: Logger;
}

export interface LaptopKnowledge {
  /** Throws with what stands in the way. */
  ready(agent: Agent): Promise<void>;
  close(): Promise<void>;
}

const LOOK_MS = 25;

export function createLaptopKnowledge(options: KnowledgeOptions): LaptopKnowledge {
  const stopping = new AbortController();
  const reading = new Map<string, Promise<void>>();
  return {
    ready: async ({ spec }) => {
      const granted = new Set((spec.knowledge ?? []).map(({ name }) => name));
      const wanted = options.knowledge.filter(({ object }) => granted.has(object.metadata.name));
      await Promise.all(
        wanted.map(({ object }) => {
          const { name } = object.metadata;
          const read = reading.get(name) ?? readAndIndex(object, options, stopping.signal);
          reading.set(name, read);
          return read;
        }),
      );
    },
    close: async () => {
      stopping.abort(new Error('the run stops'));
      await Promise.allSettled(reading.values());
    },
  };
}

async function readAndIndex(knowledge: Knowledge, options: KnowledgeOptions, signal: AbortSignal): Promise<void> {
  const { index, models, logger } = options;
  const { namespace = '', name } = knowledge.metadata;
  const model = models.find(({ metadata }) => metadata.name === knowledge.spec.model);
  if (!model) return;
  const space = vectorSpace(model.metadata.name, model.spec);
  // What failed in an earlier run is tried again at once.
  await index.putVectors({ namespace, name }, space, []);
  const problems = await read(knowledge, space, options, signal);
  const said = problems.map((problem) => `Knowledge ${name}: ${problem}`);
  for (const problem of said) logger.warn(problem);
  for (;;) {
    const { chunks = 0, indexed = 0, failure } = (await index.knowledge({ namespace, name })) ?? {};
    if (chunks === 0) throw new Error(said[0] ?? `Knowledge ${name}: its sources have no text`);
    if (indexed === chunks) return;
    if (failure) throw new Error(`Knowledge ${name} cannot be indexed: ${failure.message}`);
    await delay(LOOK_MS, undefined, { signal });
  }
}

/** What was wrong with the sources. */
async function read(
  knowledge: Knowledge,
  space: string,
  { index, configMaps, secret }: KnowledgeOptions,
  signal: AbortSignal,
): Promise<string[]> {
  const [{ createWeb, refresh }, { createOutlet }] = await Promise.all([
    import('@kadre/knowledge'),
    import('@kadre/tools'),
  ]);
  // A server on one's own machine is the usual one here.
  const outlet = createOutlet({ allowLoopback: true });
  const secretOf = (wanted: string, key: string): Promise<string> => {
    const value = secret(wanted)?.[key];
    if (value !== undefined) return Promise.resolve(value);
    return Promise.reject(new ToolError('misconfigured', `Secret ${wanted} has nothing under the key ${key}.`));
  };
  try {
    const { problems } = await refresh(
      {
        web: createWeb(outlet),
        readConfigMap: (_, name) => Promise.resolve(configMaps[name]),
        secret: secretOf,
        store: index,
      },
      { knowledge, space, tags: new Map(), signal },
    );
    return problems.map(({ source, error }) => `source ${source}: ${error.message}`);
  } finally {
    await outlet.close();
  }
}

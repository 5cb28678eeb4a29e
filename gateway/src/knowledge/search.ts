// A Knowledge as a tool: search_<name>. It goes through the same sieve as all tools, under the name of the agent that asks.
import type { Knowledge, Tool } from '@kadre/crds';
import type { StepClaims, Store } from '@kadre/store';
import { ToolError, type Executor, type ToolCaller } from '@kadre/tools';
import { GatewayError } from '../errors.ts';
import type { KnowledgeSource, ToolSource } from '../options.ts';
import type { Embedder } from './embed.ts';
import { passagesAnswer } from './passages.ts';

const PREFIX = 'search_';
const USUAL_RESULTS = 5;
const MOST_RESULTS = 20;
const LONGEST_QUERY = 2000;

const inputSchema = {
  type: 'object',
  properties: {
    query: { type: 'string', minLength: 1, maxLength: LONGEST_QUERY, description: 'What to look for, in words.' },
    results: { type: 'integer', minimum: 1, maximum: MOST_RESULTS, description: 'How many passages at most.' },
  },
  required: ['query'],
  additionalProperties: false,
};

/** Tools as they are, and a tool for each Knowledge. No Tool has such a name: names of objects have no underscore. */
export function withKnowledge(tools: ToolSource, source: KnowledgeSource | undefined): ToolSource {
  if (!source) return tools;
  return {
    grants: (namespace, agent) => [
      ...tools.grants(namespace, agent),
      ...source.grants(namespace, agent).map(({ name }) => ({ name: `${PREFIX}${name}` })),
    ],
    get: (namespace, name) => {
      if (!name.startsWith(PREFIX)) return tools.get(namespace, name);
      const knowledge = source.get(namespace, name.slice(PREFIX.length));
      return knowledge && asTool(knowledge);
    },
  };
}

/** The part of the spec by which its executor is chosen. */
type SearchSpec = Tool['spec'] & { knowledge: { name: string; description: string } };

function asTool({ apiVersion, kind, metadata, spec }: Knowledge): Tool {
  const { name } = metadata;
  const description = spec.description ?? 'Documents that people have put there.';
  const search: SearchSpec = { trust: spec.trust, consequential: false, knowledge: { name, description } };
  return { apiVersion, kind, metadata: { ...metadata, name: `${PREFIX}${name}` }, spec: search };
}

export interface SearchServices {
  source: KnowledgeSource;
  store: Pick<Store, 'searchKnowledge'>;
  embedder: Embedder;
}

export function searchExecutor({ source, store, embedder }: SearchServices): Executor {
  return {
    describe: ({ tool }) => {
      const { name, description } = (tool.spec as SearchSpec).knowledge;
      const said = `Searches ${name} and gives the passages that are nearest to the query, with numbers to cite. ${description}`;
      return Promise.resolve({ operations: [{ description: said, inputSchema }] });
    },
    call: async ({ tool, signal }, { args, caller }) => {
      const { namespace = '' } = tool.metadata;
      const { name } = (tool.spec as SearchSpec).knowledge;
      const knowledge = source.get(namespace, name);
      if (!knowledge || !caller) throw new ToolError('misconfigured', `Knowledge ${name} is not there.`);
      const granted = source.grants(namespace, caller.agent).find((grant) => grant.name === name)?.results;
      const { query, results = granted ?? USUAL_RESULTS } = args as { query: string; results?: number };
      const { model } = knowledge.spec;
      try {
        const space = embedder.spaceOf(namespace, model);
        const [vector] = await embedder.embed({ caller: callerOf(caller), model, texts: [query], signal });
        if (!vector) throw new ToolError('malformed', 'The model gave no vector.');
        return passagesAnswer(name, await store.searchKnowledge({ namespace, name }, space, vector, results));
      } catch (error) {
        if (signal.aborted || !(error instanceof GatewayError)) throw error;
        const fault = error.status === 429 ? 'rateLimited' : 'status';
        throw new ToolError(fault, error.message, { retry: error.retry, cause: error });
      }
    },
  };
}

/** Without the number of the call: what it is answered is kept as the answer of the tool. */
function callerOf({ namespace, agent, step }: ToolCaller) {
  const whose = { namespace, serviceAccount: '', uid: '', agent };
  if (!step) return whose;
  const claims: StepClaims = { run: step.run, step: step.step, attempt: step.attempt, namespace, agent };
  return { ...whose, step: claims };
}

// Which Models of a route can be asked at all, and why the others cannot.
import { isProviderModel, type ProviderModel, type RouteModel } from '@kadre/crds';
import { GatewayError, invalidRequest, misconfigured } from '../errors.ts';
import type { ModelSource } from '../options.ts';
import type { Call } from '../pipeline/call.ts';
import { preparedFor } from '../pipeline/prepared.ts';
import type { Catalog } from '../providers/catalog.ts';
import type { Draft } from './draft.ts';
import type { Able } from './ranking.ts';

interface CandidateServices {
  models: ModelSource;
  catalog: Pick<Catalog, 'provider'>;
}

/** A Model that is there and no route; else why it cannot be asked, in a sentence without its subject. */
export function providerModel(models: ModelSource, namespace: string, name: string): ProviderModel | string {
  const model = models.get(namespace, name);
  if (!model) return 'there is no such Model';
  return isProviderModel(model) ? model : 'it is a route itself';
}

/** At least one. Throws a 424 if none is there, and a 400 if none can do what is asked. */
export function ableCandidates(call: Call, route: RouteModel, draft: Draft, services: CandidateServices): Able[] {
  const { models, catalog } = services;
  const { namespace } = call.caller;
  const there: Able[] = [];
  const missing: string[] = [];
  for (const entry of route.spec.route.candidates) {
    const model = providerModel(models, namespace, entry.model);
    if (typeof model !== 'string') {
      there.push({ entry, model });
      continue;
    }
    draft.skip(entry.model, model);
    missing.push(`${entry.model} (${model})`);
  }
  const name = route.metadata.name;
  if (there.length === 0) {
    throw misconfigured(
      'ModelNotFound',
      `Route ${name} has no Model that can be asked in namespace ${namespace}: ${missing.join(', ')}. Create one of them.`,
    );
  }
  let refusal: GatewayError | undefined;
  const able = there.filter(({ entry, model }) => {
    const problem = unable(call, model, catalog);
    if (!problem) return true;
    refusal ??= problem;
    draft.skip(entry.model, problem.message);
    return false;
  });
  if (refusal && able.length === 0) throw refusal;
  return able;
}

function unable(call: Call, model: ProviderModel, catalog: Pick<Catalog, 'provider'>): GatewayError | undefined {
  const provider = catalog.provider(model.spec.provider);
  if (call.operation === 'embeddings') {
    if (provider.embed) return undefined;
    return misconfigured('ModelFailed', `Model ${model.metadata.name}: its provider has no embeddings.`);
  }
  try {
    provider.check(preparedFor(model, call.request, catalog).asked, model);
    return undefined;
  } catch (error) {
    if (error instanceof GatewayError) return error;
    throw error;
  }
}

const INTERCHANGEABLE = new Set(['priority', 'cheapest', 'fastest', 'weighted']);

/** Vectors of different models mean different things. Throws a 400 where a route could mix them. */
export function checkVectors(route: RouteModel, able: readonly Able[]): void {
  const { name } = route.metadata;
  const { strategy } = route.spec.route;
  if (!INTERCHANGEABLE.has(strategy)) {
    throw invalidRequest(
      `Route ${name} has strategy ${strategy}, which is for conversations: ask one Model for vectors.`,
      'model',
    );
  }
  const kinds = new Map(able.map(({ model }) => [vectorsOf(model), model.metadata.name]));
  if (kinds.size < 2) return;
  const named = able
    .map(({ model }) => `${model.metadata.name} (${model.spec.model ?? model.spec.provider})`)
    .join(', ');
  throw invalidRequest(
    `Route ${name} is over different models, whose vectors cannot be compared: ${named}. Ask one Model by its name, or make a route over the same model at several providers.`,
    'model',
  );
}

function vectorsOf({ spec: { model, provider, simulated } }: ProviderModel): string {
  return provider === 'simulated' ? `simulated/${simulated?.embeddingDimensions ?? ''}` : (model ?? '');
}

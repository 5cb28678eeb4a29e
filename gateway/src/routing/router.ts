// From the name that a caller gives to the Models that are asked, and in which way.
import {
  milliseconds,
  isProviderModel,
  type ModelRoute,
  type ProviderModel,
  type RouteModel,
  type RoutePath,
} from '@kadre/crds';
import { GatewayError } from '../errors.ts';
import type { ModelSource } from '../options.ts';
import type { Call, ChatCall } from '../pipeline/call.ts';
import type { Candidate, Limiter, Plan, Router, Strategy } from '../pipeline/hooks.ts';
import { createSequence } from '../pipeline/sequence.ts';
import type { Catalog } from '../providers/catalog.ts';
import { ableCandidates, checkVectors, providerModel } from './candidates.ts';
import { checkComparable, createCompare } from './compare.ts';
import { byClassifier, pathOf } from './complexity.ts';
import { createConsensus } from './consensus.ts';
import type { DecisionLog } from './decision-log.ts';
import { Draft } from './draft.ts';
import {
  byPath,
  byPlace,
  byPrice,
  bySpeed,
  byWeight,
  type Able,
  type Ranked,
  type RankingServices,
} from './ranking.ts';
import { recorded } from './recorded.ts';

export interface RouterServices extends Omit<RankingServices, 'random'> {
  models: ModelSource;
  catalog: Pick<Catalog, 'provider'>;
  limiter: Pick<Limiter, 'available'>;
  decisions: Pick<DecisionLog, 'add'>;
  /** From 0 up to 1. Absent: Math.random. */
  random?: () => number;
}

const ATTEMPTS = 3;
/** How long a Model may let a call wait for its turn, where another one may answer. */
const PATIENCE_MS = 2_000;

export function createRouter(services: RouterServices): Router {
  const { models, clock, random = Math.random } = services;
  const sequence = createSequence(clock, random);
  return {
    plan: (call) => {
      const { namespace } = call.caller;
      const { model: name } = call.request;
      const model = models.get(namespace, name);
      if (!model) {
        const message = `There is no Model ${name} in namespace ${namespace}.`;
        throw new GatewayError(404, 'ModelNotFound', message, { param: 'model' });
      }
      if (isProviderModel(model))
        return { candidates: [{ model, reason: 'it is the Model that the caller asks for' }] };
      return planOf(call, model as RouteModel, sequence, { ...services, random });
    },
  };
}

type Services = RouterServices & RankingServices;

function planOf(call: Call, route: RouteModel, sequence: Strategy, services: Services): Plan {
  const draft = new Draft(call, route);
  call.record.routedBy = route.metadata.name;
  const record = (chosen: string | undefined): void =>
    services.decisions.add(draft.decision(chosen, services.clock.now()));
  try {
    const able = ableCandidates(call, route, draft, services);
    const plan = call.operation === 'chat' ? chatPlan(call, route, able, draft, sequence, services) : undefined;
    if (!plan) checkVectors(route, able);
    const { strategy = sequence, ...rest } = plan ?? inTurn(rankedFor(call, route, able, services), draft, services);
    return { ...rest, strategy: recorded(strategy, { ...services, call, draft, record }) };
  } catch (error) {
    // What is wrong with the request alone decides nothing.
    if (!(error instanceof GatewayError) || error.status !== 400) {
      draft.note(error instanceof Error ? error.message : 'the gateway failed');
      record(undefined);
    }
    throw error;
  }
}

/** One after the other, and round again as far as attempts go. */
function inTurn(ranked: readonly Ranked[], draft: Draft, services: Services, maxAttempts = ATTEMPTS): Plan {
  const order = restingLast(ranked, services);
  draft.rank(order);
  return { candidates: candidatesOf(order), maxAttempts, again: true };
}

/** Models whose breaker is open would refuse: others first. */
function restingLast(ranked: readonly Ranked[], { limiter }: Services): Ranked[] {
  const isResting = ({ model }: Ranked): boolean => limiter.available?.(model) === 'open';
  const resting = ranked
    .filter(isResting)
    .map((one) => ({ ...one, reason: `${one.reason}; it rests, because it fails` }));
  return [...ranked.filter((one) => !isResting(one)), ...resting];
}

const candidatesOf = (ranked: readonly Ranked[]): Candidate[] =>
  ranked.map(({ model, reason }, index) => ({
    model,
    reason,
    ...(index < ranked.length - 1 && { patienceMs: PATIENCE_MS }),
  }));

function rankedFor(call: Call, route: RouteModel, able: readonly Able[], services: Services): Ranked[] {
  switch (route.spec.route.strategy) {
    case 'cheapest':
      return byPrice(able, call, services);
    case 'fastest':
      return bySpeed(able, call, services);
    case 'weighted':
      return byWeight(able, services.random);
    default:
      return byPlace(able);
  }
}

function chatPlan(
  call: ChatCall,
  route: RouteModel,
  able: readonly Able[],
  draft: Draft,
  sequence: Strategy,
  services: Services,
): Plan {
  const { spec } = route;
  const maxAttempts = spec.route.maxAttempts ?? ATTEMPTS;
  switch (spec.route.strategy) {
    case 'consensus':
    case 'compare':
      return panelPlan(call, route, able, draft, services);
    case 'complexity':
      return complexityPlan(call, spec.route, able, draft, sequence, services);
    default:
      return inTurn(rankedFor(call, route, able, services), draft, services, maxAttempts);
  }
}

function complexityPlan(
  call: ChatCall,
  { complexity, maxAttempts }: ModelRoute,
  able: readonly Able[],
  draft: Draft,
  sequence: Strategy,
  services: Services,
): Plan {
  const onPath = (path: RoutePath): Ranked[] => byPath(able, path);
  const { classifier } = complexity ?? {};
  if (!classifier) return inTurn(onPath(pathOf(complexity, call, draft)), draft, services, maxAttempts);
  const model = roleModel(classifier.model, 'classifier', call, draft, services);
  if (!model) {
    draft.note('the path of quality, because there is no classifier to ask');
    return inTurn(onPath('quality'), draft, services, maxAttempts);
  }
  const ranked = (path: RoutePath): Plan['candidates'] => inTurn(onPath(path), draft, services).candidates;
  const strategy = byClassifier(sequence, { model, instructions: classifier.instructions, draft, ranked });
  // Its answer may have to be mended.
  return { ...inTurn(onPath('quality'), draft, services, maxAttempts ?? ATTEMPTS + 2), strategy };
}

function panelPlan(call: ChatCall, route: RouteModel, able: readonly Able[], draft: Draft, services: Services): Plan {
  const { strategy, candidates, consensus, maxAttempts = ATTEMPTS } = route.spec.route;
  const { name } = route.metadata;
  const ranked = able.map((one): Ranked => ({ ...one, reason: 'all are asked' }));
  draft.rank(ranked);
  // Each may have to be mended once where there is a format.
  const each = call.request.output === undefined || call.request.output.type === 'text' ? 1 : 2;
  const plan = { candidates: ranked.map(({ model, reason }) => ({ model, reason })) };
  if (strategy === 'compare') {
    checkComparable(name, call);
    return {
      ...plan,
      maxAttempts: Math.max(maxAttempts, able.length),
      strategy: createCompare({ route: name, draft, ...services }),
    };
  }
  const { judge = candidates[0]?.model ?? '', synthesizer = judge, patience, quorum } = consensus ?? {};
  const judging = roleModel(judge, 'judge', call, draft, services);
  return {
    ...plan,
    maxAttempts: Math.max(maxAttempts, able.length * each + 2 + each),
    strategy: createConsensus({
      ...services,
      route: name,
      draft,
      quorum: quorum ?? Math.floor(candidates.length / 2) + 1,
      ...(patience !== undefined && { patienceMs: milliseconds(patience) }),
      judge: judging,
      synthesizer: synthesizer === judge ? judging : roleModel(synthesizer, 'synthesizer', call, draft, services),
    }),
  };
}

function roleModel(
  name: string,
  role: string,
  { caller }: Call,
  draft: Draft,
  { models }: Services,
): ProviderModel | undefined {
  const model = providerModel(models, caller.namespace, name);
  if (typeof model !== 'string') return model;
  draft.skip(name, `as the ${role}: ${model}`);
  return undefined;
}

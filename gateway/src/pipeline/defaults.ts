// Parts of the pipeline that let everything pass. Replace one line here to put a real part in its place.
import { isProviderModel } from '@kadre/crds';
import { createBudgets } from '../budget/budgets.ts';
import { GatewayError, misconfigured } from '../errors.ts';
import { createJournal } from '../journal/journal.ts';
import { createLimiter } from '../limits/limiter.ts';
import type { Share } from '../limits/limits.ts';
import type { Clock, GatewayOptions, Limits, ModelSource } from '../options.ts';
import { createTelemetry } from '../telemetry/telemetry.ts';
import type { Hooks, Router } from './hooks.ts';

export interface HookSurroundings extends Pick<GatewayOptions, 'models' | 'store' | 'budgets' | 'registry' | 'spans'> {
  clock: Clock;
  limits: Limits;
  /** Of the limits of Models. */
  share: () => Share;
}

export const createHooks = ({
  models,
  store,
  budgets,
  registry,
  spans,
  clock,
  limits,
  share,
}: HookSurroundings): Hooks => ({
  journal: createJournal(store, clock),
  router: directRouter(models),
  limiter: createLimiter({ models, clock, callMs: limits.callMs, share, registry }),
  budgets: createBudgets({ store, source: budgets, clock, callMs: limits.callMs, registry }),
  telemetry: createTelemetry({ spans, registry, clock }),
});

/** The Model that the caller names, and no other. */
const directRouter = (models: ModelSource): Router => ({
  plan: ({ caller: { namespace }, request }) => {
    const model = models.get(namespace, request.model);
    if (model && isProviderModel(model))
      return { candidates: [{ model, reason: 'it is the Model that the caller asks for' }] };
    if (model) throw misconfigured('ModelFailed', `Model ${request.model} is a route, and this gateway has none.`);
    throw new GatewayError(404, 'ModelNotFound', `There is no Model ${request.model} in namespace ${namespace}.`, {
      param: 'model',
    });
  },
});

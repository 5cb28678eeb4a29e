// Puts the parts of the pipeline together.
import { createBudgets } from '../budget/budgets.ts';
import { createJournal } from '../journal/journal.ts';
import { createLimiter } from '../limits/limiter.ts';
import type { Share } from '../limits/limits.ts';
import type { Clock, GatewayOptions, Limits } from '../options.ts';
import type { PriceBook } from '../price/price.ts';
import type { Catalog } from '../providers/catalog.ts';
import type { DecisionLog } from '../routing/decision-log.ts';
import { createObservations, observed } from '../routing/observations.ts';
import { createRouter } from '../routing/router.ts';
import { createTelemetry } from '../telemetry/telemetry.ts';
import type { Hooks } from './hooks.ts';

export interface HookSurroundings extends Pick<GatewayOptions, 'models' | 'store' | 'budgets' | 'registry' | 'spans'> {
  clock: Clock;
  limits: Limits;
  catalog: Catalog;
  prices: PriceBook;
  decisions: DecisionLog;
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
  catalog,
  prices,
  decisions,
  share,
}: HookSurroundings): Hooks => {
  const limiter = createLimiter({ models, clock, callMs: limits.callMs, share, registry });
  const observations = createObservations(clock);
  return {
    journal: createJournal(store, clock),
    router: createRouter({ models, catalog, prices, clock, limiter, observations, decisions }),
    limiter: observed(limiter, observations),
    budgets: createBudgets({ store, source: budgets, clock, callMs: limits.callMs, registry }),
    telemetry: createTelemetry({ spans, registry, clock }),
  };
};

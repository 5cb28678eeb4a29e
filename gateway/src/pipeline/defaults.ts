// Parts of the pipeline that let everything pass. Replace one line here to put a real part in its place.
import type { Store } from '@kadre/store';
import { GatewayError } from '../errors.ts';
import type { ModelSource } from '../options.ts';
import type { AttemptTrace, Budgets, CallTrace, Hooks, Journal, Lease, Limiter, Router, Telemetry } from './hooks.ts';

export interface HookSurroundings {
  models: ModelSource;
  store: Pick<Store, 'recordUsage'>;
}

export const createHooks = ({ models, store }: HookSurroundings): Hooks => ({
  journal: noJournal,
  router: directRouter(models),
  limiter: noLimiter,
  budgets: recordingBudgets(store),
  telemetry: noTelemetry,
});

const noJournal: Journal = { begin: () => ({ type: 'off' }) };

/** The Model that the caller names, and no other. */
const directRouter = (models: ModelSource): Router => ({
  plan: ({ caller: { namespace }, request }) => {
    const model = models.get(namespace, request.model);
    if (model) return { candidates: [{ model, reason: 'it is the Model that the caller asks for' }] };
    throw new GatewayError(404, 'ModelNotFound', `There is no Model ${request.model} in namespace ${namespace}.`, {
      param: 'model',
    });
  },
});

const freeLease: Lease = { release: () => undefined };
const noLimiter: Limiter = { acquire: () => freeLease };

/** No limit at all, but what was used is written down. */
const recordingBudgets = (store: Pick<Store, 'recordUsage'>): Budgets => ({
  reserve: () => ({
    settle: (record) => store.recordUsage(record),
    cancel: () => Promise.resolve(),
  }),
});

const attemptTrace: AttemptTrace = { headers: () => ({}), firstContent: () => undefined, end: () => undefined };
const callTrace: CallTrace = {
  replayed: () => undefined,
  planned: () => undefined,
  attempt: () => attemptTrace,
  end: () => undefined,
};
const noTelemetry: Telemetry = { begin: () => callTrace };

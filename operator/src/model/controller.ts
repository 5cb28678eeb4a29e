import { splitKey } from '../kube/index.ts';
import { decideModel } from './decide.ts';
import { observeModel } from './observe.ts';
import type { Context } from '../context.ts';

/** Says of each Model whether it can be used. */
export function registerModelController({ manager, caches, readSecret, clock }: Context): void {
  manager.controller({
    name: 'model',
    for: caches.models,
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const model = caches.models.get(namespace, name);
      if (!model) return undefined;
      const snapshot = await observeModel(model, readSecret);
      return manager.executor.execute(model, decideModel(snapshot, new Date(clock.now())), { signal });
    },
  });
}

import { by } from '../caches.ts';
import { joinKey, keyOf, splitKey, watching } from '../kube/index.ts';
import { decideModel } from './decide.ts';
import { observeModel } from './observe.ts';
import type { Context } from '../context.ts';

/** Says of each Model whether it can be used. */
export function registerModelController({ manager, caches, readSecret, ruleProblem, clock }: Context): void {
  const { models } = caches;
  manager.controller({
    name: 'model',
    for: models,
    watches: [
      watching(models, ({ metadata }) =>
        models.byIndex(by.candidate, joinKey(metadata.namespace, metadata.name)).map(keyOf),
      ),
    ],
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const model = models.get(namespace, name);
      if (!model) return undefined;
      const snapshot = await observeModel(model, {
        readSecret,
        ruleProblem,
        find: (wanted) => models.get(namespace, wanted),
      });
      return manager.executor.execute(model, decideModel(snapshot, new Date(clock.now())), { signal });
    },
  });
}

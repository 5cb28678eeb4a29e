import type { Cache, KindRef } from './kube/index.ts';

/** Several namespaces' caches of one kind, read as one. */
export function unionCache<T>(kind: KindRef, parts: Map<string, Cache<T>>): Cache<T> {
  const all = [...parts.values()];
  return {
    kind,
    get: (namespace, name) => parts.get(namespace ?? '')?.get(namespace, name),
    list: (namespace) =>
      namespace === undefined ? all.flatMap((part) => part.list()) : (parts.get(namespace)?.list() ?? []),
    byIndex: (index, value) => all.flatMap((part) => part.byIndex(index, value)),
    addIndex: (name, indexBy) => {
      for (const part of all) part.addIndex(name, indexBy);
    },
    onChange: (listener) => {
      const stops = all.map((part) => part.onChange(listener));
      return () => {
        for (const stop of stops) stop();
      };
    },
    get hasSynced() {
      return all.every((part) => part.hasSynced);
    },
    synced: async () => {
      await Promise.all(all.map((part) => part.synced()));
    },
    get size() {
      return all.reduce((sum, part) => sum + part.size, 0);
    },
  };
}

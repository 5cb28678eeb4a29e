// Caches of whatever kinds Triggers watch: one for each kind and namespace, as long as a Trigger needs it.
import { ObjectCache, type Cache } from '../kube/cache.ts';
import { Reflector } from '../kube/reflector.ts';
import type { Clock, KindRef, KubeClient, Log } from '../kube/index.ts';

export interface Lease {
  cache: Cache;
  release(): void;
}

export interface Informers {
  /** Give it back when it is no longer needed. */
  lease(kind: KindRef, namespace: string): Lease;
  /** How many there are. */
  readonly size: number;
  stop(): void;
}

interface Informer {
  cache: ObjectCache;
  users: number;
  stop: () => void;
}

export function createInformers(options: { client: KubeClient; clock: Clock; log: Log }): Informers {
  const informers = new Map<string, Informer>();

  const start = (kind: KindRef, namespace: string): Informer => {
    const stopping = new AbortController();
    const cache = new ObjectCache(kind, options);
    const name = `${kind.kind} ${namespace} for Triggers`;
    const reflector = new Reflector({ ...options, kind, selection: { namespace }, sink: cache, name });
    void reflector.run(stopping.signal);
    return { cache, users: 0, stop: () => stopping.abort() };
  };

  return {
    lease: (kind, namespace) => {
      const id = `${kind.apiVersion} ${kind.kind} ${namespace}`;
      const informer = informers.get(id) ?? start(kind, namespace);
      informers.set(id, informer);
      informer.users += 1;
      let held = true;
      return {
        cache: informer.cache,
        release: () => {
          if (!held) return;
          held = false;
          informer.users -= 1;
          if (informer.users > 0) return;
          informer.stop();
          informers.delete(id);
        },
      };
    },
    get size() {
      return informers.size;
    },
    stop: () => {
      for (const informer of informers.values()) informer.stop();
      informers.clear();
    },
  };
}

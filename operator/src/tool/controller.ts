import { splitKey } from '../kube/index.ts';
import { decideTool } from './decide.ts';
import { observeTool } from './observe.ts';
import { dueAt, isRemote, type Look } from './snapshot.ts';
import type { Context } from '../context.ts';

/** A server that hangs holds one of these for as long as a look takes, and ever less often. */
const CONCURRENCY = 16;

/** Asks each Tool what it can do, and says whether agents can use it. */
export function registerToolController({ manager, caches, toolbox, readSecret, clock }: Context): void {
  // Status alone would not do: each write of it is a change that comes back here.
  const looks = new Map<string, Look>();
  const describe = toolbox.describe.bind(toolbox);
  manager.controller({
    name: 'tool',
    for: caches.tools,
    concurrency: CONCURRENCY,
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const tool = caches.tools.get(namespace, name);
      if (!tool) {
        looks.delete(key);
        return undefined;
      }
      const snapshot = await observeTool(tool, looks.get(key), { describe, readSecret, clock }, signal);
      const { look } = snapshot;
      if (look) looks.set(key, look);
      else looks.delete(key);
      const lookAgain = look && (isRemote(tool) || look.error) ? Math.max(dueAt(look) - clock.now(), 0) : undefined;
      return manager.executor.execute(tool, decideTool(snapshot, lookAgain, new Date(clock.now())), { signal });
    },
  });
}

import { labels, type Tool } from '@kadre/crds';
import { by } from '../caches.ts';
import { joinKey, keyOf, splitKey, watching, type KubeObject } from '../kube/index.ts';
import { isRefusal, namesakes, ownChildren, owning } from '../children.ts';
import { workflowExecutor } from '@kadre/tools';
import { decideTool, rejectedTool } from './decide.ts';
import { observeTool } from './observe.ts';
import { decideServer, serverChildren } from './server.ts';
import { dueAt, isRemote, type Look, type ServerParts } from './snapshot.ts';
import type { Context } from '../context.ts';
import type { SandboxPools } from '../sandbox/controller.ts';

/** A server that hangs holds one of these for as long as a look takes, and ever less often. */
const CONCURRENCY = 16;

/** Runs the servers of those Tools that bring an image, asks each Tool what it can do, and says whether agents can use it. */
export function registerToolController(context: Context, pools: SandboxPools): void {
  const { manager, caches, toolbox, readSecret, clock, settings } = context;
  // Status alone would not do: each write of it is a change that comes back here.
  const looks = new Map<string, Look>();
  const workflows = workflowExecutor((namespace, name) => caches.workflows.get(namespace, name));
  const describe: typeof toolbox.describe = (tool, secret, signal) =>
    tool.spec.workflow
      ? workflows.describe({ tool, secret, signal, maxBytes: 0 })
      : toolbox.describe(tool, secret, signal);
  manager.controller({
    name: 'tool',
    for: caches.tools,
    concurrency: CONCURRENCY,
    watches: [
      ...caches.children.map((cache) => watching(cache, owning('Tool'))),
      watching(caches.pods, servedTools),
      watching(caches.workflows, ({ metadata }) =>
        caches.tools.byIndex(by.workflow, joinKey(metadata.namespace, metadata.name)).map(keyOf),
      ),
    ],
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const tool = caches.tools.get(namespace, name);
      if (!tool) {
        looks.delete(key);
        return undefined;
      }
      const server = await observeServer(context, tool);
      const isDown = decideServer(tool, server, settings).health !== undefined;
      const observer = { describe, readSecret, clock, server, isDown };
      // What a Workflow takes is in a cache, so it is always looked at.
      const before = tool.spec.workflow ? undefined : looks.get(key);
      const snapshot = await observeTool(tool, before, observer, signal);
      const { look } = snapshot;
      if (look) looks.set(key, look);
      else looks.delete(key);
      const isAsked = look && !isDown && (isRemote(tool) || look.error);
      const lookAgain = isAsked ? Math.max(dueAt(look) - clock.now(), 0) : undefined;
      const now = new Date(clock.now());
      const sandboxes = pools.look(tool);
      try {
        return await manager.executor.execute(
          tool,
          decideTool({ ...snapshot, ...(sandboxes && { sandboxes }) }, { settings, lookAgain, now }),
          { signal },
        );
      } catch (error) {
        if (!isRefusal(error)) throw error;
        await manager.executor.execute(tool, rejectedTool(snapshot, error.message, now), { signal });
        throw error;
      }
    },
  });
}

async function observeServer({ manager, caches, settings }: Context, tool: Tool): Promise<ServerParts> {
  const { namespace = '', name, uid } = tool.metadata;
  const children = ownChildren(caches.children, tool.metadata);
  const pods = caches.pods.byIndex(by.tool, joinKey(namespace, name));
  return { children, pods, foreign: await namesakes(manager, uid, serverChildren(tool, settings), children) };
}

function servedTools({ metadata }: Readonly<KubeObject>): string[] {
  const tool = metadata.labels?.[labels.tool];
  return tool === undefined ? [] : [joinKey(metadata.namespace, tool)];
}

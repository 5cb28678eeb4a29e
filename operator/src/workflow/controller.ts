import { calledWorkflows } from '@kadre/engine';
import { by } from '../caches.ts';
import { agentsOf, poolsOf, toolsOf } from '../build/references.ts';
import { joinKey, keyOf, splitKey, watching } from '../kube/index.ts';
import { decideWorkflow } from './decide.ts';
import type { Context } from '../context.ts';
import type { Workflow } from '@kadre/crds';
import type { WorkflowSnapshot } from './observe.ts';

/** Says of each Workflow whether it can be run. */
export function registerWorkflowController(context: Context): void {
  const { manager, caches, clock } = context;
  const { workflows } = caches;
  const naming = (index: string, value: string) => workflows.byIndex(index, value).map(keyOf);
  manager.controller({
    name: 'workflow',
    for: workflows,
    watches: [
      watching(caches.agents, ({ metadata }) => naming(by.agent, joinKey(metadata.namespace, metadata.name))),
      watching(caches.tools, ({ metadata }) => naming(by.tool, joinKey(metadata.namespace, metadata.name))),
      watching(workflows, ({ metadata }) => naming(by.workflow, joinKey(metadata.namespace, metadata.name))),
      watching(caches.pools, ({ metadata }) => naming(by.pool, metadata.name)),
    ],
    reconcile: async (key, { signal }) => {
      const { namespace, name } = splitKey(key);
      const workflow = workflows.get(namespace, name);
      if (!workflow) return undefined;
      const plan = decideWorkflow(observeWorkflow(context, workflow), new Date(clock.now()));
      return manager.executor.execute(workflow, plan, { signal });
    },
  });
}

function observeWorkflow({ caches, validateWorkflow }: Context, workflow: Readonly<Workflow>): WorkflowSnapshot {
  const { metadata, spec } = workflow;
  const missing = {
    agents: agentsOf(spec).filter((name) => !caches.agents.get(metadata.namespace, name)),
    tools: toolsOf(spec).filter((name) => !caches.tools.get(metadata.namespace, name)),
    workflows: calledWorkflows(spec).filter((name) => !caches.workflows.get(metadata.namespace, name)),
    pools: poolsOf(spec).filter((name) => !caches.pools.get(undefined, name)),
  };
  return { workflow, issues: validateWorkflow(spec), missing };
}

// Reads what a decision about a Run rests on.
import { by } from '../caches.ts';
import { agentsOf, poolsOf } from '../build/references.ts';
import { isTerminal } from './status.ts';
import type { Context } from '../context.ts';
import type { Run, Workflow, WorkflowSpec } from '@kadre/crds';
import type { RunSnapshot, Subject } from './observe.ts';

export async function observeRun(
  context: Context,
  run: Readonly<Run>,
  lastWrite: number | undefined,
): Promise<RunSnapshot> {
  const { store, caches } = context;
  const { uid } = run.metadata;
  const base = { run, submitted: false, cancelled: false, pods: [], ...(lastWrite !== undefined && { lastWrite }) };
  if (isTerminal(run.status?.phase)) return base;
  const projection = await store.projection(uid);
  const submitted = projection !== undefined || (await store.submission(uid)) !== undefined;
  if (!submitted) return { ...base, subject: await observeSubject(context, run) };
  return {
    ...base,
    submitted,
    cancelled: run.spec.cancel === true && (await store.cancellation(uid)) !== undefined,
    ...(projection && { projection }),
    // A label is anybody's word: only pods of the Run's own namespace are meant.
    pods: caches.pods.byIndex(by.run, uid).filter(({ metadata }) => metadata.namespace === run.metadata.namespace),
  };
}

async function observeSubject(context: Context, run: Readonly<Run>): Promise<Subject> {
  const { caches, validateWorkflow } = context;
  const { namespace } = run.metadata;
  const named = run.spec.workflow;
  const workflow = named && (await liveWorkflow(context, namespace, named.name));
  const spec = workflow?.spec ?? { steps: [] };
  const names = run.spec.agent ? [run.spec.agent.name] : agentsOf(spec);
  return {
    ...(workflow && { workflow }),
    issues: workflow ? validateWorkflow(workflow.spec) : [],
    agents: Object.fromEntries(names.map((name) => [name, caches.agents.get(namespace, name)])),
    missingPools: poolsOf(spec).filter((name) => !caches.pools.get(undefined, name)),
  };
}

/**
 * The workflow as it is at this moment. A cache may lag behind, and whoever changes a Workflow and then makes a Run means
 * the new one.
 */
async function liveWorkflow(
  { caches, manager }: Context,
  namespace: string | undefined,
  name: string,
): Promise<Workflow | undefined> {
  const cached = caches.workflows.get(namespace, name);
  if (!cached) return undefined;
  const { apiVersion, kind, metadata } = cached;
  const live = await manager.client.get({
    apiVersion,
    kind,
    name,
    ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
  });
  return live && ({ ...cached, ...live, spec: live.spec as WorkflowSpec } as Workflow | undefined);
}

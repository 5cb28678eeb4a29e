// What a Run names: its Workflow and those that it calls, the Agents and GpuPools of all their steps, the run to fork.
import { API_VERSION, type Run, type Workflow, type WorkflowSpec } from '@kadre/crds';
import { agentRunWorkflow, calledWorkflows } from '@kadre/engine';
import type { RunSubmission } from '@kadre/store';
import { agentsOf, needsRequester, poolsOf, toolsOf } from '../build/references.ts';
import { isTerminal } from './status.ts';
import { waitsFor } from './waiting.ts';
import type { Context } from '../context.ts';
import type { Subject } from './observe.ts';

/** @param expect is told of each thing before it is looked for */
export async function observeSubject(
  context: Context,
  run: Readonly<Run>,
  expect: (thing: string) => void,
): Promise<Subject> {
  const { caches } = context;
  const { namespace = '' } = run.metadata;
  const find: FindWorkflow = (name) => {
    expect(waitsFor.workflow(namespace, name));
    return liveWorkflow(context, namespace, name);
  };
  const source = run.spec.fork && (await sourceOf(context, namespace, run.spec.fork.run, expect));
  const own = await ownSpec(run, source, find);
  const taken = typeof source === 'object' && !run.spec.workflow && !run.spec.inline ? source.workflows : undefined;
  const calls = await pinnedCalls(own.spec, taken, find);
  const specs = [own.spec, ...Object.values(calls)].filter((spec) => spec !== undefined);
  const agents = unique(specs.flatMap(agentsOf));
  const tools = unique(specs.flatMap(toolsOf));
  const pools = unique(specs.flatMap(poolsOf));
  agents.forEach((name) => expect(waitsFor.agent(namespace, name)));
  tools.forEach((name) => expect(waitsFor.tool(namespace, name)));
  pools.forEach((name) => expect(waitsFor.pool(name)));
  return {
    ...own,
    calls,
    issues: issuesOf(context, run, own, calls),
    agents: Object.fromEntries(agents.map((name) => [name, caches.agents.get(namespace, name)])),
    missingTools: tools.filter((name) => !caches.tools.get(namespace, name)),
    missingPools: pools.filter((name) => !caches.pools.get(undefined, name)),
    needsRequester: specs.some(needsRequester),
    ...(source && { source }),
  };
}

type FindWorkflow = (name: string) => Promise<WorkflowSpec | undefined>;
type Own = Pick<Subject, 'name' | 'spec'>;

async function ownSpec({ metadata, spec }: Run, source: Subject['source'], find: FindWorkflow): Promise<Own> {
  if (spec.agent) return { name: spec.agent.name, spec: agentRunWorkflow(spec) };
  // No Workflow can be called so: what is inline shares neither queues nor cached outputs with others.
  if (spec.inline) return { name: `inline:${metadata.name}`, spec: spec.inline as unknown as WorkflowSpec };
  if (spec.workflow) {
    const found = await find(spec.workflow.name);
    return { name: spec.workflow.name, ...(found && { spec: found }) };
  }
  return typeof source === 'object' ? { name: source.subject, spec: source.workflow as WorkflowSpec } : { name: '' };
}

/** All Workflows that are called, directly or not. */
async function pinnedCalls(
  spec: WorkflowSpec | undefined,
  taken: RunSubmission['workflows'],
  find: FindWorkflow,
): Promise<Subject['calls']> {
  if (taken) return taken as Record<string, WorkflowSpec>;
  const calls = new Map<string, WorkflowSpec | undefined>();
  const open = spec ? calledWorkflows(spec) : [];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (calls.has(name)) continue;
    const found = await find(name);
    calls.set(name, found);
    if (found) open.push(...calledWorkflows(found));
  }
  return Object.fromEntries(calls);
}

/**
 * The workflow as it is at this moment. A cache may lag behind, and whoever changes a Workflow and then makes a Run means
 * the new one.
 */
async function liveWorkflow(
  { caches, manager }: Context,
  namespace: string,
  name: string,
): Promise<WorkflowSpec | undefined> {
  if (!caches.workflows.get(namespace, name)) return undefined;
  const live = await manager.client.get({ apiVersion: API_VERSION, kind: 'Workflow', namespace, name });
  return (live as Workflow | undefined)?.spec;
}

async function sourceOf(
  { caches, store, manager }: Context,
  namespace: string,
  name: string,
  expect: (thing: string) => void,
): Promise<Subject['source']> {
  expect(waitsFor.run(namespace, name));
  const cached = caches.runs.get(namespace, name);
  const uid = cached?.metadata.uid ?? (await store.findRun(namespace, name));
  const submission = uid === undefined ? undefined : await store.submission(uid);
  if (submission) return submission;
  // Nothing is known of it. It may be so young that the cache has not seen it, or wait for something itself.
  const live =
    cached ??
    ((await manager.client.get({ apiVersion: API_VERSION, kind: 'Run', namespace, name })) as Run | undefined);
  return live && !isTerminal(live.status?.phase) ? 'pending' : 'unknown';
}

function issuesOf({ validateWorkflow }: Context, run: Run, own: Own, calls: Subject['calls']): Subject['issues'] {
  // What was taken over has run before.
  const isFork = run.spec.fork !== undefined && !run.spec.workflow && !run.spec.inline;
  if (isFork || run.spec.agent || !own.spec) return [];
  const issues = validateWorkflow(own.spec).map(({ path, message }) => ({ path: placeIn(run, path), message }));
  const inCalls = Object.entries(calls).flatMap(([name, spec]) =>
    spec === undefined
      ? []
      : validateWorkflow(spec).map((issue) => ({ ...issue, path: `Workflow ${name}: ${issue.path}` })),
  );
  return [...issues, ...inCalls];
}

function placeIn({ spec }: Run, path: string): string {
  return spec.inline ? path.replace(/^spec/, 'spec.inline') : `Workflow ${spec.workflow?.name ?? ''}: ${path}`;
}

function unique(names: string[]): string[] {
  return [...new Set(names)].sort();
}

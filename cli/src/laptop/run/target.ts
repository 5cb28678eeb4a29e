// What is to be run: a workflow, an agent with a question, or what a Run says.
import type { Agent, Run, RunLimits, RunSpec, Workflow, WorkflowSpec } from '@kadre/crds';
import { agentRunWorkflow } from '@kadre/engine';
import { UsageError } from '../errors.ts';
import { find, type Catalog } from '../manifests/catalog.ts';
import { generateName, type KindName, type Manifest } from '../manifests/manifest.ts';

/** A run before it is pinned. */
export interface Target {
  namespace: string;
  /** Name of the Workflow or Agent. */
  subject: string;
  workflow: WorkflowSpec;
  /** The manifests that say so; they must be sound. */
  manifests: Manifest[];
  input?: unknown;
  limits?: RunLimits;
  requestedBy?: string;
}

const SHORT: Record<string, KindName> = {
  workflow: 'Workflow',
  workflows: 'Workflow',
  kwf: 'Workflow',
  agent: 'Agent',
  agents: 'Agent',
  kag: 'Agent',
  run: 'Run',
  runs: 'Run',
  krun: 'Run',
};

interface Wanted {
  /** Such as workflow/article; absent: the only one that there is. */
  target?: string;
  prompt?: string;
  namespace: string;
}

/** @throws {UsageError} naming what there is, when it is not clear what is meant */
export function findTarget(catalog: Catalog, wanted: Wanted): Target {
  const manifest =
    wanted.target === undefined ? theOnly(catalog, wanted) : named(catalog, wanted.target, wanted.namespace);
  const { kind, namespace } = manifest;
  if (kind !== 'Agent' && wanted.prompt !== undefined) {
    throw new UsageError(`--prompt is for agents; ${kind.toLowerCase()}/${manifest.name} takes --input`);
  }
  if (kind === 'Workflow') return ofWorkflow(manifest, namespace);
  if (kind === 'Agent') return ofAgent(manifest, { prompt: wanted.prompt }, undefined);
  return ofRun(catalog, manifest);
}

function ofWorkflow(manifest: Manifest, namespace: string): Target {
  const workflow = (manifest.object as unknown as Workflow).spec;
  return { namespace, subject: manifest.name, workflow, manifests: [manifest] };
}

function ofAgent({ name, namespace }: Manifest, { prompt }: { prompt: string | undefined }, input: unknown): Target {
  if (prompt === undefined || prompt === '')
    throw new UsageError(`agent/${name} must be asked something: add --prompt "…"`);
  const run: Pick<RunSpec, 'agent' | 'input'> = { agent: { name, prompt }, ...(input !== undefined && { input }) };
  return { namespace, subject: name, workflow: agentRunWorkflow(run), manifests: [] };
}

function ofRun(catalog: Catalog, manifest: Manifest): Target {
  const { spec } = manifest.object as unknown as Run;
  const { namespace } = manifest;
  if (spec.fork)
    throw new UsageError('a Run that forks another is for clusters; here there is kadre run --fork RUN --from STEP');
  const { input, limits, requestedBy } = spec;
  const given = {
    ...(input !== undefined && { input }),
    ...(limits && { limits }),
    ...(requestedBy !== undefined && { requestedBy }),
  };
  if (spec.inline) {
    const workflow = spec.inline as unknown as WorkflowSpec;
    return { namespace, subject: nameOf(manifest), workflow, manifests: [manifest], ...given };
  }
  if (spec.agent) {
    const agent = require(catalog, 'Agent', namespace, spec.agent.name);
    const asked = ofAgent(agent, spec.agent, input);
    return { ...asked, ...given, manifests: [manifest] };
  }
  const workflow = require(catalog, 'Workflow', namespace, spec.workflow?.name ?? '');
  const target = ofWorkflow(workflow, namespace);
  return { ...target, ...given, manifests: [manifest, workflow] };
}

function require(
  catalog: Catalog,
  kind: 'Agent' | 'Workflow',
  namespace: string,
  name: string,
): Manifest & { object: Agent | Workflow } {
  const found = find(catalog, kind, namespace, name);
  if (found) return found;
  throw new UsageError(
    `there is no ${kind} ${name} in namespace ${namespace} among these manifests${listed(catalog, kind)}`,
  );
}

function named(catalog: Catalog, target: string, namespace: string): Manifest {
  const [short = '', name = '', ...rest] = target.split('/');
  const kind = SHORT[short.toLowerCase()];
  if (kind === undefined || name === '' || rest.length > 0) {
    throw new UsageError(`${target}: say what to run as workflow/NAME, agent/NAME or run/NAME`);
  }
  const places = new Set(
    catalog.manifests.filter((one) => one.kind === kind && nameOf(one) === name).map((one) => one.namespace),
  );
  const place = places.has(namespace) ? namespace : places.size === 1 ? [...places][0] : undefined;
  if (place === undefined && places.size > 1) {
    throw new UsageError(
      `${kind} ${name} is in several namespaces: choose one with --namespace ${[...places].join(' or --namespace ')}`,
    );
  }
  const found =
    kind === 'Run'
      ? catalog.manifests.find((one) => one.kind === 'Run' && nameOf(one) === name && one.namespace === place)
      : undefined;
  if (found) return found;
  return require(catalog, kind as 'Agent' | 'Workflow', place ?? namespace, name);
}

/** A Run for `kubectl create` has the beginning of a name. */
function nameOf({ name, object }: Manifest): string {
  return name === '' ? generateName(object.metadata).replace(/-$/, '') : name;
}

function theOnly(catalog: Catalog, { prompt }: Wanted): Manifest {
  const order: KindName[] = prompt === undefined ? ['Run', 'Workflow'] : ['Agent'];
  for (const kind of order) {
    const all = catalog.manifests.filter((one) => one.kind === kind);
    if (all.length === 1 && all[0]) return all[0];
    if (all.length > 1) break;
  }
  const lists = order.map((kind) => listed(catalog, kind)).join('');
  throw new UsageError(`say what to run: workflow/NAME, run/NAME, or agent/NAME --prompt "…"${lists}`);
}

function listed(catalog: Catalog, kind: KindName): string {
  const names = [...new Set(catalog.manifests.filter((one) => one.kind === kind).map(nameOf))].sort();
  return names.length === 0 ? '' : `; there is ${names.map((name) => `${kind.toLowerCase()}/${name}`).join(', ')}`;
}

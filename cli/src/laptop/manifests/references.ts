// What manifests name, and whether it is among them.
import {
  routedModels,
  toolSecretAt,
  type Agent,
  type AgentGrant,
  type Model,
  type ModelRoute,
  type Run,
  type SecretKeyRef,
  type Step,
  type ToolGrant,
  type ToolSpec,
} from '@kadre/crds';
import { walkSteps } from '@kadre/engine';
import { findSecret, isThere, type Catalog } from './catalog.ts';
import { problemAt, type KindName, type Manifest, type Problem } from './manifest.ts';

interface Reference {
  kind: 'Agent' | 'Model' | 'Tool' | 'Workflow' | 'GpuPool';
  name: string;
  /** Of the field that holds the name. */
  path: string;
}

/** What an object names that is not among the manifests. A GpuPool and a Secret live in the cluster: those are warnings. */
export function danglingReferences(catalog: Catalog, manifest: Manifest, missing: Problem['level']): Problem[] {
  const absent = referencesOf(manifest).filter(({ kind, name }) => !isThere(catalog, kind, manifest.namespace, name));
  const problems = absent.map(({ kind, name, path }) => {
    const level = kind === 'GpuPool' ? 'warning' : missing;
    const where = kind === 'GpuPool' ? '' : ` in namespace ${manifest.namespace}`;
    return problemAt(manifest, path, `${kind} ${name}${where} is not among these manifests`, level);
  });
  return [...problems, ...secretProblems(catalog, manifest)];
}

function secretProblems(catalog: Catalog, manifest: Manifest): Problem[] {
  const { ref, path: at = '' } = secretOf(manifest) ?? {};
  if (typeof ref?.name !== 'string' || typeof ref.key !== 'string') return [];
  const secret = findSecret(catalog, manifest.namespace, ref.name);
  if (!secret) return [problemAt(manifest, `${at}.name`, `Secret ${ref.name} is not among these manifests`, 'warning')];
  if (secret.data[ref.key] !== undefined) return [];
  const keys = Object.keys(secret.data).join(', ');
  return [
    problemAt(manifest, `${at}.key`, `Secret ${ref.name} has no key ${ref.key}; it has ${keys === '' ? 'none' : keys}`),
  ];
}

function secretOf({ kind, object }: Manifest): { ref?: Partial<SecretKeyRef> | undefined; path: string } | undefined {
  if (kind === 'Model')
    return { ref: (object.spec as Partial<Model['spec']>).auth?.secretRef, path: 'spec.auth.secretRef' };
  return kind === 'Tool' ? toolSecretAt(object.spec as ToolSpec) : undefined;
}

function referencesOf({ kind, object }: Manifest): Reference[] {
  const spec: unknown = object.spec;
  if (kind === 'Workflow') return stepReferences(spec, 'spec');
  if (kind === 'Agent') return agentReferences(spec as Partial<Agent['spec']>);
  if (kind === 'Run') return runReferences(spec as Partial<Run['spec']>);
  if (kind === 'Model') return modelReferences(spec as Partial<Model['spec']>);
  return [];
}

function agentReferences({ model, tools, agents, runtime }: Partial<Agent['spec']>): Reference[] {
  const grants: (Partial<ToolGrant> | null)[] = Array.isArray(tools) ? tools : [];
  const asked: (Partial<AgentGrant> | null)[] = Array.isArray(agents) ? agents : [];
  return [
    ...named('Model', model, 'spec.model'),
    ...grants.flatMap((grant, index) => named('Tool', grant?.name, `spec.tools[${index}].name`)),
    ...asked.flatMap((grant, index) => named('Agent', grant?.name, `spec.agents[${index}].name`)),
    ...named('GpuPool', runtime?.gpu?.pool, 'spec.runtime.gpu.pool'),
  ];
}

function modelReferences({ route }: Partial<Model['spec']>): Reference[] {
  // What is not even a route is the schema's business.
  const { candidates }: { candidates?: unknown } = route ?? {};
  if (!Array.isArray(candidates) || candidates.some((one) => typeof one !== 'object' || one === null)) return [];
  return routedModels(route as ModelRoute).flatMap(({ name, path }) => named('Model', name, `spec.route.${path}`));
}

function runReferences({ workflow, agent, inline }: Partial<Run['spec']>): Reference[] {
  return [
    ...named('Workflow', workflow?.name, 'spec.workflow.name'),
    ...named('Agent', agent?.name, 'spec.agent.name'),
    ...(inline ? stepReferences(inline, 'spec.inline') : []),
  ];
}

function stepReferences(spec: unknown, base: string): Reference[] {
  return [...walkSteps(spec)].flatMap(({ step, path }) => {
    const at = `${base}.${path}`;
    const { agent, tool, container, workflow } = step as Partial<Step>;
    return [
      ...named('Agent', agent?.name, `${at}.agent.name`),
      ...named('Tool', tool?.name, `${at}.tool.name`),
      ...named('Workflow', workflow?.name, `${at}.workflow.name`),
      ...named('GpuPool', agent?.gpu?.pool, `${at}.agent.gpu.pool`),
      ...named('GpuPool', container?.gpu?.pool, `${at}.container.gpu.pool`),
    ];
  });
}

/** A name of the wrong type is the schema's business. */
function named(kind: Reference['kind'] & KindName, name: unknown, path: string): Reference[] {
  return typeof name === 'string' && name !== '' ? [{ kind, name, path }] : [];
}

// What manifests name, and whether it is among them.
import {
  knowledgeSecrets,
  routedModels,
  toolSecretAt,
  type Agent,
  type AgentGrant,
  type KnowledgeGrant,
  type KnowledgeSource,
  type Model,
  type ModelRoute,
  type Run,
  type SecretKeyRef,
  type Step,
  type ToolGrant,
  type ToolSpec,
} from '@kadre/crds';
import { walkSteps } from '@kadre/engine';
import { findConfigMap, findSecret, isThere, type Catalog } from './catalog.ts';
import { problemAt, type KindName, type Manifest, type Problem } from './manifest.ts';

interface Reference {
  kind: 'Agent' | 'Model' | 'Tool' | 'Knowledge' | 'Workflow' | 'GpuPool';
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
  return [...problems, ...secretProblems(catalog, manifest), ...configMapProblems(catalog, manifest)];
}

function secretProblems(catalog: Catalog, manifest: Manifest): Problem[] {
  return secretsOf(manifest).flatMap((one) => secretProblem(catalog, manifest, one));
}

interface SecretAt {
  ref?: Partial<SecretKeyRef> | undefined;
  path: string;
}

function secretProblem(catalog: Catalog, manifest: Manifest, { ref, path: at }: SecretAt): Problem[] {
  if (typeof ref?.name !== 'string' || typeof ref.key !== 'string') return [];
  const secret = findSecret(catalog, manifest.namespace, ref.name);
  if (!secret) return [problemAt(manifest, `${at}.name`, `Secret ${ref.name} is not among these manifests`, 'warning')];
  if (secret.data[ref.key] !== undefined) return [];
  const keys = Object.keys(secret.data).join(', ');
  return [
    problemAt(manifest, `${at}.key`, `Secret ${ref.name} has no key ${ref.key}; it has ${keys === '' ? 'none' : keys}`),
  ];
}

function secretsOf({ kind, object }: Manifest): SecretAt[] {
  if (kind === 'Model')
    return [{ ref: (object.spec as Partial<Model['spec']>).auth?.secretRef, path: 'spec.auth.secretRef' }];
  if (kind === 'Knowledge') return knowledgeSecrets({ sources: sourcesOf(object.spec) });
  const ofTool = kind === 'Tool' ? toolSecretAt(object.spec as ToolSpec) : undefined;
  return ofTool ? [ofTool] : [];
}

/** What is no source is the schema's business. */
function sourcesOf({ sources }: Record<string, unknown>): KnowledgeSource[] {
  const all = Array.isArray(sources) ? (sources as unknown[]) : [];
  return all.map((one) => (typeof one === 'object' && one !== null ? one : {}) as KnowledgeSource);
}

function configMapProblems(catalog: Catalog, manifest: Manifest): Problem[] {
  if (manifest.kind !== 'Knowledge') return [];
  return sourcesOf(manifest.object.spec).flatMap(({ configMap }, index) => {
    const { name, keys = [] }: { name?: unknown; keys?: string[] | undefined } = configMap ?? {};
    if (typeof name !== 'string') return [];
    const at = `spec.sources[${index}].configMap`;
    const found = findConfigMap(catalog, manifest.namespace, name);
    if (!found) return [problemAt(manifest, `${at}.name`, `ConfigMap ${name} is not among these manifests`, 'warning')];
    return (Array.isArray(keys) ? keys : []).flatMap((key, place) =>
      Object.hasOwn(found.data, key) || found.binaryKeys.includes(key)
        ? []
        : [problemAt(manifest, `${at}.keys[${place}]`, `ConfigMap ${name} has no key ${key}`)],
    );
  });
}

function referencesOf({ kind, object }: Manifest): Reference[] {
  const spec: unknown = object.spec;
  if (kind === 'Workflow') return stepReferences(spec, 'spec');
  if (kind === 'Agent') return agentReferences(spec as Partial<Agent['spec']>);
  if (kind === 'Run') return runReferences(spec as Partial<Run['spec']>);
  if (kind === 'Knowledge') return named('Model', spec && (spec as { model?: unknown }).model, 'spec.model');
  if (kind === 'Tool') return named('Workflow', (spec as Partial<ToolSpec>).workflow?.name, 'spec.workflow.name');
  if (kind === 'Model') return modelReferences(spec as Partial<Model['spec']>);
  return [];
}

function agentReferences({ model, tools, agents, knowledge, runtime }: Partial<Agent['spec']>): Reference[] {
  const grants: (Partial<ToolGrant> | null)[] = Array.isArray(tools) ? tools : [];
  const asked: (Partial<AgentGrant> | null)[] = Array.isArray(agents) ? agents : [];
  const searched: (Partial<KnowledgeGrant> | null)[] = Array.isArray(knowledge) ? knowledge : [];
  return [
    ...named('Model', model, 'spec.model'),
    ...grants.flatMap((grant, index) => named('Tool', grant?.name, `spec.tools[${index}].name`)),
    ...asked.flatMap((grant, index) => named('Agent', grant?.name, `spec.agents[${index}].name`)),
    ...searched.flatMap((grant, index) => named('Knowledge', grant?.name, `spec.knowledge[${index}].name`)),
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

// Everything that a run needs, taken from the manifests before it starts; or all that stands in its way, at once.
import { resolve } from 'node:path';
import {
  isProviderModel,
  knowledgeSecrets,
  routedModels,
  toolSecret,
  type Agent,
  type AgentStep,
  type Budget,
  type Knowledge,
  type Model,
  type RunLimits,
  type Step,
  type Tool,
  type Workflow,
  type WorkflowSpec,
} from '@kadre/crds';
import { calledWorkflows, walkSteps } from '@kadre/engine';
import type { ConfigMap } from '@kadre/knowledge';
import { notOnLaptop } from '@kadre/sandbox';
import { UsageError } from '../errors.ts';
import { find, findConfigMap, findSecret, namesOf, type Catalog } from '../manifests/catalog.ts';
import { soundness } from '../manifests/check.ts';
import { problemLine, type Manifest } from '../manifests/manifest.ts';
import { mapSteps } from '../manifests/steps.ts';
import type { PinnedKnowledge } from './knowledge.ts';
import {
  keyOf,
  knowledgeKeyOf,
  missingKey,
  missingKnowledgeKey,
  missingToolKey,
  toolKeyOf,
  type Environment,
} from './secrets.ts';
import type { Target } from './target.ts';

/** A run with all that it names. It holds no secrets: they are looked up again whenever it goes on. */
export interface Pinned {
  namespace: string;
  subject: string;
  workflow: WorkflowSpec;
  workflows: Record<string, WorkflowSpec>;
  agents: Agent[];
  models: Model[];
  /** What the agents may use, and the steps call. */
  tools?: Tool[];
  /** What those of the Tools that are Workflows run. */
  toolWorkflows?: PinnedWorkflow[];
  /** What the agents may search, and the ConfigMaps of that, by name. */
  knowledge?: PinnedKnowledge[];
  configMaps?: Record<string, ConfigMap>;
  /** Those of the namespace, if there are any. */
  budgets?: Budget[];
  input?: unknown;
  limits?: RunLimits;
  requestedBy?: string;
}

export interface PinnedWorkflow {
  object: Workflow;
  /** All that its steps call, directly or not, by name. */
  workflows: Record<string, WorkflowSpec>;
}

export interface PinOptions {
  /** Outputs of steps that cannot run here, by name. */
  stubs: ReadonlyMap<string, unknown>;
  /** Agents that somebody else serves, by name: their URLs. */
  served: ReadonlyMap<string, string>;
  /** Where servers of Tools run that a cluster would run from their images, by the name of the Tool. */
  servers: ReadonlyMap<string, string>;
  env: Environment;
}

/** @throws {UsageError} with a line for each thing that stands in the way */
export function pin(catalog: Catalog, target: Target, options: PinOptions): { pinned: Pinned; warnings: string[] } {
  const search = new Search(catalog, target.namespace);
  const warnings: string[] = [];
  for (const manifest of target.manifests) search.sound(manifest);
  const called = search.workflows(target.workflow);
  const { specs, agents, offered } = search.reached([target.workflow, ...called.map(specOf)], options);
  const knowledge = search.knowledge(agents, options.env);
  const models = search.models(agents, knowledge, options.env);
  const tools = search.tools(agents, specs, options.env).map((tool) => search.served(tool, options.servers));
  const budgets = search.budgets();
  noticeStrangers(options, specs, agents, search.obstacles);
  for (const name of options.servers.keys()) {
    if (!tools.some(({ object }) => object.metadata.name === name))
      search.obstacles.push(`--tool ${name}: no agent or step of this run has this Tool`);
  }
  const local = (spec: WorkflowSpec, name: string) => localized(spec, name, options.stubs, search.obstacles, warnings);
  // What is malformed cannot be looked at any closer.
  const workflow = search.obstacles.length > 0 ? target.workflow : local(target.workflow, target.subject);
  const localAll = (all: Found<Workflow>[]) =>
    Object.fromEntries(all.map((one) => [one.name, local(specOf(one), one.name)]));
  const workflows = localAll(called);
  const toolWorkflows = offered.map(({ name, object }) => ({
    object: { ...object, metadata: asCreated(object, target.namespace), spec: local(object.spec, name) },
    workflows: localAll(search.workflows(object.spec)),
  }));
  if (search.obstacles.length > 0) throw new UsageError([...new Set(search.obstacles)].join('\n'));
  const { namespace, subject, input, limits, requestedBy } = target;
  const pinned: Pinned = {
    namespace,
    subject,
    workflow,
    workflows,
    agents: agents.map(({ object }) => object),
    models: models.map(({ object }) => ({ ...object, metadata: asCreated(object, target.namespace) })),
    ...(tools.length > 0 && {
      tools: tools.map(({ object }) => ({ ...object, metadata: asCreated(object, target.namespace) })),
    }),
    ...(toolWorkflows.length > 0 && { toolWorkflows }),
    ...pinnedKnowledge(catalog, knowledge),
    ...(budgets.length > 0 && { budgets: budgets.map(({ object }) => object) }),
    ...(input !== undefined && { input }),
    ...(limits && { limits }),
    ...(requestedBy !== undefined && { requestedBy }),
  };
  return { pinned, warnings };
}

/** What the API server adds to an object. */
function asCreated(
  { kind, metadata: { name } }: Model | Tool | Knowledge | Workflow,
  namespace: string,
): Model['metadata'] {
  const creationTimestamp = new Date().toISOString();
  return {
    name,
    namespace,
    uid: `${kind.toLowerCase()}-${name}`,
    resourceVersion: '1',
    generation: 1,
    creationTimestamp,
  };
}

function pinnedKnowledge(
  catalog: Catalog,
  knowledge: readonly Found<Knowledge>[],
): Pick<Pinned, 'knowledge' | 'configMaps'> {
  if (knowledge.length === 0) return {};
  const names = knowledge.flatMap(({ namespace, object }) =>
    object.spec.sources.flatMap(({ configMap }) => (configMap ? [[namespace, configMap.name] as const] : [])),
  );
  return {
    knowledge: knowledge.map(({ object, namespace, document }) => ({
      object: { ...object, metadata: asCreated(object, namespace) },
      file: document.file === '-' ? '-' : resolve(document.file),
    })),
    configMaps: Object.fromEntries(
      names.flatMap(([namespace, name]) => {
        const found = findConfigMap(catalog, namespace, name);
        return found ? [[name, { data: found.data, binaryKeys: found.binaryKeys }]] : [];
      }),
    ),
  };
}

type Found<Kind> = Manifest & { object: Kind };

const specOf = ({ object }: Found<Workflow>): WorkflowSpec => object.spec;

/** Finds what a run names, and gathers what stands in its way. */
class Search {
  readonly obstacles: string[] = [];
  readonly #catalog: Catalog;
  readonly #namespace: string;

  constructor(catalog: Catalog, namespace: string) {
    this.#catalog = catalog;
    this.#namespace = namespace;
  }

  sound(manifest: Manifest): boolean {
    const problems = soundness(manifest);
    this.obstacles.push(...problems.map(problemLine));
    return problems.length === 0;
  }

  /** All that its steps call, directly or not. */
  workflows(spec: WorkflowSpec): Found<Workflow>[] {
    const found = new Map<string, Found<Workflow> | undefined>();
    const queue = calledWorkflows(spec);
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      if (found.has(name)) continue;
      const workflow = this.#find('Workflow', name, 'add -f with its file');
      found.set(name, workflow);
      if (workflow) queue.push(...calledWorkflows(workflow.object.spec));
    }
    return [...found.values()].filter((one) => one !== undefined);
  }

  /** Agents, and Workflows that Tools run: either may have Tools that run more of them. */
  reached(own: readonly WorkflowSpec[], { served, env }: PinOptions) {
    const specs = [...own];
    const offered = new Map<string, Found<Workflow> | undefined>();
    for (;;) {
      const agents = this.agents(specs, served);
      const names = this.tools(agents, specs, env).flatMap(({ object }) => object.spec.workflow?.name ?? []);
      const fresh = [...new Set(names)].filter((name) => !offered.has(name));
      if (fresh.length === 0) return { specs, agents, offered: [...offered.values()].flatMap((one) => one ?? []) };
      for (const name of fresh) {
        const workflow = this.#find('Workflow', name, 'add -f with its file, for a Tool runs it');
        offered.set(name, workflow);
        if (workflow) specs.push(workflow.object.spec, ...this.workflows(workflow.object.spec).map(specOf));
      }
    }
  }

  /** Those that the steps ask, and whom these ask, but for those that somebody else serves. */
  agents(specs: readonly WorkflowSpec[], served: PinOptions['served']): Found<Agent>[] {
    const names = new Set(specs.flatMap((spec) => stepsOf(spec).flatMap(({ agent }) => agent?.name ?? [])));
    const found: Found<Agent>[] = [];
    // It grows on the way: by all whom these ask.
    for (const name of names) {
      if (served.has(name)) continue;
      const agent = this.#agent(name);
      if (!agent) continue;
      found.push(agent);
      for (const asked of agent.object.spec.agents ?? []) names.add(asked.name);
    }
    return found;
  }

  #agent(name: string): Found<Agent> | undefined {
    const agent = this.#find('Agent', name, `add -f with its file, or --agent ${name}=URL if it is served already`);
    const image = agent?.object.spec.runtime?.image;
    if (!agent || image === undefined) return agent;
    this.obstacles.push(
      `Agent ${name} runs the image ${image}, and images run in clusters alone: start it yourself and add --agent ${name}=URL`,
    );
    return undefined;
  }

  /** What the agents may search. */
  knowledge(agents: readonly Found<Agent>[], env: Environment): Found<Knowledge>[] {
    const names = new Set(agents.flatMap(({ object }) => (object.spec.knowledge ?? []).map(({ name }) => name)));
    return [...names].flatMap((name) => {
      const found = this.#find('Knowledge', name, "add -f with its file, or take it out of the agent's knowledge");
      if (found) this.#sources(found, env);
      return found ?? [];
    });
  }

  #sources({ name, object }: Found<Knowledge>, env: Environment): void {
    const { sources, model } = object.spec;
    const secrets = (wanted: string) => findSecret(this.#catalog, this.#namespace, wanted)?.data;
    for (const { ref } of knowledgeSecrets(object.spec)) {
      if (knowledgeKeyOf(ref, secrets, env) === undefined) this.obstacles.push(missingKnowledgeKey(name, ref));
    }
    for (const { configMap } of sources) {
      if (!configMap || findConfigMap(this.#catalog, this.#namespace, configMap.name)) continue;
      this.obstacles.push(
        `Knowledge ${name} reads ConfigMap ${configMap.name}, which is not among these manifests: add -f with its file`,
      );
    }
    const embedding = find(this.#catalog, 'Model', this.#namespace, model);
    if (embedding && !isProviderModel(embedding.object))
      this.obstacles.push(`Knowledge ${name} names Model ${model}, which is a route: name one Model that embeds`);
  }

  models(agents: readonly Found<Agent>[], knowledge: readonly Found<Knowledge>[], env: Environment): Found<Model>[] {
    const names = new Set([...agents, ...knowledge].map(({ object }) => object.spec.model));
    const secret = (wanted: string) => findSecret(this.#catalog, this.#namespace, wanted)?.data;
    const models: Found<Model>[] = [];
    // It grows on the way: by all that a route names.
    for (const name of names) {
      const model = this.#find('Model', name, 'add -f with its file');
      if (!model) continue;
      const { spec } = model.object;
      for (const routed of spec.route ? routedModels(spec.route) : []) names.add(routed.name);
      if (spec.auth && keyOf(model.object, secret, env) === undefined) this.obstacles.push(missingKey(model.object));
      models.push(model);
    }
    return models;
  }

  /** Those that the agents may use, and those that the steps call. */
  tools(agents: readonly Found<Agent>[], specs: readonly WorkflowSpec[], env: Environment): Found<Tool>[] {
    const granted = agents.flatMap(({ object }) => (object.spec.tools ?? []).map(({ name }) => name));
    const called = specs.flatMap((spec) => stepsOf(spec).flatMap(({ tool }) => tool?.name ?? []));
    const names = new Set([...granted, ...called]);
    const secrets = (wanted: string) => findSecret(this.#catalog, this.#namespace, wanted)?.data;
    return [...names].flatMap((name) => {
      const tool = this.#find('Tool', name, "add -f with its file, or take it out of the agent's tools or the steps");
      const ref = tool && toolSecret(tool.object.spec);
      if (ref && toolKeyOf(tool.object, secrets, env) === undefined)
        this.obstacles.push(missingToolKey(tool.object, ref));
      const refusal = notOnLaptop(tool?.object.spec.builtin?.code ?? {});
      if (refusal !== undefined) this.obstacles.push(`Tool ${name}: ${refusal}`);
      return tool ?? [];
    });
  }

  /** The Tool with the address of its server, where somebody has started that. */
  served(tool: Found<Tool>, servers: PinOptions['servers']): Found<Tool> {
    const { metadata, spec } = tool.object;
    const { server, ...mcp } = spec.mcp ?? {};
    if (!server) return tool;
    const url = servers.get(metadata.name);
    if (url !== undefined) return { ...tool, object: { ...tool.object, spec: { ...spec, mcp: { ...mcp, url } } } };
    this.obstacles.push(
      `Tool ${metadata.name} runs the image ${server.image}, and images run in clusters alone: start its server yourself and add --tool ${metadata.name}=URL`,
    );
    return tool;
  }

  /** All of the namespace: nobody names them, and each of them holds. */
  budgets(): Found<Budget>[] {
    return namesOf(this.#catalog, 'Budget', this.#namespace).flatMap((name) => this.#find('Budget', name, '') ?? []);
  }

  #find<K extends 'Workflow' | 'Agent' | 'Model' | 'Tool' | 'Knowledge' | 'Budget'>(
    kind: K,
    name: string,
    remedy: string,
  ) {
    const found = find(this.#catalog, kind, this.#namespace, name);
    if (!found) this.obstacles.push(`${kind} ${name} is not among these manifests: ${remedy}`);
    return found && this.sound(found) ? found : undefined;
  }
}

function stepsOf(spec: WorkflowSpec): Step[] {
  return [...walkSteps(spec)].map(({ step }) => step as unknown as Step);
}

/**
 * The workflow as it can be run in one process: agents are asked here, wherever a cluster would run them, and what only a
 * container does, or a sandbox that is not to be had here, has an output that somebody has given.
 */
function localized(
  spec: WorkflowSpec,
  workflow: string,
  stubs: PinOptions['stubs'],
  obstacles: string[],
  warnings: string[],
): WorkflowSpec {
  return mapSteps(spec, (step) => {
    const { name, container, code, agent } = step;
    if (!container && !code) return agent ? { ...step, agent: withoutPod(agent, name, warnings) } : step;
    const { needs, when, forEach } = step;
    // Nothing is left of it that could fail, take long or need another round.
    if (stubs.has(name)) return { name, needs, when, forEach, value: literal(stubs.get(name)) };
    const refusal = code && notOnLaptop(code.sandbox ?? {});
    if (refusal !== undefined) obstacles.push(`step ${name} of ${workflow}: ${refusal}`);
    if (!container) return step;
    obstacles.push(
      `step ${name} of ${workflow} runs the container ${container.image}, and containers run in clusters alone: ` +
        `apply the workflow there, or give the step's output here with --stub ${name}=JSON`,
    );
    return step;
  });
}

function withoutPod(agent: AgentStep, step: string, warnings: string[]): AgentStep {
  const { gpu } = agent;
  // In a nested step nobody has set the default yet.
  const count = (gpu as Partial<typeof gpu>)?.count ?? 1;
  if (gpu)
    warnings.push(`step ${step} asks for ${count} device(s) of GpuPool ${gpu.pool}: here its agent runs without`);
  const here = { ...agent };
  delete here.gpu;
  delete here.isolation;
  return here;
}

/** A value in which $(…) is no expression. */
export function literal(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$(', () => '$$(');
  if (Array.isArray(value)) return value.map(literal);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, literal(field)]));
}

/** A name that nothing has is a slip of the pen. */
function noticeStrangers(
  { stubs, served }: PinOptions,
  specs: readonly WorkflowSpec[],
  agents: readonly Found<Agent>[],
  obstacles: string[],
): void {
  const steps = specs.flatMap(stepsOf);
  for (const name of stubs.keys()) {
    if (!steps.some((step) => step.name === name && (step.container ?? step.code)))
      obstacles.push(`--stub ${name}: no container or code step has this name`);
  }
  const asked = new Set([
    ...steps.flatMap(({ agent }) => agent?.name ?? []),
    ...agents.flatMap(({ object }) => (object.spec.agents ?? []).map(({ name }) => name)),
  ]);
  for (const name of served.keys()) {
    if (!asked.has(name)) obstacles.push(`--agent ${name}: no step asks this agent`);
  }
}

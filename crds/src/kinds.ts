// The kinds at a glance: how they are called, what `kubectl get` shows, and which schemas they have.
import type { z } from 'zod';
import { agentRules, agentSpec, agentStatus } from './agent.ts';
import { approvalRules, approvalSpec, approvalStatus } from './approval.ts';
import { budgetSpec, budgetStatus } from './budget.ts';
import { gpuPoolSpec, gpuPoolStatus } from './gpu-pool.ts';
import { knowledgeSpec, knowledgeStatus } from './knowledge.ts';
import { modelSpec, modelStatus } from './model.ts';
import { runSpec, runStatus } from './run.ts';
import type { ValidationRule } from './structural.ts';
import { triggerSpec, triggerStatus } from './trigger.ts';
import { toolRules, toolSpec, toolStatus } from './tool.ts';
import { openWorkflowSpec, workflowStatus } from './workflow.ts';

/** A column of `kubectl get`. */
export interface PrinterColumn {
  name: string;
  type: 'string' | 'integer' | 'date';
  jsonPath: string;
  description: string;
  /** Shown only by `-o wide`. */
  wide?: true;
}

export interface Kind {
  kind: string;
  plural: string;
  singular: string;
  /** Kadre's own: `agents` and `workflows` belong to other projects, too. */
  shortNames: string[];
  scope: 'Namespaced' | 'Cluster';
  description: string;
  spec: z.ZodObject;
  status: z.ZodObject;
  /** Rules over the whole object; of its metadata, CEL sees the name alone. */
  rules: ValidationRule[];
  columns: PrinterColumn[];
  /** Paths of the scale subresource. */
  scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath: string };
}

const column = (name: string, jsonPath: string, description: string): PrinterColumn => ({
  name,
  type: 'string',
  jsonPath,
  description,
});
const count = (name: string, jsonPath: string, description: string): PrinterColumn => ({
  ...column(name, jsonPath, description),
  type: 'integer',
});
const wide = (shown: PrinterColumn): PrinterColumn => ({ ...shown, wide: true });

const ready = column('Ready', '.status.conditions[?(@.type=="Ready")].status', 'Whether the object is ready for use.');
const reason = column('Reason', '.status.conditions[?(@.type=="Ready")].reason', 'Why it is, or is not, ready.');
const message = wide(
  column('Message', '.status.conditions[?(@.type=="Ready")].message', 'What is wrong and how to mend it.'),
);
const age: PrinterColumn = {
  ...column('Age', '.metadata.creationTimestamp', 'How long ago the object was created.'),
  type: 'date',
};

// References are DNS labels, and names become values of labels: a longer name could be created but never used.
const usableName: ValidationRule = {
  message: 'metadata.name must be a DNS label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends',
  rule: `size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')`,
};
const serviceName: ValidationRule = {
  message: 'metadata.name becomes the name of a Service: it must begin with a letter',
  rule: `self.metadata.name.matches('^[a-z]')`,
};

export const kinds = {
  Agent: {
    kind: 'Agent',
    plural: 'agents',
    singular: 'agent',
    shortNames: ['kag'],
    scope: 'Namespaced',
    description: 'Agent is an AI agent: instructions, a model, and how it is served.',
    spec: agentSpec,
    status: agentStatus,
    rules: [usableName, serviceName, ...agentRules],
    columns: [
      column('Model', '.spec.model', 'The Model that answers.'),
      ready,
      reason,
      count('Replicas', '.status.replicas', 'How many pods there are.'),
      wide(count('Available', '.status.readyReplicas', 'How many of them are ready.')),
      wide(column('URL', '.status.url', 'Where the agent answers inside the cluster.')),
      message,
      age,
    ],
    scale: {
      specReplicasPath: '.spec.serving.replicas',
      statusReplicasPath: '.status.replicas',
      labelSelectorPath: '.status.selector',
    },
  },
  Model: {
    kind: 'Model',
    plural: 'models',
    singular: 'model',
    shortNames: ['kmod'],
    scope: 'Namespaced',
    description: 'Model is one language model behind the gateway, or a route over several.',
    spec: modelSpec,
    status: modelStatus,
    rules: [usableName],
    columns: [
      column('Provider', '.spec.provider', 'Which protocol the model speaks.'),
      column('Route', '.spec.route.strategy', 'How it chooses among others, if it is a route.'),
      column('Model', '.spec.model', "The provider's name for the model."),
      ready,
      reason,
      wide(column('URL', '.spec.baseUrl', 'Where the provider answers, if not at its usual address.')),
      message,
      age,
    ],
  },
  Tool: {
    kind: 'Tool',
    plural: 'tools',
    singular: 'tool',
    shortNames: ['ktool'],
    scope: 'Namespaced',
    description: 'Tool is something that agents may do: an MCP server, an HTTP API, or what Kadre brings along.',
    spec: toolSpec,
    status: toolStatus,
    rules: [usableName, ...toolRules],
    columns: [
      ready,
      reason,
      wide(column('Server', '.status.server', 'What the server says that it is.')),
      wide(column('Description', '.spec.description', 'What it is for.')),
      message,
      age,
    ],
  },
  Knowledge: {
    kind: 'Knowledge',
    plural: 'knowledges',
    singular: 'knowledge',
    shortNames: ['kknow'],
    scope: 'Namespaced',
    description: 'Knowledge is documents that agents search: where they come from, and which Model embeds them.',
    spec: knowledgeSpec,
    status: knowledgeStatus,
    rules: [usableName],
    columns: [
      column('Model', '.spec.model', 'The Model that embeds.'),
      count('Documents', '.status.documents', 'How many documents there are.'),
      count('Chunks', '.status.chunks', 'How many passages they make.'),
      count('Indexed', '.status.indexed', 'How many of them can be found.'),
      ready,
      reason,
      wide(column('Refreshed', '.status.lastRefresh', 'When all sources were last read.')),
      wide(column('Description', '.spec.description', 'What is to be found here.')),
      message,
      age,
    ],
  },
  Workflow: {
    kind: 'Workflow',
    plural: 'workflows',
    singular: 'workflow',
    shortNames: ['kwf'],
    scope: 'Namespaced',
    description: 'Workflow is a set of steps and how they depend on one another.',
    spec: openWorkflowSpec,
    status: workflowStatus,
    rules: [usableName],
    columns: [
      count('Steps', '.status.steps', 'How many steps the workflow has.'),
      ready,
      reason,
      wide(column('Description', '.spec.description', 'What the workflow is for.')),
      message,
      age,
    ],
  },
  Run: {
    kind: 'Run',
    plural: 'runs',
    singular: 'run',
    shortNames: ['krun'],
    scope: 'Namespaced',
    description: 'Run is one execution of a Workflow or of an Agent.',
    spec: runSpec,
    status: runStatus,
    rules: [usableName],
    columns: [
      column('Workflow', '.spec.workflow.name', 'The Workflow that runs.'),
      column('Agent', '.spec.agent.name', 'The Agent that is asked.'),
      column('Phase', '.status.phase', 'How far the run is.'),
      column('Progress', '.status.progress', 'Finished steps of all steps.'),
      column('Cost', '.status.usage.costUsd', 'What the model calls cost so far, in USD.'),
      wide(reason),
      message,
      age,
    ],
  },
  Approval: {
    kind: 'Approval',
    plural: 'approvals',
    singular: 'approval',
    shortNames: ['kappr'],
    scope: 'Namespaced',
    description: 'Approval is a decision that a run asks people for. Kadre makes it, people decide it.',
    spec: approvalSpec,
    status: approvalStatus,
    rules: [usableName, ...approvalRules],
    columns: [
      column('Run', '.spec.run', 'The Run that asks.'),
      column('Step', '.spec.step', 'The step that asks.'),
      column('Phase', '.status.phase', 'What became of it.'),
      column('Decided by', '.status.decidedBy', 'Whose decision was taken.'),
      wide(column('Asks', '.spec.message', 'What is to be decided.')),
      message,
      age,
    ],
  },
  Trigger: {
    kind: 'Trigger',
    plural: 'triggers',
    singular: 'trigger',
    shortNames: ['ktrig'],
    scope: 'Namespaced',
    description: 'Trigger starts Runs by the clock, for an HTTP request, or when an object changes.',
    spec: triggerSpec,
    status: triggerStatus,
    rules: [usableName],
    columns: [
      column('Cause', '.status.cause', 'What starts it.'),
      column('Workflow', '.spec.start.workflow.name', 'The Workflow that is run.'),
      wide(column('Event', '.spec.start.event.name', 'The event that is published.')),
      ready,
      reason,
      count('Active', '.status.active', 'How many of its Runs are at work.'),
      column('Last run', '.status.lastRun.name', 'The latest Run.'),
      column('Next', '.status.nextScheduleTime', 'When the next Run is due.'),
      wide(column('URL', '.status.url', 'Where the webhook takes requests inside the cluster.')),
      message,
      age,
    ],
  },
  Budget: {
    kind: 'Budget',
    plural: 'budgets',
    singular: 'budget',
    shortNames: ['kbud'],
    scope: 'Namespaced',
    description:
      'Budget limits what the model calls of a namespace may use in a period, and how many Runs are at work.',
    spec: budgetSpec,
    status: budgetStatus,
    rules: [usableName],
    columns: [
      column('Period', '.spec.period', 'When it begins anew.'),
      column('Limit', '.spec.limits.costUsd', 'What the calls of a period may cost, in USD.'),
      column('Spent', '.status.spent.costUsd', 'What they came to, in USD.'),
      column('Left', '.status.left.costUsd', 'What is neither spent nor reserved, in USD.'),
      column('Exceeded', '.status.conditions[?(@.type=="Exceeded")].status', 'Whether a limit is used up.'),
      ready,
      wide(count('Tokens', '.status.spent.tokens', 'Tokens of the period.')),
      wide(count('Requests', '.status.spent.requests', 'Calls of the period.')),
      wide(count('Refusals', '.status.refusals', 'Calls that were refused in the period.')),
      wide(column('Until', '.status.periodEnd', 'When the period ends.')),
      message,
      age,
    ],
  },
  GpuPool: {
    kind: 'GpuPool',
    plural: 'gpupools',
    singular: 'gpupool',
    shortNames: ['gpool'],
    scope: 'Cluster',
    description: 'GpuPool is a set of devices that an administrator offers, and how pods reach them.',
    spec: gpuPoolSpec,
    status: gpuPoolStatus,
    rules: [usableName],
    columns: [
      column('Resource', '.spec.resourceName', 'The extended resource that one device is.'),
      count('Capacity', '.status.capacity', 'How many devices there are.'),
      count('In use', '.status.inUse', 'How many of them are taken.'),
      count('Waiting', '.status.waiting', 'How many devices pending pods wait for.'),
      ready,
      wide(count('Nodes', '.status.nodes', 'How many nodes belong to the pool.')),
      wide(column('Queue', '.spec.queue.name', 'The batch queue through which Jobs wait their turn.')),
      wide(reason),
      age,
    ],
  },
} as const satisfies Record<string, Kind>;

// Workflows and Agents as tools of the Model Context Protocol.
import type { Agent, Workflow } from '@kadre/crds';
import type { RequestedRun } from '@kadre/store';
import type { McpSource } from './options.ts';

export type Offered = Pick<McpSource, 'workflows' | 'agents'>;

export interface Offer {
  name: string;
  description: string;
  inputSchema: { type: 'object'; [keyword: string]: unknown };
  /** What a call with these arguments asks for; a text says what is wrong with them. */
  runOf(args: Record<string, unknown>): RequestedRun | string;
}

const LONGEST_PROMPT = 32_768;
const PROMPT = {
  type: 'object',
  properties: { prompt: { type: 'string', minLength: 1, maxLength: LONGEST_PROMPT, description: 'What to ask.' } },
  required: ['prompt'],
  additionalProperties: false,
} as const;

/** By name. A Workflow that takes no object cannot be a tool. */
export function offersOf(source: Offered, namespace: string): Offer[] {
  const offers = [
    ...source.workflows.list(namespace).flatMap(ofWorkflow),
    ...source.agents.list(namespace).map(ofAgent),
  ];
  return offers.sort((one, other) => (one.name < other.name ? -1 : 1));
}

function ofWorkflow({ metadata: { name }, spec }: Workflow): Offer[] {
  const schema = spec.input?.schema ?? { type: 'object' };
  if (schema['type'] !== 'object') return [];
  return [
    {
      name: `workflow_${name}`,
      description: spec.description ?? `Runs the workflow ${name}.`,
      inputSchema: { ...schema, type: 'object' },
      runOf: (args) => ({ workflow: { name }, input: args }),
    },
  ];
}

const ofAgent = ({ metadata: { name }, spec }: Agent): Offer => ({
  name: `agent_${name}`,
  description: spec.description ?? `Asks the agent ${name}.`,
  inputSchema: PROMPT,
  runOf: ({ prompt }) =>
    typeof prompt === 'string' && prompt !== '' && prompt.length <= LONGEST_PROMPT
      ? { agent: { name, prompt } }
      : `prompt must be a text of 1 to ${LONGEST_PROMPT} characters.`,
});

// Wrong manifests, what the API server says to them, and what mends each. With the Agents and Workflows beside: one row for
// every rule of every kind, and rows for the mistakes that the schema alone catches.
import type { KindName } from './cluster.ts';

export interface Refusal {
  mistake: string;
  kind: KindName;
  /** The whole object but for its type; `metadata` only where it matters. */
  wrong: object;
  /** The path of the field that the answer names, where it names one below spec. */
  where?: string;
  /** Part of the answer: how to mend it. */
  message: string;
  right: object;
}

const model = (fields: object) => ({ spec: fields });
const hosted = { provider: 'openai', model: 'gpt-5', auth: { secretRef: { name: 'llm', key: 'openai' } } };
const script = (entry: object) => model({ provider: 'simulated', simulated: { script: [entry] } });
const pool = (fields: object) => ({ spec: fields });
const toleration = (fields: object) => pool({ tolerations: [fields] });

export const modelRefusals: Refusal[] = [
  {
    mistake: 'no name for the model of a provider',
    kind: 'Model',
    wrong: model({ ...hosted, model: undefined }),
    message: "set model to the provider's name for the model",
    right: model(hosted),
  },
  {
    mistake: 'a server without an address',
    kind: 'Model',
    wrong: model({ provider: 'openaiCompatible', model: 'llama' }),
    message: 'set baseUrl, such as http://',
    right: model({ provider: 'openaiCompatible', model: 'llama', baseUrl: 'http://vllm.models.svc:8000/v1' }),
  },
  ...['openai', 'anthropic', 'google'].map((provider): Refusal => ({
    mistake: `${provider} without a key`,
    kind: 'Model',
    wrong: model({ provider, model: 'm' }),
    message: 'this provider wants an API key: set auth.secretRef',
    right: model({ ...hosted, provider }),
  })),
  {
    mistake: 'a script for a model that is not simulated',
    kind: 'Model',
    wrong: model({ ...hosted, simulated: {} }),
    where: 'spec.simulated',
    message: 'simulated is only for provider simulated',
    right: model({ provider: 'simulated', simulated: { tokensPerSecond: 50 } }),
  },
  {
    mistake: 'an entry that answers and fails',
    kind: 'Model',
    wrong: script({ reply: 'Yes.', error: { status: 500 } }),
    where: 'spec.simulated.script[0]',
    message: 'an entry either answers or fails',
    right: script({ error: { status: 429, times: 2 } }),
  },
  {
    mistake: 'an entry that does nothing',
    kind: 'Model',
    wrong: script({ match: 'hello' }),
    message: 'set reply, toolCalls or both, or else error or malformed',
    right: script({ match: 'hello', reply: 'I look.', toolCalls: [{ name: 'weather' }] }),
  },
  {
    mistake: 'an entry that makes sense and none',
    kind: 'Model',
    wrong: script({ reply: 'Yes.', malformed: true }),
    where: 'spec.simulated.script[0]',
    message: 'an entry either answers or fails',
    right: script({ malformed: true }),
  },
  {
    mistake: 'a connection that breaks in no answer',
    kind: 'Model',
    wrong: script({ toolCalls: [{ name: 'weather' }], cutAfter: 3 }),
    where: 'spec.simulated.script[0]',
    message: 'cutAfter breaks a reply off: set reply as well',
    right: script({ reply: 'Yes.', cutAfter: 3, delay: '200ms' }),
  },
  {
    mistake: "a choice of OpenAI's protocols for another provider",
    kind: 'Model',
    wrong: model({ ...hosted, provider: 'anthropic', api: 'responses' }),
    where: 'spec.api',
    message: 'api is only for providers openai and openaiCompatible',
    right: model({ ...hosted, api: 'responses', parameters: { temperature: '0.2', reasoning: { effort: 'low' } } }),
  },
  {
    mistake: 'a key in the address',
    kind: 'Model',
    wrong: model({ provider: 'openaiCompatible', model: 'm', baseUrl: 'https://user:key@host/v1' }),
    where: 'spec.baseUrl',
    message: 'should match',
    right: model({ provider: 'openaiCompatible', model: 'm', baseUrl: 'https://host/v1' }),
  },
  {
    mistake: 'a provider that Kadre does not know',
    kind: 'Model',
    wrong: model({ ...hosted, provider: 'opnai' }),
    message: 'supported values: "openai", "anthropic", "google", "openaiCompatible", "simulated"',
    right: model(hosted),
  },
  {
    mistake: 'a price that is no decimal',
    kind: 'Model',
    wrong: model({ ...hosted, price: { inputPerMillion: '$3', outputPerMillion: '15' } }),
    where: 'spec.price.inputPerMillion',
    message: 'should match',
    right: model({ ...hosted, price: { inputPerMillion: '3', outputPerMillion: '0.15' } }),
  },
];

export const runRefusals: Refusal[] = [
  {
    mistake: 'a run of two things',
    kind: 'Run',
    wrong: { spec: { workflow: { name: 'w' }, agent: { name: 'a', prompt: 'Hello.' } } },
    where: 'spec',
    message: 'a run executes one thing: set exactly one of workflow, agent and inline',
    right: { spec: { workflow: { name: 'w' }, input: [1, 2.5, 'three', { four: true }] } },
  },
  {
    mistake: 'a run of nothing',
    kind: 'Run',
    wrong: { spec: { input: 1 } },
    message: 'a run executes one thing',
    right: { spec: { agent: { name: 'a', prompt: 'Hello.' } } },
  },
  {
    mistake: 'a run of a workflow by name and by its text',
    kind: 'Run',
    wrong: { spec: { workflow: { name: 'w' }, inline: { steps: [{ name: 'one', value: 1 }] } } },
    message: 'a run executes one thing',
    right: { spec: { inline: { steps: [{ name: 'one', value: 1, anything: [1] }] } } },
  },
  {
    mistake: 'a fork that asks an agent something else',
    kind: 'Run',
    wrong: { spec: { fork: { run: 'article-1' }, agent: { name: 'a', prompt: 'Hello.' } } },
    message: 'a run executes one thing',
    right: { spec: { fork: { run: 'article-1' } } },
  },
  {
    mistake: 'a fork of nothing',
    kind: 'Run',
    wrong: { spec: { fork: {} } },
    where: 'spec.fork.run',
    message: 'Required value',
    right: { spec: { fork: { run: 'article-1', from: 'draft' }, workflow: { name: 'w' } } },
  },
  {
    mistake: 'another prompt for no step in particular',
    kind: 'Run',
    wrong: { spec: { fork: { run: 'article-1', prompt: 'Shorter.' } } },
    where: 'spec.fork',
    message: 'prompt replaces the prompt of the step in from: set from, too',
    right: { spec: { fork: { run: 'article-1', prompt: 'Shorter.', from: 'draft' } } },
  },
  {
    mistake: 'a run that may take no time',
    kind: 'Run',
    wrong: { spec: { workflow: { name: 'w' }, limits: { duration: '0s' } } },
    where: 'spec.limits.duration',
    message: 'this must be longer than nothing',
    right: { spec: { workflow: { name: 'w' }, limits: { duration: '1s' } } },
  },
];

const question = (fields: object) => ({
  spec: { run: 'article-1', step: 'sign-off', message: 'Publish?', attempt: 1, ...fields },
});

export const approvalRefusals: Refusal[] = [
  {
    mistake: 'a decision of nobody',
    kind: 'Approval',
    wrong: question({ decision: 'approved' }),
    where: 'spec.decidedBy',
    message: 'say who decides: set decision, and decidedBy to your own user name',
    right: question({ decision: 'approved', decidedBy: 'ann' }),
  },
  {
    mistake: 'somebody who decides nothing',
    kind: 'Approval',
    wrong: question({ decidedBy: 'ann' }),
    message: 'say who decides: set decision, and decidedBy',
    right: question({ decision: 'rejected', decidedBy: 'ann' }),
  },
  {
    mistake: 'an answer without a decision',
    kind: 'Approval',
    wrong: question({ answer: { tone: 'dry' } }),
    where: 'spec.answer',
    message: 'an answer belongs to a decision: set decision, too',
    right: question({ decision: 'approved', decidedBy: 'ann', answer: { tone: 'dry' } }),
  },
  {
    mistake: 'a decision that is neither',
    kind: 'Approval',
    wrong: question({ decision: 'yes', decidedBy: 'ann' }),
    message: 'supported values: "approved", "rejected"',
    right: question({}),
  },
];

export const gpuPoolRefusals: Refusal[] = [
  ...['gpu', 'nvidia.com/', '/gpu', 'nvidia.com/gpu/2', 'NVIDIA.com/gpu'].map((resourceName): Refusal => ({
    mistake: `devices called ${resourceName}`,
    kind: 'GpuPool',
    wrong: pool({ resourceName }),
    where: 'spec.resourceName',
    message: 'an extended resource is named domain/name, such as nvidia.com/gpu',
    right: pool({ resourceName: 'nvidia.com/mig-1g.5gb' }),
  })),
  {
    mistake: 'a toleration of any value that names one',
    kind: 'GpuPool',
    wrong: toleration({ key: 'gpu', operator: 'Exists', value: 'true' }),
    message: 'operator Exists takes any value: remove value, or use operator Equal',
    right: toleration({ key: 'gpu', operator: 'Equal', value: 'true' }),
  },
  {
    mistake: 'a toleration of no taint',
    kind: 'GpuPool',
    wrong: toleration({ value: 'true' }),
    message: 'without a key, every taint is meant: set operator to Exists, or name the key',
    right: toleration({ operator: 'Exists' }),
  },
];

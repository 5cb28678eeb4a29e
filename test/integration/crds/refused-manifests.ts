// Wrong manifests, what the API server says to them, and what mends each. With the Agents beside: one row for every rule
// of every kind, and rows for the mistakes that the schema alone catches.
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
const workflow = (...steps: object[]) => ({ spec: { steps } });
const container = { container: { image: 'busybox:1' } };
const step = (fields: object) => workflow({ name: 'one', ...container, ...fields });
const backoff = (fields: object) => step({ retry: { limit: 1, backoff: fields } });
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
    message: 'set exactly one of reply and error',
    right: script({ match: 'hello', reply: 'Hello.' }),
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

export const workflowRefusals: Refusal[] = [
  {
    mistake: 'a step that does two things',
    kind: 'Workflow',
    wrong: step({ agent: { name: 'writer', prompt: 'Write.' } }),
    where: 'spec.steps[0]',
    message: 'a step does one thing: set exactly one of agent and container',
    right: step({}),
  },
  {
    mistake: 'a step that does nothing',
    kind: 'Workflow',
    wrong: workflow({ name: 'one' }),
    message: 'a step does one thing',
    right: workflow({ name: 'one', agent: { name: 'writer', input: { topic: '$(input.topic)' } } }),
  },
  {
    mistake: 'an agent that is asked nothing',
    kind: 'Workflow',
    wrong: workflow({ name: 'one', agent: { name: 'writer' } }),
    where: 'spec.steps[0].agent',
    message: 'an agent must be asked something: set prompt, input or both',
    right: workflow({ name: 'one', agent: { name: 'writer', input: 5 } }),
  },
  {
    mistake: 'a step that waits for itself',
    kind: 'Workflow',
    wrong: step({ needs: ['one'] }),
    where: 'spec.steps[0].needs',
    message: 'a step cannot wait for itself',
    right: step({ needs: [] }),
  },
  {
    mistake: 'a step that waits for a stranger',
    kind: 'Workflow',
    wrong: workflow({ name: 'one', ...container }, { name: 'two', ...container, needs: ['one', 'on'] }),
    message: 'step two needs a step that is not in this workflow: mend the names in its needs',
    right: workflow({ name: 'one', ...container, needs: ['two'] }, { name: 'two', ...container, needs: [] }),
  },
  {
    mistake: 'two steps of one name',
    kind: 'Workflow',
    wrong: workflow({ name: 'one', ...container }, { name: 'one', ...container }),
    where: 'spec.steps[1]',
    message: 'Duplicate value',
    right: workflow({ name: 'one', ...container }, { name: 'two', ...container }),
  },
  {
    mistake: 'no steps at all',
    kind: 'Workflow',
    wrong: workflow(),
    where: 'spec.steps',
    message: 'should have at least 1 items',
    right: step({}),
  },
  ...['input', 'steps', 'index', 'in', 'null'].map((as): Refusal => ({
    mistake: `an element called ${as}`,
    kind: 'Workflow',
    wrong: step({ forEach: { items: '$(input.topics)', as } }),
    where: 'spec.steps[0].forEach.as',
    message: 'expressions know this name already',
    right: step({ forEach: { items: [1, 'two', { three: 3 }], as: 'topic' } }),
  })),
  {
    mistake: 'a first wait longer than the longest',
    kind: 'Workflow',
    wrong: backoff({ initial: '90s', max: '1m' }),
    where: 'spec.steps[0].retry.backoff',
    message: 'initial must not exceed max (which is 5m if absent)',
    right: backoff({ initial: '60000ms', max: '1m' }),
  },
  {
    mistake: 'a first wait longer than the longest that is meant if none is given',
    kind: 'Workflow',
    wrong: backoff({ initial: '10m' }),
    message: 'initial must not exceed max',
    right: backoff({ initial: '10m', max: '1h' }),
  },
  {
    mistake: 'a first wait of days and a longest of hours',
    kind: 'Workflow',
    wrong: backoff({ initial: '2d', max: '47h' }),
    message: 'initial must not exceed max',
    right: backoff({ initial: '48h', max: '2d' }),
  },
  {
    mistake: 'a timeout of nothing',
    kind: 'Workflow',
    wrong: step({ timeout: '00s' }),
    where: 'spec.steps[0].timeout',
    message: 'a timeout must be longer than nothing',
    right: step({ timeout: '10s' }),
  },
  {
    mistake: 'a length of time without a unit',
    kind: 'Workflow',
    wrong: step({ timeout: '90' }),
    where: 'spec.steps[0].timeout',
    message: 'should match',
    right: step({ timeout: '99999d' }),
  },
  {
    mistake: 'a retry for a reason that does not exist',
    kind: 'Workflow',
    wrong: step({ retry: { limit: 1, reasons: ['RateLimit'] } }),
    message: 'Unsupported value: "RateLimit"',
    right: step({ retry: { limit: 1, reasons: ['RateLimited', 'TimedOut'] } }),
  },
  {
    mistake: 'half a device for a step',
    kind: 'Workflow',
    wrong: workflow({ name: 'one', container: { image: 'i', gpu: { pool: 'a100', count: 0.5 } } }),
    where: 'spec.steps[0].container.gpu.count',
    message: 'must be of type integer',
    right: workflow({ name: 'one', container: { image: 'i', gpu: { pool: 'a100' } } }),
  },
  {
    mistake: 'half a device as a resource of a step',
    kind: 'Workflow',
    wrong: workflow({ name: 'one', container: { image: 'i', resources: { limits: { 'amd.com/gpu': '1.5' } } } }),
    where: 'spec.steps[0].container.resources.limits',
    message: 'devices such as nvidia.com/gpu come in whole',
    right: workflow({ name: 'one', container: { image: 'i', resources: { limits: { 'amd.com/gpu': '1' } } } }),
  },
];

export const runRefusals: Refusal[] = [
  {
    mistake: 'a run of two things',
    kind: 'Run',
    wrong: { spec: { workflow: { name: 'w' }, agent: { name: 'a', prompt: 'Hello.' } } },
    where: 'spec',
    message: 'a run executes one thing: set exactly one of workflow and agent',
    right: { spec: { workflow: { name: 'w' }, input: [1, 2.5, 'three', { four: true }] } },
  },
  {
    mistake: 'a run of nothing',
    kind: 'Run',
    wrong: { spec: { input: 1 } },
    message: 'a run executes one thing',
    right: { spec: { agent: { name: 'a', prompt: 'Hello.' } } },
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

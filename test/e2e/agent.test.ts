// An Agent as its users meet it: the objects it becomes, what happens when somebody touches them, and its Service.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import OpenAI from 'openai';
import { eventually, type Kubectl } from '../support/kubectl.ts';
import { example, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

const CHILDREN =
  'deployments,services,serviceaccounts,horizontalpodautoscalers,networkpolicies,poddisruptionbudgets,ingresses';

let kubectl: Kubectl;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-agent');
  await kubectl.apply(await example('models/simulated'));
  await kubectl.apply(await example('agents/general-assistant'));
  await ready(kubectl, 'agent', 'general-assistant');
}, 600_000);
afterAll(() => removeNamespace(kubectl));

const children = async () =>
  (await kubectl.list(CHILDREN)).filter((o) =>
    (o.metadata as { ownerReferences?: { kind: string }[] }).ownerReferences?.some((owner) => owner.kind === 'Agent'),
  );
const deployment = async () => (await children()).find((o) => o.kind === 'Deployment');

describe('what an agent becomes', () => {
  test('a Deployment, a Service from 80 to 8080, a ServiceAccount, a NetworkPolicy', async () => {
    const kinds = (await children()).map((o) => o.kind);
    expect(kinds).toEqual(expect.arrayContaining(['Deployment', 'Service', 'ServiceAccount', 'NetworkPolicy']));
    const service = await kubectl.get('service', 'general-assistant');
    expect(service?.['spec'].ports[0]).toMatchObject({ port: 80 });
  });

  test('pods without secrets: one projected token for the gateway, and nothing of the ServiceAccount', async () => {
    const pod = (await deployment())?.['spec'].template.spec;
    expect(pod.automountServiceAccountToken).toBe(false);
    expect(JSON.stringify(pod)).not.toMatch(/secretKeyRef|secretRef|"secret"/);
    expect(pod.containers[0].securityContext).toMatchObject({ readOnlyRootFilesystem: true });
  });

  test('a Deployment that somebody edits is put right', async () => {
    const before = await deployment();
    await kubectl.run(['set', 'image', `deployment/${before?.metadata.name ?? ''}`, '*=nginx:latest']);
    await eventually('the image put right', async () => {
      const image = (await deployment())?.['spec'].template.spec.containers[0].image;
      return image === before?.['spec'].template.spec.containers[0].image;
    });
    await ready(kubectl, 'agent', 'general-assistant');
  });

  test('a Service that somebody deletes comes back', async () => {
    const before = await kubectl.get('service', 'general-assistant');
    await kubectl.run(['delete', 'service', 'general-assistant']);
    await eventually('the Service back', async () => {
      const now = await kubectl.get('service', 'general-assistant');
      return now && now.metadata.uid !== before?.metadata.uid;
    });
  });

  test('kubectl scale does what it says', async () => {
    await kubectl.run(['scale', 'agent/general-assistant', '--replicas=2']);
    await eventually('two pods', async () => {
      const agent = await kubectl.get('agent', 'general-assistant');
      return agent?.['status'].readyReplicas === 2;
    });
    await kubectl.run(['scale', 'agent/general-assistant', '--replicas=1']);
    await eventually('one pod', async () => (await deployment())?.['status'].replicas === 1);
  });

  test('kubectl delete agent leaves nothing behind', async () => {
    await kubectl.apply(await example('agents/customer-support'));
    await ready(kubectl, 'agent', 'customer-support');
    const ofAgent = async () =>
      (await kubectl.list(`${CHILDREN},pods,replicasets`)).filter((o) => o.metadata.name.includes('customer-support'));
    expect((await ofAgent()).map((o) => o.kind)).toContain('HorizontalPodAutoscaler');
    await kubectl.run(['delete', 'agent', 'customer-support']);
    await eventually('nothing left', async () => {
      const left = await ofAgent();
      if (left.length > 0) throw new Error(left.map((o) => `${o.kind}/${o.metadata.name}`).join(', '));
      return true;
    });
  });
});

describe("an agent's Service", () => {
  let forward: Awaited<ReturnType<Kubectl['portForward']>>;
  let client: OpenAI;
  beforeAll(async () => {
    await ready(kubectl, 'agent', 'general-assistant');
    forward = await kubectl.portForward('service/general-assistant', 80);
    client = new OpenAI({ baseURL: `${forward.url}/v1`, apiKey: 'unused', maxRetries: 0 });
  }, 300_000);
  afterAll(() => forward.stop());

  test('streams to the official OpenAI client', async () => {
    const stream = await client.chat.completions.create({
      model: 'general-assistant',
      messages: [{ role: 'user', content: 'Hello from a stream' }],
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = '';
    let chunks = 0;
    let total = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      chunks += 1;
      total = chunk.usage?.total_tokens ?? total;
    }
    expect(text).toContain('Hello from a stream');
    expect(chunks).toBeGreaterThan(2);
    expect(total).toBeGreaterThan(0);
  });

  test('answers the official OpenAI client without a stream, and lists itself as a model', async () => {
    const completion = await client.chat.completions.create({
      model: 'general-assistant',
      messages: [{ role: 'user', content: 'Hello' }],
    });
    expect(completion.choices[0]?.message.content).toContain('Hello');
    expect((await client.models.list()).data.map((model) => model.id)).toEqual(['general-assistant']);
  });

  test('serves its A2A card, health and metrics', async () => {
    const card = (await (await fetch(`${forward.url}/.well-known/agent-card.json`)).json()) as { name: string };
    expect(card.name).toBe('general-assistant');
    for (const path of ['/', '/health', '/healthz', '/readyz', '/metrics'])
      expect((await fetch(forward.url + path)).status).toBe(200);
  });
});

describe('an agent with memory', () => {
  const ask = async (input: string, previous?: string): Promise<OpenAI.Responses.Response> => {
    const forward = await kubectl.portForward('service/companion', 80);
    try {
      const client = new OpenAI({ baseURL: `${forward.url}/v1`, apiKey: 'unused', maxRetries: 0 });
      const more = previous === undefined ? {} : { previous_response_id: previous };
      return await client.responses.create({ model: 'companion', input, ...more });
    } finally {
      forward.stop();
    }
  };

  test('goes on with a response of a pod that is gone', async () => {
    const spec = { model: 'assistant', instructions: 'Be kind.', memory: { turns: 20 }, serving: { replicas: 1 } };
    const agent = { apiVersion: 'kadre.dev/v1alpha1', kind: 'Agent', metadata: { name: 'companion' }, spec };
    await kubectl.apply(JSON.stringify(agent));
    await ready(kubectl, 'agent', 'companion');
    const first = await ask(`I am Ann. ${'I like long walks. '.repeat(20)}`);
    await kubectl.run(['scale', 'agent/companion', '--replicas=0']);
    await eventually(
      'no pod',
      async () => (await kubectl.list('pods', '-l', 'kadre.dev/agent=companion')).length === 0,
    );
    await kubectl.run(['scale', 'agent/companion', '--replicas=1']);
    await eventually('a pod', async () => (await kubectl.get('agent', 'companion'))?.['status'].readyReplicas === 1);
    const second = await ask('Who am I?', first.id);
    expect(second).toMatchObject({ previous_response_id: first.id, output_text: 'You said: Who am I?' });
    // The model is sent what was said before, which it counts.
    const stranger = await ask('Who am I?');
    expect(second.usage?.input_tokens).toBeGreaterThan(100 + (stranger.usage?.input_tokens ?? 0));
  });
});

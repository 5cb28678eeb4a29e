// Real providers' protocols, from an agent's pod through the gateway to an independent double of each provider, which
// listens outside the cluster like the real ones.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LLMock } from '@copilotkit/aimock';
import { networkInterfaces } from 'node:os';
import { SYSTEM_NAMESPACE } from '../support/install.ts';
import { kubectlFor, type Kubectl } from '../support/kubectl.ts';
import { createRun, finished, kubeconfig, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

const API = { apiVersion: 'kadre.dev/v1alpha1' };
const providers = [
  { provider: 'openai', model: 'gpt-5-mini', base: '/v1' },
  { provider: 'anthropic', model: 'claude-sonnet-4-5', base: '' },
  { provider: 'google', model: 'gemini-2.5-flash', base: '/v1beta' },
];
const CANARY = 'sk-canary-5f2c9e';
/** The doubles listen on a port that Kadre's own policy does not open. Policies add up. */
const egress = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'e2e-providers' },
  spec: {
    podSelector: { matchLabels: { 'app.kubernetes.io/component': 'control-plane' } },
    policyTypes: ['Egress'],
    egress: [{}],
  },
};

const system = kubectlFor(kubeconfig(), SYSTEM_NAMESPACE);
let kubectl: Kubectl;
let mock: LLMock;
beforeAll(async () => {
  mock = new LLMock({ port: 0, host: '0.0.0.0' });
  mock.onMessage(/./, { content: 'An answer from the provider.' });
  await mock.start();
  await system.apply(JSON.stringify(egress));
  kubectl = await makeNamespace('kadre-e2e-providers');
  const apply = (kind: string, name: string, spec: object) =>
    kubectl.apply(JSON.stringify({ ...API, kind, metadata: { name }, spec }));
  await kubectl.run(['create', 'secret', 'generic', 'llm', `--from-literal=key=${CANARY}`]);
  const port = new URL(mock.url).port;
  for (const { provider, model, base } of providers) {
    const baseUrl = `http://${await addressForPods()}:${port}${base}`;
    await apply('Model', provider, { provider, model, baseUrl, auth: { secretRef: { name: 'llm', key: 'key' } } });
    await apply('Agent', `${provider}-agent`, { model: provider, instructions: 'Answer.', serving: {} });
  }
  for (const { provider } of providers) await ready(kubectl, 'agent', `${provider}-agent`);
}, 600_000);
afterAll(async () => {
  await removeNamespace(kubectl);
  await system.run(['delete', 'networkpolicy', egress.metadata.name]);
  await mock.stop();
});

/** An address of this machine that pods can reach: that of the node on a cluster here, of the host's network on kind. */
async function addressForPods(): Promise<string> {
  const nodes = await kubectl.list('nodes');
  const node = nodes[0]?.['status'].addresses.find((a: { type: string }) => a.type === 'InternalIP').address as string;
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  if (own.some((face) => face.address === node)) return node;
  const network = node.split('.').slice(0, 2).join('.');
  return own.find((face) => face.address.startsWith(`${network}.`))?.address ?? node;
}

describe.each(providers)('$provider', ({ provider, model }) => {
  test('answers a run, with usage and a price from the bundled list', async () => {
    const run = await finished(
      kubectl,
      await createRun(kubectl, `${provider}-`, { agent: { name: `${provider}-agent`, prompt: 'Hello' } }),
    );
    expect(run['status'].phase).toBe('Succeeded');
    expect(run['status'].output).toBe('An answer from the provider.');
    expect(run['status'].usage.unpricedCalls ?? 0).toBe(0);
    const request = mock.getRequests().at(-1);
    expect(JSON.stringify(request?.body)).toContain('Hello');
    expect(JSON.stringify([request?.path, request?.body])).toContain(model);
  });

  test('streams through the agent to a client', async () => {
    const forward = await kubectl.portForward(`service/${provider}-agent`, 80);
    const response = await fetch(`${forward.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: `${provider}-agent`,
        stream: true,
        messages: [{ role: 'user', content: 'Hello' }],
      }),
    });
    const text = await response.text();
    forward.stop();
    const pieces = [...text.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1]).join('');
    expect(pieces).toBe('An answer from the provider.');
    expect(text.trimEnd().endsWith('data: [DONE]')).toBe(true);
  });
});

test('the key of a provider is in no object of the namespace but its Secret, and in no log', async () => {
  const objects = await kubectl.run(['get', 'pods,deployments,agents,models,runs,events', '-o', 'yaml']);
  expect(objects).not.toContain(CANARY);
  for (const { provider } of providers)
    expect(await kubectl.run(['logs', `deployment/agent-${provider}-agent`])).not.toContain(CANARY);
  expect(await system.run(['logs', 'deployment/kadre'])).not.toContain(CANARY);
});

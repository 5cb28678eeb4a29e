// A webhook as GitHub sends it, through the Service of the server, to a Run that an agent answers on a real pod.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHmac } from 'node:crypto';
import { SYSTEM_NAMESPACE } from '../support/install.ts';
import { eventually, kubectlFor, type Kubectl } from '../support/kubectl.ts';
import { example, finished, kubeconfig, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

const SECRET = 'it-is-a-secret-to-everybody';
let kubectl: Kubectl;
let server: { url: string; stop: () => void };

beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-triggers');
  await kubectl.apply(await example('models/simulated'));
  const api = { apiVersion: 'kadre.dev/v1alpha1' };
  const objects = [
    {
      ...api,
      kind: 'Agent',
      metadata: { name: 'triager' },
      spec: { model: 'assistant', instructions: 'Triage.', serving: {} },
    },
    {
      ...api,
      kind: 'Workflow',
      metadata: { name: 'triage' },
      spec: {
        input: { schema: { type: 'object', required: ['title'], properties: { title: { type: 'string' } } } },
        steps: [{ name: 'triage', agent: { name: 'triager', prompt: 'Triage $(input.title)' } }],
        output: { title: '$(input.title)', answer: '$(steps.triage.output)' },
      },
    },
  ];
  for (const object of objects) await kubectl.apply(JSON.stringify(object));
  await kubectl.run(['create', 'secret', 'generic', 'github-webhook', `--from-literal=secret=${SECRET}`]);
  await kubectl.apply(await example('triggers/webhook'));
  for (const [kind, name] of [
    ['agent', 'triager'],
    ['workflow', 'triage'],
    ['trigger', 'triage-issues'],
  ] as const)
    await ready(kubectl, kind, name);
  server = await kubectlFor(kubeconfig(), SYSTEM_NAMESPACE).portForward('service/kadre-server', 80);
}, 600_000);
afterAll(async () => {
  server.stop();
  await removeNamespace(kubectl);
});

async function deliver(delivery: string, secret = SECRET) {
  const body = JSON.stringify({ action: 'opened', issue: { title: 'It does not start', body: 'Since today.' } });
  const signature = createHmac('sha256', secret).update(body).digest('hex');
  const response = await fetch(`${server.url}/v1/namespaces/${kubectl.namespace}/triggers/triage-issues`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'issues',
      'x-github-delivery': delivery,
      'x-hub-signature-256': `sha256=${signature}`,
    },
    body,
  });
  return { status: response.status, body: (await response.json()) as { run: { name: string } } };
}

test('a signed webhook starts a Run that succeeds, and the same delivery starts no other', async () => {
  const first = await deliver('d-1');
  expect(first.status).toBe(202);
  const run = await finished(kubectl, first.body.run.name);
  expect(run['status']).toMatchObject({ phase: 'Succeeded', output: { title: 'It does not start' } });
  expect(await deliver('d-1')).toEqual({ status: 200, body: { ...first.body, outcome: 'AlreadyStarted' } });
  expect(await kubectl.list('runs')).toHaveLength(1);
  await eventually('the end in the status of the Trigger', async () => {
    const trigger = await kubectl.get('trigger', 'triage-issues');
    return trigger?.['status'].lastRun.phase === 'Succeeded' && trigger['status'].active === 0;
  });
});

test('a webhook that somebody else signed starts nothing', async () => {
  expect(await deliver('d-2', 'guess')).toMatchObject({ status: 401 });
  expect(await kubectl.list('runs')).toHaveLength(1);
});

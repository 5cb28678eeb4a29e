// Knowledge on real pods: documents of a ConfigMap, searched by an agent that says where it has read what it answers.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually, type Kubectl } from '../support/kubectl.ts';
import { createRun, example, finished, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

const QUESTION = 'Can I have my money back?';

let kubectl: Kubectl;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-knowledge');
  await kubectl.apply(await example('knowledge/handbook'));
  await ready(kubectl, 'knowledge', 'handbook');
  await ready(kubectl, 'agent', 'clerk');
}, 600_000);
afterAll(() => removeNamespace(kubectl));

const counts = async () => {
  const { documents, chunks, indexed } = (await kubectl.get('knowledge', 'handbook'))?.['status'] as Counts;
  return { documents, chunks, indexed };
};
interface Counts {
  documents: number;
  chunks: number;
  indexed: number;
}

test('an agent in a Job answers from the documents, which are counted', async () => {
  expect(await counts()).toEqual({ documents: 2, chunks: 3, indexed: 3 });
  const run = await createRun(kubectl, 'refund-', { agent: { name: 'clerk', prompt: QUESTION } });
  expect((await finished(kubectl, run))['status']).toMatchObject({
    phase: 'Succeeded',
    output: 'You get your money back within thirty days [1].',
  });
}, 300_000);

test('an agent that serves says which document it has read, and a document more is found', async () => {
  await kubectl.run(['patch', 'agent', 'clerk', '--type=merge', '-p', '{"spec":{"serving":{"replicas":1}}}']);
  await ready(kubectl, 'agent', 'clerk');
  const more = { data: { 'hours.md': '# Hours\n\nThe shop is open until seven.' } };
  await kubectl.run(['patch', 'configmap', 'handbook', '--type=merge', '-p', JSON.stringify(more)]);
  const forward = await kubectl.portForward('service/clerk', 80);
  try {
    const response = await fetch(`${forward.url}/generate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: QUESTION }),
    });
    expect(await response.json()).toMatchObject({
      citations: [{ id: '1', url: `configmap:${kubectl.namespace}/handbook/refunds.md`, title: 'Refunds' }],
    });
  } finally {
    forward.stop();
  }
  await eventually(
    'the third document',
    async () => (await counts()).documents === 3 && (await counts()).indexed === 4,
  );
}, 300_000);

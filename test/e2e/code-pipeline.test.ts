// examples/code-pipeline on real pods: what an agent wrote is checked, tried and timed, each in a pod of its own.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually, type KubeObject, type Kubectl } from '../support/kubectl.ts';
import { example, finished, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

let kubectl: Kubectl;
let run: KubeObject;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-code-pipeline');
  for (const name of ['agents', 'workflow']) await kubectl.apply(await example(`code-pipeline/${name}`));
  await ready(kubectl, 'agent', 'coder');
  await ready(kubectl, 'workflow', 'code-pipeline');
  await kubectl.apply(await example('code-pipeline/run'));
  run = await finished(kubectl, 'median');
}, 600_000);
afterAll(() => removeNamespace(kubectl));

test('the code is mended once and taken, with a report of what was tried', () => {
  const { phase, output } = run['status'];
  expect({ phase, output }).toEqual({
    phase: 'Succeeded',
    output: {
      code: expect.stringMatching(/^def median\(numbers\):\n {4}"""/),
      milliseconds: expect.any(Number),
      report: expect.stringContaining('All 3 cases hold'),
    },
  });
});

test('the sandboxes vanish once their programs are over', async () => {
  await eventually('the pods of the programs gone', async () => {
    const pods = await kubectl.list('pods');
    return pods.every(({ metadata }) => metadata.labels?.['kadre.dev/sandbox-pool'] === undefined) || undefined;
  });
});

// The control plane dies in the middle of a Run, without a warning. The Run finishes, and no step runs twice.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { killControlPlane } from '../support/control-plane-pod.ts';
import { eventually, type Kubectl } from '../support/kubectl.ts';
import { createRun, finished, kubeconfig, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

const API = { apiVersion: 'kadre.dev/v1alpha1' };
// Slow enough that the process dies while an answer is being written.
const slow = {
  provider: 'simulated',
  price: { inputPerMillion: '1', outputPerMillion: '1' },
  simulated: { tokensPerSecond: 20, script: [{ reply: 'one two three four five '.repeat(8) }] },
};
// Each start of the container leaves a trace of its own; its output says which pod it was.
const script = `setTimeout(() => require('node:fs').writeFileSync('/dev/termination-log', JSON.stringify(require('node:os').hostname())), 8000)`;

let kubectl: Kubectl;
beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-crash');
  const apply = (kind: string, name: string, spec: object) =>
    kubectl.apply(JSON.stringify({ ...API, kind, metadata: { name }, spec }));
  await apply('Model', 'slow', slow);
  await apply('Agent', 'talker', { model: 'slow', instructions: 'Talk.', serving: {} });
  await apply('Agent', 'loner', { model: 'slow', instructions: 'Talk alone.' });
  await apply('Workflow', 'long', {
    steps: [
      { name: 'talk', forEach: { items: ['a', 'b', 'c'] }, agent: { name: 'talker', prompt: 'Say $(item)' } },
      {
        name: 'work',
        needs: [],
        container: { image: 'kadre-agent-runtime:0.1.0', command: ['/usr/bin/node', '-e', script] },
      },
      { name: 'alone', needs: [], agent: { name: 'loner', prompt: 'Say it' } },
      { name: 'end', needs: ['talk', 'work', 'alone'], agent: { name: 'talker', prompt: 'End' } },
    ],
  });
  for (const agent of ['talker', 'loner']) await ready(kubectl, 'agent', agent);
  await ready(kubectl, 'workflow', 'long');
}, 600_000);
afterAll(() => removeNamespace(kubectl));

test('a run outlives three SIGKILLs of the control plane, each step once', async () => {
  const name = await createRun(kubectl, 'long-', { workflow: { name: 'long' }, input: {} });
  for (const waitFor of ['talk[0]', 'work', 'alone']) {
    await eventually(`${waitFor} started`, async () => {
      const steps = ((await kubectl.get('run', name))?.['status']?.steps ?? []) as { name: string; phase: string }[];
      return steps.some((step) => step.name === waitFor && step.phase !== 'Pending');
    });
    await killControlPlane(kubeconfig());
  }
  const run = await finished(kubectl, name);

  expect(run['status'].phase).toBe('Succeeded');
  const steps = run['status'].steps as { name: string; phase: string; attempt: number }[];
  // The forEach as a whole has no attempts; its elements have.
  const attempts = steps.filter((step) => step.name !== 'talk').map((step) => [step.name, step.phase, step.attempt]);
  const names = ['talk[0]', 'talk[1]', 'talk[2]', 'work', 'alone', 'end'];
  expect(attempts.sort()).toEqual(names.map((name) => [name, 'Succeeded', 1]).sort());
  // Two steps have pods, and each had one pod.
  expect(await kubectl.list('jobs')).toHaveLength(2);
  expect(await kubectl.list('pods', '-l', 'batch.kubernetes.io/job-name')).toHaveLength(2);
  // The talker counted its tasks itself, and nobody restarted it.
  const forward = await kubectl.portForward('service/talker', 80);
  const metrics = await (await fetch(`${forward.url}/metrics`)).text();
  forward.stop();
  expect(metrics).toMatch(/^kadre_agent_tasks_started_total 4$/m);
}, 600_000);

// The workflow of the demo on real pods: agents behind Services, a forEach, a GPU Job placed by the real scheduler, and
// an agent without a Deployment, whose step is a Job.
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually, type KubeObject, type Kubectl } from '../support/kubectl.ts';
import { createRun, example, finished, makeNamespace, ready, removeNamespace } from '../support/namespace.ts';

let kubectl: Kubectl;
let run: KubeObject;
let jobs: KubeObject[];

beforeAll(async () => {
  kubectl = await makeNamespace('kadre-e2e-article');
  for (const path of ['models/simulated', 'article/gpu-pool', 'article/agents', 'article/workflow'])
    await kubectl.apply(await example(path));
  for (const agent of ['researcher', 'writer', 'critic']) await ready(kubectl, 'agent', agent);
  await ready(kubectl, 'workflow', 'article');
  const name = await createRun(kubectl, 'article-', {
    workflow: { name: 'article' },
    input: { topics: ['GPU', 'CEL', 'A2A'] },
  });
  run = await finished(kubectl, name);
  jobs = await kubectl.list('jobs');
}, 600_000);
afterAll(() => removeNamespace(kubectl));

interface StepStatus {
  name: string;
  phase: string;
  attempt: number;
}
const succeeded = async (job: string) => (await kubectl.get('job', job))?.['status'].succeeded === 1;
const step = (name: string) => (run['status'].steps as StepStatus[]).find((one) => one.name === name);

describe('the article workflow', () => {
  test('succeeds, each step at its first attempt', () => {
    expect(run['status'].phase).toBe('Succeeded');
    for (const name of ['research[0]', 'research[1]', 'research[2]', 'write', 'embed', 'judge'])
      expect(step(name)).toMatchObject({ phase: 'Succeeded', attempt: 1 });
  });

  test('gives the output that the workflow asks for, with what the container counted', () => {
    const { output } = run['status'];
    expect(output.article).toMatch(/facts say/);
    expect(output.sources).toBe(3);
    expect(output.words).toBe(output.article.split(/\s+/).filter(Boolean).length);
  });

  test('counts tokens and money of the five model calls', () => {
    const { usage } = run['status'];
    expect(usage.inputTokens).toBeGreaterThan(0);
    expect(usage.outputTokens).toBeGreaterThan(0);
    const exact = (usage.inputTokens * 0.15 + usage.outputTokens * 0.6) / 1e6;
    expect(Number(usage.costUsd)).toBeCloseTo(exact, 9);
  });

  test('ran the GPU step in one Job that the scheduler placed on a node with the device', async () => {
    const job = jobs.find((one) => one['spec'].template.spec.containers[0].resources.limits['nvidia.com/gpu']);
    expect(job?.['spec'].template.spec.containers[0].resources).toMatchObject({
      requests: { 'nvidia.com/gpu': '1' },
      limits: { 'nvidia.com/gpu': '1' },
    });
    const pods = await kubectl.list('pods', '-l', `batch.kubernetes.io/job-name=${job?.metadata.name ?? ''}`);
    expect(pods).toHaveLength(1);
    const node = await kubectl.get('node', pods[0]?.['spec'].nodeName);
    expect(Number(node?.['status'].allocatable['nvidia.com/gpu'])).toBeGreaterThan(0);
  });

  test('made exactly one Job for each step that has a pod', async () => {
    expect(jobs).toHaveLength(2);
    // The run knows from the pod how it ended, before the Job itself does.
    for (const { metadata } of jobs) await eventually('the Job succeeded', () => succeeded(metadata.name));
  });

  test('shows workflow, phase, progress and cost in `kubectl get runs`', async () => {
    const [header, row] = (await kubectl.run(['get', 'runs'])).trim().split('\n');
    for (const column of ['WORKFLOW', 'PHASE', 'PROGRESS', 'COST', 'AGE']) expect(header).toContain(column);
    expect(row).toMatch(/article-\S+\s+article\s+Succeeded/);
  });
});

test('a finished Job that somebody deletes is not run again', async () => {
  await kubectl.run(['delete', 'jobs', '--all']);
  await kubectl.run(['annotate', 'run', run.metadata.name, 'touched=yes']);
  const again = await createRun(kubectl, 'after-', { agent: { name: 'writer', prompt: 'Write an article' } });
  expect((await finished(kubectl, again))['status'].phase).toBe('Succeeded');
  expect(await kubectl.list('jobs')).toHaveLength(0);
});

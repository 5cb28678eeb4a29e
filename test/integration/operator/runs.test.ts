import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { annotations, type Agent, type StepOutcome } from '@kadre/crds';
import type { JobRequest, Store } from '@kadre/store';
import { conditionOf, eventually, field, KADRE, startBed, startMs, type Bed, type Ref, type Seen } from './bed.ts';
import { container, runTools } from './run-tools.ts';

let bed: Bed;
let operator: Awaited<ReturnType<Bed['startOperator']>>;
let namespace: string;
let count = 0;

beforeAll(async () => {
  bed = await startBed();
  await bed.controlPlane.addNode({ name: 'plain' });
  operator = await bed.startOperator();
}, startMs);
afterAll(() => bed.stop());

beforeEach(async () => {
  namespace = await bed.namespace(`runs-${++count}`);
});

const { runRef, applyWorkflow, applyRun, submitted, startRun, cancellation, say, phase } = runTools(() => ({
  bed,
  namespace,
}));
const jobRef = (name: string): Ref => ({ apiVersion: 'batch/v1', kind: 'Job', namespace, name });

const request = (uid: string, more: Partial<JobRequest> = {}): JobRequest => ({
  key: `${uid}/draft/1`,
  run: { uid, namespace, name: 'first' },
  step: 'draft',
  attempt: 1,
  name: 'first-work-1',
  work: { container },
  ...more,
});

const outcomeOf = (key: string): Promise<StepOutcome> =>
  eventually(`an outcome of ${key}`, async () => (await bed.store.job(key))?.outcome);

const podOf = (job: string): Promise<Seen> =>
  eventually(`a pod of ${job}`, async () => {
    const pods = await bed.list('v1', 'Pod', namespace);
    return pods.find((pod) => pod.metadata.labels?.['batch.kubernetes.io/job-name'] === job);
  });

describe('a Run', () => {
  test('is handed to the engine once, and shows what becomes of it', async () => {
    const uid = await startRun();
    await say(uid, { phase: 'Running', progress: '0/1', steps: [{ name: 'draft', phase: 'Running', attempt: 1 }] });
    expect(conditionOf(await phase('first', 'Running'), 'Reconciling')?.status).toBe('True');
    await say(uid, { phase: 'Succeeded', progress: '1/1', output: { answer: 42 } }, { closed: true });
    const done = await phase('first', 'Succeeded');
    expect(field(done, 'status')).toMatchObject({ output: { answer: 42 }, progress: '1/1', observedGeneration: 1 });
    expect(conditionOf(done, 'Ready')?.status).toBe('True');
  }, 60_000);

  test('that failed is stalled, with a reason for programs and a message for people', async () => {
    const uid = await startRun();
    await say(uid, { phase: 'Failed' }, { closed: true, failure: { reason: 'TimedOut', message: 'too slow' } });
    const failed = await phase('first', 'Failed');
    expect(conditionOf(failed, 'Stalled')).toMatchObject({ status: 'True', reason: 'TimedOut', message: 'too slow' });
  }, 60_000);

  test('waits for a Workflow and an Agent that come later', async () => {
    const run = await applyRun();
    await bed.condition(runRef(), 'Reconciling', 'True', 'WorkflowNotFound');
    await applyWorkflow([{ name: 'ask', agent: { name: 'writer', prompt: 'Go' } }]);
    await bed.condition(runRef(), 'Reconciling', 'True', 'AgentNotFound');
    await bed.condition(
      { apiVersion: KADRE, kind: 'Workflow', namespace, name: 'article' },
      'Stalled',
      'True',
      'AgentNotFound',
    );
    await bed.apply(writer());
    await submitted(run);
    await bed.condition({ apiVersion: KADRE, kind: 'Workflow', namespace, name: 'article' }, 'Ready', 'True');
  }, 60_000);

  test('of an invalid Workflow fails, and the Workflow says where it is wrong', async () => {
    await applyWorkflow([{ name: 'draft', container, when: '$(unknown)' }]);
    const workflow: Ref = { apiVersion: KADRE, kind: 'Workflow', namespace, name: 'article' };
    expect(
      conditionOf(await bed.condition(workflow, 'Stalled', 'True', 'InvalidExpression'), 'Ready')?.message,
    ).toMatch(/^spec\.steps\[0\]\.when: .*unknown/);
    const run = await applyRun();
    expect(conditionOf(await phase('first', 'Failed'), 'Stalled')?.reason).toBe('InvalidExpression');
    expect(await bed.store.submission(run.metadata.uid ?? '')).toBeUndefined();
  }, 60_000);

  test('pins the Workflow as it was', async () => {
    const uid = await startRun();
    await applyWorkflow([{ name: 'other', container }]);
    const pinned = (await bed.store.submission(uid))?.workflow as { steps: { name: string }[] };
    expect(pinned.steps[0]?.name).toBe('draft');
  }, 60_000);

  test('that is cancelled or deleted stops the engine', async () => {
    const uid = await startRun();
    await bed.client.patch(runRef(), { spec: { cancel: true } });
    await eventually('cancelled', () => cancellation(uid));

    const other = await submitted(await applyRun(undefined, 'second'));
    await bed.client.delete(runRef('second'));
    expect(await eventually('cancelled', () => cancellation(other))).toBe('The Run was deleted.');
  }, 60_000);

  test('that was deleted while nobody looked is cancelled afterwards', async () => {
    const uid = await startRun();
    await bed.stopOperator(operator);
    await bed.client.delete(runRef());
    operator = await bed.startOperator();
    await eventually('cancelled', () => cancellation(uid));
  }, 60_000);

  test('that is over is never run again, even by an operator and a store that know nothing of it', async () => {
    const uid = await startRun();
    await say(uid, { phase: 'Succeeded' }, { closed: true });
    const before = await phase('first', 'Succeeded');
    await bed.stopOperator(operator);
    const submissions: string[] = [];
    operator = await bed.startOperator((store) => forgetful(store, submissions));
    const marker = await applyRun(undefined, 'marker');
    await eventually('another Run submitted', () => Promise.resolve(submissions.includes(marker.metadata.uid ?? '')));
    expect(submissions).not.toContain(uid);
    expect((await bed.get(runRef()))?.metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    await bed.stopOperator(operator);
    operator = await bed.startOperator();
  }, 60_000);

  test('that is made anew under the same name is another Run', async () => {
    const uid = await startRun();
    await say(uid, { phase: 'Succeeded' }, { closed: true });
    await phase('first', 'Succeeded');
    await bed.client.delete(runRef());
    const again = await submitted(await applyRun());
    expect(again).not.toBe(uid);
  }, 60_000);

  test('in a crowd: 200 Runs, all handed over and all finished', async () => {
    await applyWorkflow();
    const names = Array.from({ length: 200 }, (_, n) => `crowd-${n}`);
    const runs = await Promise.all(names.map((name) => applyRun(undefined, name)));
    await Promise.all(
      runs.map(async (run) => {
        const uid = await submitted(run);
        await say(uid, { phase: 'Running' });
        await say(uid, { phase: 'Succeeded' }, { closed: true });
      }),
    );
    await eventually('all succeeded', async () => {
      const live = await bed.list(KADRE, 'Run', namespace);
      return live.every((run) => field(run, 'status.phase') === 'Succeeded');
    });
  }, 120_000);
});

/** A store that knows no run, and notes what is submitted to it. */
function forgetful(store: Store, submissions: string[]): Store {
  return {
    ...store,
    projection: () => Promise.resolve(undefined),
    submission: () => Promise.resolve(undefined),
    submitRun: ({ uid }) => {
      submissions.push(uid);
      return Promise.resolve(true);
    },
  };
}

describe('a Job', () => {
  test('carries out a container step, and its last words are the output', async () => {
    const uid = await startRun();
    const asked = request(uid, {
      step: 'work[2]',
      timeoutMs: 90_000,
      work: { container: { ...container, input: { n: 1 } } },
    });
    await say(uid, { phase: 'Running' }, { jobs: [asked] });
    const pod = await podOf(asked.name);
    const job = await bed.get(jobRef(asked.name));
    expect(field(job, 'spec')).toMatchObject({ backoffLimit: 0, activeDeadlineSeconds: 120 });
    expect(job?.metadata.annotations?.[annotations.step]).toBe('work[2]');
    expect(field(pod, 'spec.containers.0.env')).toContainEqual({ name: 'KADRE_INPUT', value: '{"n":1}' });
    await bed.endPod(pod, 0, '{"score": 9}');
    expect(await outcomeOf(asked.key)).toEqual({ output: { score: 9 } });
  }, 60_000);

  test('that fails tells the exit code and what was said last', async () => {
    const uid = await startRun();
    await say(uid, { phase: 'Running' }, { jobs: [request(uid)] });
    await bed.endPod(await podOf('first-work-1'), 3, 'no such file');
    expect(await outcomeOf(request(uid).key)).toEqual({
      failure: { reason: 'ContainerFailed', message: 'The container failed: exit code 3: no such file' },
    });
  }, 60_000);

  test('is made once, even if the operator dies after making it and before noting it', async () => {
    await bed.stopOperator(operator);
    const dying = await bed.startOperator((store) => ({
      ...store,
      jobCreated: () => Promise.reject(new Error('killed')),
    }));
    const uid = await startRun();
    await say(uid, { phase: 'Running' }, { jobs: [request(uid)] });
    const made = await eventually('the Job', () => bed.get(jobRef('first-work-1')));
    await bed.stopOperator(dying);
    expect((await bed.store.job(request(uid).key))?.state).toBe('requested');

    operator = await bed.startOperator();
    const record = await eventually('the Job noted', async () => {
      const found = await bed.store.job(request(uid).key);
      return found?.state === 'created' ? found : undefined;
    });
    expect(record.uid).toBe(made.metadata.uid);
    expect((await bed.get(jobRef('first-work-1')))?.metadata.uid).toBe(made.metadata.uid);
  }, 60_000);

  test('that a user deletes is lost, and not made again', async () => {
    const uid = await startRun();
    await say(uid, { phase: 'Running' }, { jobs: [request(uid)] });
    await podOf('first-work-1');
    await bed.client.delete(jobRef('first-work-1'));
    expect(await outcomeOf(request(uid).key)).toMatchObject({ failure: { reason: 'JobLost' } });
    expect(await bed.get(jobRef('first-work-1'))).toBeUndefined();
  }, 60_000);

  test('whose name a stranger took is refused, and the stranger’s Job is left alone', async () => {
    const stranger = await bed.apply({
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'first-work-1', namespace },
      spec: { suspend: true, template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } },
    });
    const uid = await startRun();
    await say(uid, { phase: 'Running' }, { jobs: [request(uid)] });
    expect(await outcomeOf(request(uid).key)).toMatchObject({ failure: { reason: 'JobRejected' } });
    expect((await bed.get(jobRef('first-work-1')))?.metadata.uid).toBe(stranger.metadata.uid);
  }, 60_000);

  test('of another namespace that claims to be this one is ignored', async () => {
    const uid = await startRun();
    await say(uid, { phase: 'Running' }, { jobs: [request(uid)] });
    const pod = await podOf('first-work-1');
    const elsewhere = await bed.namespace(`${namespace}-b`);
    const real = await bed.get(jobRef('first-work-1'));
    const { labels = {}, annotations: noted = {} } = real?.metadata ?? {};
    const forged = (apiVersion: string, kind: string, name: string, owner: Seen | undefined, spec: object) =>
      bed.apply({
        apiVersion,
        kind,
        metadata: {
          ...{ name, namespace: elsewhere, annotations: noted },
          labels: Object.fromEntries(Object.entries(labels).filter(([key]) => !key.includes('controller-uid'))),
          ownerReferences: [{ apiVersion: owner?.apiVersion, kind: owner?.kind, name: 'x', uid: owner?.metadata.uid }],
        },
        spec,
      });
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'step', image: 'i' }] } };
    await forged('batch/v1', 'Job', 'forged', await bed.get(runRef()), { suspend: true, template });
    await bed.endPod(pod, 0, '"genuine"');
    expect(await outcomeOf(request(uid).key)).toEqual({ output: 'genuine' });
  }, 60_000);

  test('that the API server refuses fails the step with its words', async () => {
    const uid = await startRun();
    const resources = { requests: { cpu: '2' }, limits: { cpu: '1' } };
    await say(
      uid,
      { phase: 'Running' },
      { jobs: [request(uid, { work: { container: { ...container, resources } } })] },
    );
    const outcome = await outcomeOf(request(uid).key);
    expect(outcome).toMatchObject({ failure: { reason: 'JobRejected' } });
    expect(JSON.stringify(outcome)).toMatch(/must be less than or equal to cpu limit/);
  }, 60_000);

  test('that nobody waits for any more is deleted', async () => {
    const uid = await startRun();
    await say(uid, { phase: 'Running' }, { jobs: [request(uid)] });
    await podOf('first-work-1');
    await say(uid, { phase: 'Cancelled' }, { abandon: [request(uid).key], closed: true });
    await eventually('the Job gone', async () => (await bed.get(jobRef('first-work-1'))) === undefined);
    expect(await outcomeOf(request(uid).key)).toMatchObject({ failure: { reason: 'Cancelled' } });
  }, 60_000);

  test('goes with its Run', async () => {
    const uid = await startRun();
    await say(uid, { phase: 'Running' }, { jobs: [request(uid)] });
    await podOf('first-work-1');
    await bed.client.delete(runRef());
    await eventually('the Job gone', async () => (await bed.get(jobRef('first-work-1'))) === undefined);
  }, 60_000);

  test('of an agent runs the agent’s image under its account, with a token for the gateway and for its step', async () => {
    await bed.apply(writer());
    const uid = await startRun();
    const work = {
      agent: { name: 'writer', payload: { run: uid, step: 'draft', attempt: 1 }, stepToken: 'step-secret' },
    };
    await say(uid, { phase: 'Running' }, { jobs: [request(uid, { work })] });
    const pod = await podOf('first-work-1');
    expect(field(pod, 'spec')).toMatchObject({
      serviceAccountName: 'agent-writer',
      automountServiceAccountToken: false,
    });
    expect(field(pod, 'spec.containers.0')).toMatchObject({ image: 'kadre-runtime:test', args: ['step'] });
    expect(field(pod, 'spec.containers.0.env')).toContainEqual({ name: 'KADRE_STEP_TOKEN', value: 'step-secret' });
    await bed.endPod(pod, 1, 'crashed');
    expect(await outcomeOf(request(uid).key)).toMatchObject({ failure: { reason: 'AgentUnavailable' } });
  }, 60_000);
});

describe('a GpuPool', () => {
  const pool: Ref = { apiVersion: KADRE, kind: 'GpuPool', name: 'a100' };
  const status = async () =>
    field(await bed.get(pool), 'status') as { capacity?: number; inUse?: number; waiting?: number } | undefined;

  test('places the Jobs that ask for its devices, counts them, and stays while they are held', async () => {
    const taint = { key: 'nvidia.com/gpu', effect: 'NoSchedule' as const };
    await bed.controlPlane.addNode({
      name: 'gpu',
      capacity: { 'nvidia.com/gpu': '4' },
      labels: { gpu: 'a100' },
      taints: [taint],
    });
    const tolerations = [{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }];
    await bed.apply({
      apiVersion: KADRE,
      kind: 'GpuPool',
      metadata: { name: 'a100' },
      spec: { nodeSelector: { gpu: 'a100' }, tolerations, queue: { label: 'queue', name: 'research' } },
    });
    await eventually('the capacity', async () => (await status())?.capacity === 4);

    const uid = await startRun();
    const asking = (name: string, devices: number) =>
      request(uid, {
        key: `${uid}/${name}/1`,
        step: name,
        name: `first-${name}-1`,
        work: { container: { ...container, gpu: { pool: 'a100', count: devices } } },
      });
    const steps = ['train', 'wait'].map((name) => ({ name, phase: 'Running' as const, attempt: 1 }));
    await say(uid, { phase: 'Running', steps }, { jobs: [asking('train', 3), asking('wait', 2)] });
    await eventually('devices in use and wanted', async () => {
      const { inUse = 0, waiting = 0 } = (await status()) ?? {};
      return inUse + waiting === 5 && inUse > 0 && waiting > 0;
    });
    const pods = await bed.list('v1', 'Pod', namespace);
    const placed = pods.filter((pod) => field(pod, 'spec.nodeName') !== undefined);
    expect(placed.map((pod) => field(pod, 'spec.nodeName') as string)).toEqual(['gpu']);
    expect((await bed.get(jobRef('first-train-1')))?.metadata.labels?.['queue']).toBe('research');
    await eventually('the Run says what it waits for', async () => {
      const live = await bed.get(runRef());
      const shown = (field(live, 'status.steps') ?? []) as { message?: string }[];
      return shown.some(({ message }) => message?.includes('Insufficient nvidia.com/gpu'));
    });

    await bed.client.delete(pool);
    await bed.condition(pool, 'Reconciling', 'True', 'InUse');
    await bed.client.delete(runRef());
    await eventually('the pool gone', async () => {
      await bed.endTerminatedPods(namespace);
      return (await bed.get(pool)) === undefined;
    });
  }, 120_000);
});

function writer(): Pick<Agent, 'apiVersion' | 'kind' | 'spec'> & { metadata: { name: string; namespace: string } } {
  const metadata = { name: 'writer', namespace };
  return { apiVersion: KADRE, kind: 'Agent', metadata, spec: { instructions: 'Write.', model: 'echo' } };
}

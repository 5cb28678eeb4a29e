import { describe, expect, test } from '@jest/globals';
import { annotations, type ContainerStep } from '@kadre/crds';
import type { JobRecord } from '@kadre/store';
import fc from 'fast-check';
import type { JobSpec } from '../build/wire.ts';
import { violations } from '../build/restricted.ts';
import { agent, pool, run, settings } from '../build/samples.ts';
import { decideJob, type JobSnapshot } from './job-decision.ts';
import type { Job, Pod } from '../build/wire.ts';

const now = new Date('2026-01-01T12:00:00.000Z');
const container: ContainerStep = { image: 'busybox', args: ['echo', 'costs $(PRICE) $$'] };

const record = (more: Partial<JobRecord> = {}): JobRecord => ({
  key: 'uid-article-1/train[2]/1',
  run: { uid: 'uid-article-1', namespace: 'team', name: 'article-1' },
  step: 'train[2]',
  attempt: 1,
  name: 'article-1-train-2-1',
  work: { container },
  state: 'requested',
  abandoned: false,
  ...more,
});
const created = (more: Partial<JobRecord> = {}) => record({ state: 'created', uid: 'job-uid', ...more });

const job = (status: Job['status'] = {}, metadata: Partial<Job['metadata']> = {}): Job => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: {
    name: 'article-1-train-2-1',
    namespace: 'team',
    uid: 'job-uid',
    annotations: { [annotations.job]: 'uid-article-1/train[2]/1' },
    ownerReferences: [{ apiVersion: 'kadre.dev/v1alpha1', kind: 'Run', name: 'article-1', uid: 'uid-article-1' }],
    ...metadata,
  },
  status,
});

const pod = (
  phase: string,
  terminated?: { exitCode: number; reason?: string; message?: string },
  more: Partial<Pod> = {},
): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'p',
    creationTimestamp: '2026-01-01T11:59:00Z',
    ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'j', uid: 'job-uid' }],
    ...more.metadata,
  },
  status: {
    phase,
    ...(terminated && {
      containerStatuses: [
        { name: 'step', state: { terminated } },
        { name: 'agent', state: { terminated } },
      ],
    }),
    ...more.status,
  },
});

const decide = (more: Partial<JobSnapshot>) =>
  decideJob({ record: record(), settings, run: run(), pods: [], ...more }, now);

const disrupted = {
  metadata: {
    name: 'p',
    deletionTimestamp: '2026-01-01T11:59:59Z',
    ownerReferences: pod('').metadata.ownerReferences ?? [],
  },
};
const failedWith = (reason: string): Job =>
  job({ conditions: [{ type: 'Failed', status: 'True', reason, message: 'said the Job' }] });
const complete = job({ conditions: [{ type: 'Complete', status: 'True' }] });

describe('how a Job ends', () => {
  test.each<[string, Partial<JobSnapshot>, object]>([
    [
      'JSON is parsed',
      { job: job(), pods: [pod('Succeeded', { exitCode: 0, message: ' {"n": 1}\n' })] },
      { output: { n: 1 } },
    ],
    [
      'other output is text',
      { job: job(), pods: [pod('Succeeded', { exitCode: 0, message: 'done\n' })] },
      { output: 'done' },
    ],
    ['no output is null', { job: job(), pods: [pod('Succeeded', { exitCode: 0 })] }, { output: null }],
    [
      'a failure tells the exit code and the last words',
      { job: job(), pods: [pod('Failed', { exitCode: 3, reason: 'Error', message: 'no such file' })] },
      { failure: { reason: 'ContainerFailed', message: 'The container failed: exit code 3: no such file' } },
    ],
    [
      'too much memory is named',
      { job: job(), pods: [pod('Failed', { exitCode: 137, reason: 'OOMKilled' })] },
      { failure: { reason: 'ContainerFailed', message: 'The container failed: exit code 137 (OOMKilled)' } },
    ],
    [
      'an evicted pod that says nothing else',
      {
        job: job(),
        pods: [
          pod('Failed', undefined, {
            metadata: { name: 'p', ownerReferences: pod('').metadata.ownerReferences ?? [] },
            status: { phase: 'Failed', reason: 'Evicted', message: 'low on disk' },
          }),
        ],
      },
      { failure: { reason: 'ContainerFailed', message: 'The container failed: Evicted: low on disk' } },
    ],
    [
      'the deadline, whatever the pod says',
      { job: failedWith('DeadlineExceeded'), pods: [pod('Failed', { exitCode: 143 }, disrupted)] },
      { failure: { reason: 'TimedOut' } },
    ],
    [
      'a pod that was taken away for good',
      { job: failedWith('BackoffLimitExceeded'), pods: [pod('Failed', { exitCode: 137 }, disrupted)] },
      { failure: { reason: 'JobLost' } },
    ],
    ['a Job whose pod is gone', { job: complete }, { failure: { reason: 'JobLost' } }],
    ['a Job that was deleted', {}, { failure: { reason: 'JobLost' } }],
    ['a namesake that came later', { job: job({}, { uid: 'another' }) }, { failure: { reason: 'JobLost' } }],
    [
      'an agent that ended without a word',
      {
        record: created({
          work: { agent: { name: 'writer', payload: { run: 'r', step: 's', attempt: 1 }, stepToken: 't' } },
        }),
        job: job(),
        pods: [pod('Succeeded', { exitCode: 0 })],
      },
      { failure: { reason: 'AgentUnavailable' } },
    ],
  ])('%s', (_, snapshot, outcome) => {
    expect(decide({ record: created(), ...snapshot })).toMatchObject({ do: 'finish', outcome });
  });

  test.each<[string, Partial<JobSnapshot>]>([
    ['runs', { job: job({ active: 1 }), pods: [pod('Running')] }],
    ['is held back by a queue', { job: { ...job(), spec: { suspend: true } } }],
    ['was preempted and may get another pod', { job: job(), pods: [pod('Failed', { exitCode: 143 }, disrupted)] }],
    [
      'has an old pod of a namesake',
      { job: job(), pods: [{ ...pod('Failed'), metadata: { name: 'p', ownerReferences: [] } }] },
    ],
  ])('nothing is decided while it %s', (_, snapshot) => {
    expect(decide({ record: created(), ...snapshot })).toEqual({ do: 'wait' });
  });

  test('an image that can not be pulled fails the step in the end', () => {
    const stuck = pod('Pending', undefined, {
      metadata: { name: 'p', creationTimestamp: '2026-01-01T11:45:00Z' },
      status: {
        phase: 'Pending',
        containerStatuses: [{ name: 'step', image: 'nope', state: { waiting: { reason: 'ImagePullBackOff' } } }],
      },
    });
    expect(decide({ record: created(), job: job(), pods: [stuck] })).toMatchObject({
      do: 'finish',
      remove: { uid: 'job-uid' },
    });
    const young = { ...stuck, metadata: { ...stuck.metadata, creationTimestamp: '2026-01-01T11:59:00Z' } };
    expect(decide({ record: created(), job: job(), pods: [young] })).toEqual({ do: 'wait', requeueAfter: 540_000 });
  });
});

describe('a Job is made once', () => {
  test('what was created before a crash is adopted', () => {
    expect(decide({ job: job() })).toEqual({ do: 'adopt', uid: 'job-uid' });
  });

  test('what belongs to a stranger is left alone, and the step is told', () => {
    expect(decide({ job: job({}, { annotations: {} }) })).toMatchObject({
      do: 'finish',
      outcome: { failure: { reason: 'JobRejected' } },
    });
  });

  test('a Job that nobody waits for any more is removed, under its UID', () => {
    expect(decide({ record: created({ abandoned: true }), job: job() })).toMatchObject({
      do: 'finish',
      outcome: { failure: { reason: 'Cancelled' } },
      remove: { name: 'article-1-train-2-1', uid: 'job-uid' },
    });
    expect(decide({ record: record({ abandoned: true }), job: job({}, { annotations: {} }) })).not.toHaveProperty(
      'remove',
    );
  });

  test('nothing is made for a Run that is gone', () => {
    expect(decideJob({ record: record(), settings, pods: [] }, now)).toMatchObject({ do: 'wait' });
  });

  test.each<[string, JobRecord['work'], string]>([
    [
      'an agent that is not there',
      { agent: { name: 'nobody', payload: { run: 'r', step: 's', attempt: 1 }, stepToken: 't' } },
      'AgentNotFound',
    ],
    ['a pool that is not there', { container: { ...container, gpu: { pool: 'gone', count: 1 } } }, 'JobRejected'],
    ['an input that no variable can hold', { container: { ...container, input: 'x'.repeat(140_000) } }, 'InvalidInput'],
  ])('%s fails the step', (_, work, reason) => {
    expect(decide({ record: record({ work }) })).toMatchObject({ do: 'finish', outcome: { failure: { reason } } });
  });

  test('evaluated text reaches the container as it is: Kubernetes expands nothing in it', () => {
    const decision = decide({});
    const spec = (decision.do === 'create' ? decision.job.spec : undefined) as JobSpec | undefined;
    expect(spec?.template.spec?.containers[0]?.args).toEqual(['echo', 'costs $$(PRICE) $$$$']);
  });

  test('whatever is asked for, the pod is restricted, the Job runs once and is the Run’s', () => {
    const amounts = fc.dictionary(fc.constantFrom('cpu', 'memory', 'ephemeral-storage'), fc.constantFrom('1', '2'));
    const resources = fc.option(fc.record({ requests: amounts, limits: amounts }, { requiredKeys: [] }), {
      nil: undefined,
    });
    const gpu = fc.option(fc.record({ pool: fc.constant('a100'), count: fc.integer({ min: 1, max: 8 }) }), {
      nil: undefined,
    });
    const step = fc.string({ minLength: 1, maxLength: 120 });
    fc.assert(
      fc.property(
        step,
        resources,
        gpu,
        fc.boolean(),
        fc.option(fc.integer({ min: 1, max: 10 ** 8 }), { nil: undefined }),
        (id, wanted, devices, asAgent, timeoutMs) => {
          const work: JobRecord['work'] = asAgent
            ? {
                agent: {
                  name: 'writer',
                  payload: { run: 'r', step: id, attempt: 1 },
                  stepToken: 't',
                  ...(devices && { gpu: devices }),
                },
              }
            : { container: { ...container, ...(wanted && { resources: wanted }), ...(devices && { gpu: devices }) } };
          const asked = record({ step: id, work, ...(timeoutMs !== undefined && { timeoutMs }) });
          const decision = decide({
            record: asked,
            agent: agent(),
            pool: pool({ queue: { label: 'q', name: 'research' } }),
          });
          if (decision.do !== 'create') throw new Error(decision.do);
          const spec = decision.job.spec as JobSpec;
          const podSpec = spec.template.spec;
          expect(podSpec && violations(podSpec)).toEqual([]);
          expect([spec.backoffLimit, podSpec?.restartPolicy]).toEqual([0, 'Never']);
          expect(decision.job.metadata.ownerReferences?.[0]).toMatchObject({ uid: 'uid-article-1', controller: true });
          const { requests, limits } = podSpec?.containers[0]?.resources ?? {};
          expect(requests?.['nvidia.com/gpu']).toBe(devices && String(devices.count));
          expect(limits?.['nvidia.com/gpu']).toBe(devices && String(devices.count));
          expect(decision.job.metadata.labels?.q).toBe(devices && 'research');
          for (const value of Object.values(spec.template.metadata?.labels ?? {})) {
            expect(value).toMatch(/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/);
          }
        },
      ),
    );
  });
});

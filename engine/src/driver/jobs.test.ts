import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { jobName, jobRequest } from './jobs.ts';

const run = { uid: 'u1', namespace: 'team', name: 'article-x2' };

describe('the name of a job', () => {
  test('starts with the run and the step', () => {
    expect(jobName({ run, step: 'research[12]', attempt: 1 })).toMatch(/^article-x2-research-12-[0-9a-f]{10}$/);
  });

  test('is the same each time, and another for another attempt, step or run', () => {
    const name = { run, step: 'a', attempt: 1 };
    expect(jobName(name)).toBe(jobName({ ...name }));
    const others = [name, { ...name, attempt: 2 }, { ...name, step: 'a[1]' }, { ...name, run: { ...run, uid: 'u2' } }];
    expect(new Set(others.map(jobName)).size).toBe(4);
  });

  test('is a DNS label, whatever the run is called', () => {
    const word = fc.stringMatching(/^[a-z0-9.-]{1,253}$/);
    fc.assert(
      fc.property(word, word, (name, step) => {
        expect(jobName({ run: { ...run, name }, step, attempt: 1 })).toMatch(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/);
      }),
    );
  });
});

test('the request for a container holds the container as it is to run, and no token', () => {
  const container = { image: 'busybox', args: ['a'], input: { n: 1 } };
  expect(jobRequest({ run, step: 'a', attempt: 2 }, { kind: 'container', container }, 'token', 5000)).toEqual({
    key: 'u1/a/2',
    run,
    step: 'a',
    attempt: 2,
    name: expect.any(String) as unknown,
    timeoutMs: 5000,
    work: { container },
  });
});

test('the request for an agent holds what to ask, the devices and the token', () => {
  const work = { kind: 'agent' as const, agent: 'w', prompt: 'p', input: null, gpu: { pool: 'a100', count: 2 } };
  expect(jobRequest({ run, step: 'a', attempt: 1 }, work, 'token', undefined).work).toEqual({
    agent: {
      name: 'w',
      gpu: { pool: 'a100', count: 2 },
      payload: { run: 'u1', step: 'a', attempt: 1, prompt: 'p', input: null },
      stepToken: 'token',
    },
  });
});

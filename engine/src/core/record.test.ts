import { describe, expect, test } from '@jest/globals';
import type { RunSubmission } from '@kadre/store';
import { ask, fail, ok, Simulation } from '../testing/simulation.ts';
import { decisionRecords } from './record.ts';

const workflow = {
  steps: [
    ask('plan'),
    ask('maybe', { when: '$(input > 5)' }),
    ask('shaky', { retry: { limit: 1 }, onError: { fallback: [ask('mend')] } }),
    { name: 'loop', repeat: { until: '$(round >= 2)', max: 3 }, steps: [ask('draft')] },
  ],
};
const submission: RunSubmission = {
  uid: 'u1',
  namespace: 'team',
  name: 'run',
  subject: 'main',
  workflow,
  input: 1,
  requestedBy: 'anna',
};

function records(source: Simulation) {
  const describeEvent = decisionRecords('1.2.3');
  return source.log.map((event, i) => describeEvent(submission, { seq: i + 1, ...event }));
}

describe('the record of a decision', () => {
  const played = new Simulation({
    workflow,
    input: 1,
    behave: (id) => (id === 'shaky' ? fail('RateLimited', 'slow down') : ok(id)),
  });
  const all = records(played.finish());
  const of = (type: string, step?: string) =>
    all.filter((one) => one.type === type && (step === undefined || one.step === step));

  test.each([
    ['RunStarted', undefined, { what: 'The run of main began.', who: 'anna', inputs: ['input'] }],
    ['StepStarted', 'plan', { why: 'It waits for nothing.', inputs: ['input'] }],
    [
      'StepSkipped',
      'maybe',
      { why: 'Its condition `when` is false.', alternatives: ['run the step'], inputs: ['plan'] },
    ],
    ['StepSucceeded', 'plan', { who: 'agent writer', inputs: ['plan/1'] }],
    [
      'StepSucceeded',
      'loop#1',
      { what: 'Step loop#1 succeeded. Another round follows.', alternatives: ['end the loop'] },
    ],
    ['StepSucceeded', 'loop#2', { alternatives: ['another round'] }],
    ['StepStarted', 'shaky.fallback.mend', { inputs: ['input'] }],
    ['RunSucceeded', undefined, { who: 'engine' }],
  ])('of %s %s says why, what else could have been, and who decided', (type, step, expected) => {
    expect(of(type, step)[0]).toMatchObject({ ...expected, version: '1.2.3', run: 'u1', subject: 'main' });
  });

  test('of a failure says what follows from it, and what could have', () => {
    expect(of('StepFailed', 'shaky').map(({ what, alternatives }) => ({ what, alternatives }))).toEqual([
      {
        what: 'Attempt 1 at shaky failed. Another attempt follows.',
        alternatives: ['take the fallback', 'continue', 'fail what is around the step'],
      },
      {
        what: 'Attempt 2 at shaky failed. Its fallback takes its place.',
        alternatives: ['try again', 'continue', 'fail what is around the step'],
      },
    ]);
  });

  test('is there for every event, with whole sentences', () => {
    expect(all).toHaveLength(played.log.length);
    for (const { what, why } of all) {
      expect(what).toMatch(/^[A-Z].*\.$/);
      expect(why ?? '').not.toContain('undefined');
    }
  });
});

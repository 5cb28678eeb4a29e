import { describe, expect, test } from '@jest/globals';
import { annotations, API_VERSION, type Run, type RunPhase } from '@kadre/crds';
import type { RunRequestRecord } from '@kadre/store';
import { decideRunRequest, type RunRequestSnapshot } from './decide.ts';

const record = (more: Partial<RunRequestRecord> = {}): RunRequestRecord => ({
  key: 'u0/write/1/3',
  namespace: 'team',
  name: 'report-1',
  spec: { workflow: { name: 'report' }, input: { topic: 'x' } },
  parent: { run: 'u0', name: 'nightly', step: 'write', attempt: 1 },
  depth: 1,
  at: 0,
  state: 'requested',
  cancelled: false,
  ...more,
});
const made = (more: Partial<RunRequestRecord> = {}) => record({ state: 'made', uid: 'u1', ...more });

const run = (uid: string, phase: RunPhase | undefined, more: { key?: string; spec?: object; status?: object } = {}) =>
  ({
    apiVersion: API_VERSION,
    kind: 'Run',
    metadata: {
      ...{ name: uid === 'u0' ? 'nightly' : 'report-1', namespace: 'team', uid, generation: 1 },
      ...{ resourceVersion: '1', creationTimestamp: '' },
      ...(more.key !== undefined && { annotations: { [annotations.request]: more.key } }),
    },
    spec: { workflow: { name: 'report' }, ...more.spec },
    ...(phase && { status: { phase, observedGeneration: 1, ...more.status } }),
  }) as unknown as Run;
const parent = run('u0', 'Running');
const decide = (snapshot: Partial<RunRequestSnapshot>) =>
  decideRunRequest({ record: record(), parent, ...snapshot }, 1000);

describe('a Run that is asked for', () => {
  test('is made under its name, belongs to the run that asks, and says so', () => {
    const act = decide({});
    expect(act).toMatchObject({
      do: 'make',
      run: {
        metadata: {
          name: 'report-1',
          namespace: 'team',
          annotations: { [annotations.request]: 'u0/write/1/3' },
          ownerReferences: [{ kind: 'Run', name: 'nightly', uid: 'u0', controller: true }],
        },
        spec: record().spec,
      },
    });
  });

  test('belongs to nobody if no run asks', () => {
    const alone = record();
    delete alone.parent;
    const act = decideRunRequest({ record: alone }, 1000);
    expect(act).toMatchObject({ do: 'make' });
    expect(JSON.stringify(act)).not.toContain('ownerReferences');
  });

  test.each<[string, Partial<RunRequestSnapshot>]>([
    ['is there already, made by a process that died', { live: run('u1', undefined, { key: 'u0/write/1/3' }) }],
    ['was there and is deleted, before that was written down', { known: 'u1' }],
  ])('is not made again if it %s', (_, snapshot) => {
    expect(decide(snapshot)).toEqual({ do: 'remember', uid: 'u1' });
  });

  test.each<[string, Partial<RunRequestSnapshot>, string, RegExp]>([
    ['somebody else’s Run has the name', { live: run('u7', 'Running') }, 'Refused', /delete it/],
    ['it is too late', { record: record({ expiresAt: 1000 }) }, 'Cancelled', /in time/],
    ['it is wanted no more', { record: record({ cancelled: true }) }, 'Cancelled', /wants it no more/],
    ['the run that asks is over', { parent: run('u0', 'Failed') }, 'Cancelled', /nightly/],
    [
      'the run that asks is being cancelled',
      { parent: run('u0', 'Running', { spec: { cancel: true } }) },
      'Cancelled',
      /nightly/,
    ],
  ])('is not made if %s', (_, snapshot, reason, message) => {
    expect(decide(snapshot)).toMatchObject({ do: 'end', failure: { reason, message: expect.stringMatching(message) } });
  });
});

describe('a Run that was made for somebody', () => {
  const live = run('u1', 'Running');

  test('is left alone while it is at work', () => {
    expect(decide({ record: made(), live })).toEqual({ do: 'wait' });
  });

  test.each<[string, Partial<RunRequestSnapshot>, RegExp]>([
    ['nobody wants it any more', { record: made({ cancelled: true }) }, /wants it no more/],
    ['it takes too long', { record: made({ expiresAt: 1000 }) }, /in time/],
    ['the run that asked is over', { parent: run('u0', 'Cancelled') }, /nightly/],
  ])('is cancelled when %s', (_, more, why) => {
    const message = expect.stringMatching(why) as unknown;
    expect(decide({ record: made(), live, ...more })).toEqual({ do: 'cancel', uid: 'u1', message });
    const cancelling = run('u1', 'Running', { spec: { cancel: true } });
    expect(decide({ record: made(), ...more, live: cancelling })).toEqual({ do: 'wait' });
  });

  test('is not cancelled once the engine has told how it went', () => {
    expect(decide({ record: made({ cancelled: true }), live, told: true })).toEqual({ do: 'wait' });
  });

  test('is over when the engine has told how it went, whether it is still there or not', () => {
    expect(decide({ record: made(), live: run('u1', 'Succeeded'), told: true })).toEqual({ do: 'end' });
    expect(decide({ record: made(), told: true })).toEqual({ do: 'end' });
  });

  test('that was deleted, or has a successor of its name, was cancelled', () => {
    for (const other of [{}, { live: run('u9', 'Running') }]) {
      expect(decide({ record: made(), ...other })).toMatchObject({ do: 'end', failure: { reason: 'Cancelled' } });
    }
  });

  test('that never began says why', () => {
    const conditions = [{ type: 'Stalled', status: 'True', reason: 'RunNotFound', message: 'No such run.' }];
    const refused = run('u1', 'Failed', { status: { conditions } });
    const failure = { reason: 'RunNotFound', message: 'No such run.' };
    expect(decide({ record: made(), live: refused })).toEqual({ do: 'end', failure });
    expect(decide({ record: made(), live: run('u1', 'Failed') })).toMatchObject({ failure: { reason: 'Refused' } });
  });
});

import { describe, expect, test } from '@jest/globals';
import type { Trigger, TriggerSpec } from '@kadre/crds';
import { planTrigger, type TriggerPlan } from './plan.ts';
import { deliveryKey, passes, startName, startOf, type Happening } from './start.ts';

type Webhook = NonNullable<TriggerSpec['webhook']>;
const webhook = (more: Partial<Webhook> = {}): Webhook => ({
  auth: { bearer: { secretRef: { name: 's', key: 'k' } } },
  remember: '1h',
  ...more,
});
const watch = (filter?: string): TriggerSpec['watch'] => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  changes: ['Modified'],
  ...(filter !== undefined && { filter }),
});
const schedule: TriggerSpec['schedule'] = { cron: '0 6 * * *', timeZone: 'UTC', concurrencyPolicy: 'Allow' };
const start = { workflow: { name: 'triage' } };

function trigger(spec: TriggerSpec, name = 'issues'): Trigger {
  const metadata = { name, namespace: 'team', uid: 'u-1', resourceVersion: '1', generation: 1, creationTimestamp: '' };
  return { apiVersion: 'kadre.dev/v1alpha1', kind: 'Trigger', metadata, spec };
}

function planned(spec: TriggerSpec): TriggerPlan {
  const result = planTrigger(spec);
  if ('problems' in result) throw new Error(JSON.stringify(result.problems));
  return result.plan;
}

const cause = { key: 'webhook/1', text: 'delivery 1', at: 1000 };
const begin = (spec: TriggerSpec, happening: Happening) => startOf(trigger(spec), planned(spec), cause, happening);

describe('mistakes in a Trigger are found before it fires, by the path of the field:', () => {
  test.each<[string, TriggerSpec, string, RegExp]>([
    [
      'a name that another cause knows',
      { schedule, start: { ...start, input: { at: '$(body.time)' } } },
      'spec.start.input.at',
      /no variable body.*scheduledTime/,
    ],
    [
      'a filter that is no condition',
      { webhook: webhook({ filter: '$(body.action + "x")' }), start },
      'spec.webhook.filter',
      /true or false/,
    ],
    ['a filter without $(…)', { watch: watch('object.x == 1'), start }, 'spec.watch.filter', /true or false/],
    [
      'a key that cannot be read',
      { webhook: webhook({ idempotencyKey: '$(headers[' }), start },
      'spec.webhook.idempotencyKey',
      /no closing/,
    ],
    [
      'a payload with a step in it',
      { watch: watch(), start: { event: { name: 'e', payload: ['$(steps.a.output)'] } } },
      'spec.start.event.payload[0]',
      /no step a/,
    ],
  ])('%s', (_what, spec, path, message) => {
    expect(planTrigger(spec)).toEqual({ problems: [{ path, message: expect.stringMatching(message) }] });
  });
});

describe('a Trigger starts', () => {
  test('a Run whose input holds what happened, with labels that lead back to it', () => {
    const spec = {
      webhook: webhook(),
      start: { ...start, input: { title: '$(body.issue.title)', by: '$(trigger.name)' } },
    };
    expect(begin(spec, { body: { issue: { title: 'Broken' } } })).toEqual({
      run: {
        apiVersion: 'kadre.dev/v1alpha1',
        kind: 'Run',
        metadata: {
          name: startName(trigger(spec).metadata, cause.key),
          namespace: 'team',
          labels: {
            'app.kubernetes.io/managed-by': 'kadre',
            'kadre.dev/trigger': 'issues',
            'kadre.dev/trigger-uid': 'u-1',
          },
          annotations: { 'kadre.dev/cause': 'delivery 1' },
        },
        spec: { workflow: { name: 'triage' }, input: { title: 'Broken', by: 'issues' } },
      },
    });
  });

  test('a Run without an input where it names none, and with its limits', () => {
    const made = begin({ schedule, start: { ...start, limits: { steps: 5 } } }, { scheduledTime: 'now' });
    expect(made).toMatchObject({ run: { spec: { workflow: { name: 'triage' }, limits: { steps: 5 } } } });
    expect('run' in made && 'input' in made.run.spec).toBe(false);
  });

  test('an event with an id that is the same for the same cause alone', () => {
    const spec = { schedule, start: { event: { name: 'tick', payload: '$(scheduledTime)' } } };
    const again = begin(spec, { scheduledTime: 'noon' });
    expect(again).toEqual(begin(spec, { scheduledTime: 'noon' }));
    expect(again).toMatchObject({ event: { namespace: 'team', name: 'tick', payload: 'noon', at: 1000 } });
    const other = startOf(trigger(spec), planned(spec), { ...cause, key: 'webhook/2' }, { scheduledTime: 'noon' });
    expect('event' in again && 'event' in other && again.event.id !== other.event.id).toBe(true);
  });

  test('names that are DNS labels, whatever the name of the Trigger, and differ by Trigger and key', () => {
    const names = ['a', 'x'.repeat(63), `${'y'.repeat(45)}-z`].flatMap((name) =>
      ['u-1', 'u-2'].flatMap((uid) => ['k', 'l'].map((key) => startName({ name, uid }, key))),
    );
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
    expect(names.filter((name) => name.includes('--'))).toEqual([]);
  });
});

describe('what happened is refused with the field that it does not fit:', () => {
  const deep = Array.from({ length: 300 }).reduce<Happening[string]>((inner) => [inner], 1);
  test.each<[string, TriggerSpec, Happening, RegExp]>([
    [
      'a field that is not there',
      { webhook: webhook(), start: { ...start, input: '$(body.issue)' } },
      { body: { pull: 1 } },
      /spec\.start\.input: there is no field 'issue'; there is: pull/,
    ],
    [
      'an input too large for a Run',
      { webhook: webhook(), start: { ...start, input: '$(body)' } },
      { body: 'x'.repeat(600_000) },
      /spec\.start\.input: .* take over only the fields/,
    ],
    [
      'a payload too deep',
      { webhook: webhook(), start: { event: { name: 'e', payload: '$(body)' } } },
      { body: deep },
      /spec\.start\.event\.payload: .*levels/,
    ],
  ])('%s', (_what, spec, happening, message) => {
    expect(() => begin(spec, happening)).toThrow(message);
  });

  const keyed = webhook({ idempotencyKey: '$(body.id)' });
  test.each<[string, Happening[string], string | RegExp]>([
    ['a text', 'a-1', 'a-1'],
    ['a number', 5, '5'],
    ['nothing', '', /1 to 1024 characters/],
    ['too much', 'x'.repeat(2000), /1 to 1024 characters/],
  ])('a key made of %s', (_what, id, expected) => {
    const spec = { webhook: keyed, start };
    const key = () => deliveryKey(trigger(spec), planned(spec), { body: { id } });
    if (typeof expected === 'string') expect(key()).toBe(expected);
    else expect(key).toThrow(expected);
  });

  test.each<[string, Happening[string], boolean | RegExp]>([
    ['true', true, true],
    ['false', false, false],
    ['a text', 'true', /spec\.webhook\.filter: must be true or false/],
  ])('a filter that gives %s', (_what, wanted, expected) => {
    const spec = { webhook: webhook({ filter: '$(body.wanted)' }), start };
    const pass = () => passes(trigger(spec), planned(spec), { body: { wanted } });
    if (typeof expected === 'boolean') expect(pass()).toBe(expected);
    else expect(pass).toThrow(expected);
  });
});

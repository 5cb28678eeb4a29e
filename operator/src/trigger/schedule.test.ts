import { describe, expect, test } from '@jest/globals';
import type { Trigger, TriggerStatus } from '@kadre/crds';
import { dueAt, type DueOptions } from './schedule.ts';
import { timesOf, type Times } from './times.ts';

const at = (text: string): number => Date.parse(text);
const shown = (time: number | undefined): string | undefined =>
  time === undefined ? undefined : new Date(time).toISOString().replace(':00.000Z', 'Z');

function times(cron: string, timeZone = 'UTC'): Times {
  const found = timesOf({ cron, timeZone });
  if ('problem' in found) throw new Error(found.problem);
  return found;
}

function following(schedule: Times, from: string, count: number): (string | undefined)[] {
  const found: number[] = [at(from)];
  for (let i = 0; i < count; i++) found.push(schedule.next(found[i] ?? 0) ?? 0);
  return found.slice(1).map(shown);
}

describe('a schedule', () => {
  test.each<[string, string, string, string, string[]]>([
    ['in its own time zone', '30 6 * * *', 'Asia/Kolkata', '2026-01-01T00:00Z', ['2026-01-01T01:00Z']],
    ['on the day of the month or of the week', '0 0 13 * FRI', 'UTC', '2026-02-07T00:00Z', ['2026-02-13T00:00Z']],
    ['on the last day of February', '0 0 29 2 *', 'UTC', '2026-01-01T00:00Z', ['2028-02-29T00:00Z']],
  ])('is due %s', (_what, cron, zone, from, expected) => {
    expect(following(times(cron, zone), from, expected.length)).toEqual(expected);
  });

  // On 2026-03-29 at 02:00 the clocks of Berlin go to 03:00, on 2026-10-25 at 03:00 back to 02:00.
  test.each<[string, string, string, string[]]>([
    [
      'takes a time that does not exist at the end of the gap',
      '30 2 * * *',
      '2026-03-28T12:00Z',
      ['2026-03-29T01:00Z', '2026-03-30T00:30Z'],
    ],
    [
      'takes a time that comes twice the first time alone',
      '30 2 * * *',
      '2026-10-24T12:00Z',
      ['2026-10-25T00:30Z', '2026-10-26T01:30Z'],
    ],
    [
      'takes several times a night once each',
      '30 1,2 * * *',
      '2026-10-24T12:00Z',
      ['2026-10-24T23:30Z', '2026-10-25T00:30Z', '2026-10-26T00:30Z'],
    ],
    [
      'goes on every half hour where the clocks go forward',
      '*/30 * * * *',
      '2026-03-29T00:15Z',
      ['2026-03-29T00:30Z', '2026-03-29T01:00Z', '2026-03-29T01:30Z'],
    ],
    [
      'goes on every half hour where they go back',
      '*/30 * * * *',
      '2026-10-24T23:45Z',
      ['2026-10-25T00:00Z', '2026-10-25T00:30Z', '2026-10-25T01:00Z', '2026-10-25T01:30Z', '2026-10-25T02:00Z'],
    ],
  ])('in Berlin %s', (_what, cron, from, expected) => {
    const berlin = times(cron, 'Europe/Berlin');
    expect(following(berlin, from, expected.length)).toEqual(expected);
    const last = expected.at(-1) ?? '';
    expect(shown(berlin.latest(0, at(last)))).toBe(last);
  });

  test('knows the latest time: this very moment counts, the one before does not, and the past can be long', () => {
    const daily = times('0 6 * * *');
    expect(shown(daily.latest(0, at('2026-01-02T06:00Z')))).toBe('2026-01-02T06:00Z');
    expect(shown(daily.latest(0, at('2026-01-02T05:59:59.999Z')))).toBe('2026-01-01T06:00Z');
    expect(daily.latest(at('2026-01-02T06:00Z'), at('2026-01-03T05:00Z'))).toBeUndefined();
    expect(shown(times('* * * * *').latest(0, at('2036-01-01T00:00:59.999Z')))).toBe('2036-01-01T00:00Z');
  });

  test.each([
    ['0 0 31 2 *', 'UTC', /never comes/],
    ['61 * * * *', 'UTC', /minute: 61/],
    ['0 6 * * *', 'Mars/Base', /no time zone Mars\/Base; write one such as Europe\/Berlin/],
    ['0 0 * * * *', 'UTC', /5/],
  ])('%s in %s is refused', (cron, timeZone, problem) => {
    expect(timesOf({ cron, timeZone })).toEqual({ problem: expect.stringMatching(problem) });
  });
});

describe('of a schedule every hour', () => {
  const hourly = times('0 * * * *');
  const created = '2026-01-01T00:30:00Z';

  function trigger(status?: Partial<TriggerStatus>, generation = 1, suspend = false): Trigger {
    return {
      apiVersion: 'kadre.dev/v1alpha1',
      kind: 'Trigger',
      metadata: { name: 't', uid: 'u', resourceVersion: '1', generation, creationTimestamp: created },
      spec: {
        schedule: { cron: '0 * * * *', timeZone: 'UTC', concurrencyPolicy: 'Allow' },
        start: { workflow: { name: 'w' } },
        suspend,
      },
      status: { observedGeneration: -1, ...status },
    };
  }
  const seen = (scheduledUpTo: string) => ({ observedGeneration: 1, scheduledUpTo });
  const options: DueOptions = { deadline: undefined, concurrencyPolicy: 'Allow', isBusy: () => false };
  const busy = { isBusy: () => true };

  test.each<[string, Trigger, string, Partial<DueOptions>, string | undefined, string | undefined]>([
    ['nothing is due before the first', trigger(), '2026-01-01T00:59Z', {}, undefined, undefined],
    ['the first is due', trigger(), '2026-01-01T01:00Z', {}, '2026-01-01T01:00Z', undefined],
    ['what is done is done', trigger(seen('2026-01-01T01:00:00.000Z')), '2026-01-01T01:30Z', {}, undefined, undefined],
    [
      'the latest that was missed is made up for',
      trigger(seen(created)),
      '2026-01-05T07:59Z',
      {},
      '2026-01-05T07:00Z',
      undefined,
    ],
    [
      'it is made up for within the deadline',
      trigger(seen(created)),
      '2026-01-05T07:10Z',
      { deadline: 600_000 },
      '2026-01-05T07:00Z',
      undefined,
    ],
    [
      'and not after it',
      trigger(seen(created)),
      '2026-01-05T07:11Z',
      { deadline: 600_000 },
      undefined,
      'MissedSchedule',
    ],
    [
      'nothing is due while it is suspended',
      trigger(seen(created), 1, true),
      '2026-01-05T07:00Z',
      {},
      undefined,
      undefined,
    ],
    [
      'nothing is made up for once it no longer is',
      trigger(seen(created), 2),
      '2026-01-05T07:30Z',
      {},
      undefined,
      undefined,
    ],
    [
      'a run at work forbids another',
      trigger(seen(created)),
      '2026-01-01T01:00Z',
      { concurrencyPolicy: 'Forbid', ...busy },
      undefined,
      'StillRunning',
    ],
    [
      'a run at work is replaced',
      trigger(seen(created)),
      '2026-01-01T01:00Z',
      { concurrencyPolicy: 'Replace', ...busy },
      '2026-01-01T01:00Z',
      undefined,
    ],
  ])('%s', (_what, subject, now, more, start, skipped) => {
    const due = dueAt(subject, hourly, at(now), { ...options, ...more });
    expect(shown(due.start)).toBe(start);
    expect(due.skipped?.reason).toBe(skipped);
    // Whatever was decided, the same moment decides nothing again.
    const after = trigger(seen(new Date(due.upTo).toISOString()), 1, subject.spec.suspend);
    const again = dueAt(after, hourly, at(now), { ...options, ...more });
    if (subject.spec.suspend !== true) expect(again).toEqual({ upTo: due.upTo });
  });
});

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { budgetPeriods, isTimeZone, periodAt } from './index.ts';

// Where clocks are set at midnight, over midnight, by half an hour, or over a whole day.
const zones = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'America/Sao_Paulo',
  'America/Havana',
  'America/St_Johns',
  'Asia/Beirut',
  'Asia/Kathmandu',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Chatham',
];
const HOUR = 3_600_000;
const BEGIN = Date.UTC(2010, 9);
const iso = (time: number | undefined): string => new Date(time ?? NaN).toISOString().slice(0, 16);

describe('a period', () => {
  test.each<[(typeof budgetPeriods)[number], string, string, string, string, string]>([
    ['hour', 'Europe/Berlin', '2026-11-21T14:25', '2026-11-21T14:00Z', '2026-11-21T14:00', '2026-11-21T15:00'],
    ['hour', 'Asia/Kathmandu', '2026-11-21T14:25', '2026-11-21T14:15Z', '2026-11-21T14:15', '2026-11-21T15:15'],
    ['day', 'Europe/Berlin', '2026-11-21T23:30', '2026-11-22', '2026-11-21T23:00', '2026-11-22T23:00'],
    ['day, 23 hours long', 'Europe/Berlin', '2026-03-29T12:00', '2026-03-29', '2026-03-28T23:00', '2026-03-29T22:00'],
    ['day, 25 hours long', 'Europe/Berlin', '2026-10-25T12:00', '2026-10-25', '2026-10-24T22:00', '2026-10-25T23:00'],
    ['day without a midnight', 'Asia/Beirut', '2026-03-29T12:00', '2026-03-29', '2026-03-28T22:00', '2026-03-29T21:00'],
    [
      'day with two midnights',
      'America/Havana',
      '2026-11-01T05:30',
      '2026-11-01',
      '2026-11-01T04:00',
      '2026-11-02T05:00',
    ],
    ['day', 'America/St_Johns', '2010-11-07T02:45', '2010-11-07', '2010-11-07T02:30', '2010-11-08T03:30'],
    ['day', 'Pacific/Apia', '2011-12-30T10:00', '2011-12-31', '2011-12-30T10:00', '2011-12-31T10:00'],
    ['week', 'UTC', '2026-11-22T12:00', '2026-11-16', '2026-11-16T00:00', '2026-11-23T00:00'],
    ['week', 'UTC', '2026-11-23T00:00', '2026-11-23', '2026-11-23T00:00', '2026-11-30T00:00'],
    ['month', 'America/New_York', '2026-12-01T04:59', '2026-11', '2026-11-01T04:00', '2026-12-01T05:00'],
    ['month', 'UTC', '2028-02-29T12:00', '2028-02', '2028-02-01T00:00', '2028-03-01T00:00'],
  ] as never)('%s in %s', (kind, zone, at, key, startsAt, endsAt) => {
    const period = periodAt(kind.split(/[, ]/)[0] as 'day', zone, Date.parse(`${at}Z`));
    expect([period.key, iso(period.startsAt), iso(period.endsAt)]).toEqual([key, startsAt, endsAt]);
  });

  test('of total has always been and never ends', () => {
    expect(periodAt('total', 'UTC', 0)).toEqual({ key: 'total' });
  });

  test('follows the one before without a gap and without overlap, whatever the clocks do', () => {
    const arbitrary = fc.record({
      kind: fc.constantFrom(...budgetPeriods.filter((kind) => kind !== 'total')),
      zone: fc.constantFrom(...zones),
      at: fc.integer({ min: Date.UTC(1980, 0), max: Date.UTC(2040, 0) }),
    });
    const longest = { hour: 2 * HOUR, day: 26 * HOUR, week: 8 * 24 * HOUR, month: 32 * 24 * HOUR };
    fc.assert(
      fc.property(arbitrary, ({ kind, zone, at }) => {
        const { key, startsAt = NaN, endsAt = NaN } = periodAt(kind, zone, at);
        expect(startsAt).toBeLessThanOrEqual(at);
        expect(at).toBeLessThan(endsAt);
        expect(endsAt - startsAt).toBeLessThanOrEqual(longest[kind]);
        expect(periodAt(kind, zone, startsAt)).toEqual({ key, startsAt, endsAt });
        expect(periodAt(kind, zone, endsAt - 1)).toEqual({ key, startsAt, endsAt });
        const [before, after] = [periodAt(kind, zone, startsAt - 1), periodAt(kind, zone, endsAt)];
        expect([before.endsAt, after.startsAt]).toEqual([startsAt, endsAt]);
        expect(before.key < key && key < after.key).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test.each(zones)('holds around every change of the clocks in %s', (zone) => {
    for (let at = BEGIN; at < Date.UTC(2012, 0);) {
      const { key, startsAt, endsAt = NaN } = periodAt('day', zone, at);
      const noon = new Date(startsAt ?? NaN).getTime() + 12 * HOUR;
      const shown = new Date(noon).toLocaleDateString('sv-SE', { timeZone: zone });
      expect([shown, startsAt]).toEqual([key, at === BEGIN ? startsAt : at]);
      at = endsAt;
    }
  });

  test('has a zone that exists', () => {
    expect([isTimeZone('Europe/Berlin'), isTimeZone('Europe/Atlantis')]).toEqual([true, false]);
    expect(() => periodAt('day', 'Europe/Atlantis', 0)).toThrow(RangeError);
  });
});

/** Wall clocks against Temporal, over many zones and years, and by name on the days that are known to be odd. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dayAt, firstMomentAt, isZone, offsetMs, wallTime } from '../../../../producer/policy/zone.ts';
import { oracle } from './temporal.ts';

/** Whole hours, half and quarter ones, clocks that change at midnight, by half an hour, by two, twice around Ramadan. */
const ZONES = [
  'UTC',
  'Europe/London',
  'Europe/Dublin',
  'America/New_York',
  'America/St_Johns',
  'America/Havana',
  'America/Sao_Paulo',
  'America/Nuuk',
  'Africa/Cairo',
  'Africa/Casablanca',
  'Asia/Beirut',
  'Asia/Tehran',
  'Asia/Kathmandu',
  'Asia/Gaza',
  'Australia/Lord_Howe',
  'Pacific/Apia',
  'Pacific/Chatham',
  'Antarctica/Troll',
];
const DAY_MS = 86_400_000;
const dayOf = (date: string) => Date.parse(`${date}T00:00:00Z`) / DAY_MS;
const iso = (atMs: number) => new Date(atMs).toISOString().slice(0, 19);
const minutesOf = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));

describe('the first moment at which a clock reads a time on a date', () => {
  it.each([
    ['Europe/London', '2025-07-01', '00:00', '2025-06-30T23:00:00', 'summer time'],
    ['Europe/London', '2025-03-30', '01:30', '2025-03-30T01:00:00', 'never read: when the clock jumps over it'],
    ['Europe/London', '2025-03-30', '02:00', '2025-03-30T01:00:00', 'the first time read after the jump'],
    ['Europe/London', '2025-10-26', '01:30', '2025-10-26T00:30:00', 'read twice: the first'],
    ['America/New_York', '2025-03-09', '02:30', '2025-03-09T07:00:00', 'never read'],
    ['America/New_York', '2025-11-02', '01:00', '2025-11-02T05:00:00', 'read twice: the first'],
    ['Africa/Cairo', '2025-04-25', '00:00', '2025-04-24T22:00:00', 'a date that begins at 01:00'],
    ['America/Havana', '2025-11-02', '00:00', '2025-11-02T04:00:00', 'midnight is read twice'],
    ['Australia/Lord_Howe', '2025-10-05', '02:15', '2025-10-04T15:30:00', 'clocks that jump by half an hour'],
    ['Antarctica/Troll', '2025-03-30', '02:00', '2025-03-30T01:00:00', 'clocks that jump by two hours'],
    ['Asia/Kathmandu', '2025-01-01', '00:00', '2024-12-31T18:15:00', '5 h 45 ahead'],
    [
      'Pacific/Apia',
      '2011-12-30',
      '06:00',
      '2011-12-30T10:00:00',
      'a date that was left out: when the next one begins',
    ],
    ['Pacific/Apia', '2011-12-31', '00:00', '2011-12-30T10:00:00', 'the date after it'],
  ])('%s %s %s is %s UTC (%s)', (zone, date, time, expected) => {
    expect(iso(firstMomentAt(zone, dayOf(date), minutesOf(time)))).toBe(expected);
  });

  it('is what Temporal says, in every zone, on any date from 1980 to 2037', () => {
    const days = fc.integer({ min: dayOf('1980-01-01'), max: dayOf('2037-12-31') });
    fc.assert(
      fc.property(fc.constantFrom(...ZONES), days, fc.integer({ min: 0, max: 1_439 }), (zone, day, minute) => {
        expect(firstMomentAt(zone, day, minute)).toBe(oracle.firstMomentAt(zone, day, minute));
      }),
      { numRuns: 1_000 },
    );
  });

  it('is what Temporal says around every change of a clock in four years', () => {
    let changes = 0;
    for (const zone of ZONES) {
      for (let day = dayOf('2023-01-01'); day < dayOf('2027-01-01'); day++) {
        if (offsetMs(zone, day * DAY_MS) === offsetMs(zone, (day + 1) * DAY_MS)) continue;
        changes++;
        for (const near of [day - 1, day, day + 1]) {
          for (let minute = 0; minute < 1_440; minute += 75) {
            const asked = `${zone} day ${near} minute ${minute}`;
            expect(`${asked}: ${firstMomentAt(zone, near, minute)}`).toBe(
              `${asked}: ${oracle.firstMomentAt(zone, near, minute)}`,
            );
          }
        }
      }
    }
    expect(changes).toBeGreaterThan(80);
  });
});

describe('a clock', () => {
  it('is as far ahead of UTC as Temporal says, seconds of old times included', () => {
    const moments = fc.integer({ min: Date.parse('1900-01-01'), max: Date.parse('2037-12-31') });
    fc.assert(
      fc.property(fc.constantFrom(...ZONES, 'Africa/Monrovia'), moments, (zone, atMs) => {
        expect(offsetMs(zone, atMs)).toBe(oracle.offsetMs(zone, atMs));
      }),
    );
  });

  it('shows date and time as people there read them', () => {
    const atMs = Date.parse('2025-11-24T23:30:05Z');
    expect(wallTime('Asia/Kathmandu', atMs)).toBe('2025-11-25T05:15:05');
    expect(dayAt('Asia/Kathmandu', atMs)).toBe(dayOf('2025-11-25'));
    expect(wallTime('UTC', atMs)).toBe('2025-11-24T23:30:05');
  });

  it.each(['Mars/Base', '', '+5', 'Europe'])('of %j there is none', (zone) => {
    expect(isZone(zone)).toBe(false);
  });

  it('of a zone by any name that the zone data has', () => {
    for (const zone of [...ZONES, '+05:30', 'Etc/GMT+5']) expect(isZone(zone)).toBe(true);
  });
});

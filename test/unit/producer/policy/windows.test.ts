/** Windows: how they are written, and where fixed ones begin and end. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FixedWindow, spanAt, windowSchema } from '../../../../producer/policy/windows.ts';

const HOUR_MS = 3_600_000;
const iso = (atMs: number) => new Date(atMs).toISOString().slice(0, 19);
const fixed = (setting: object, zone = 'UTC') => {
  const window = windowSchema.parse(setting);
  return (window.kind === 'daily' ? { ...window, zone: window.zone ?? zone } : window) as FixedWindow;
};

describe('a fixed window', () => {
  it.each([
    [{ daily: '00:00' }, '2025-11-24T16:00Z', '2025-11-24T00:00:00', 24, ''],
    [{ daily: '06:30' }, '2025-11-24T06:29Z', '2025-11-23T06:30:00', 24, 'before the reset time'],
    [{ daily: '06:30' }, '2025-11-24T06:30Z', '2025-11-24T06:30:00', 24, 'at the reset time'],
    [{ daily: '00:00', zone: 'Europe/London' }, '2025-03-30T12:00Z', '2025-03-30T00:00:00', 23, 'clocks go forward'],
    [{ daily: '00:00', zone: 'Europe/London' }, '2025-10-26T12:00Z', '2025-10-25T23:00:00', 25, 'clocks go back'],
    [
      { daily: '01:30', zone: 'Europe/London' },
      '2025-03-30T00:30Z',
      '2025-03-29T01:30:00',
      23.5,
      'resets at a time that is not read',
    ],
    [
      { daily: '01:30', zone: 'Europe/London' },
      '2025-10-26T00:59Z',
      '2025-10-26T00:30:00',
      25,
      'began at a time that is read twice',
    ],
    [
      { daily: '01:30', zone: 'Europe/London' },
      '2025-10-26T01:40Z',
      '2025-10-26T00:30:00',
      25,
      'does not begin again the second time',
    ],
    [
      { daily: '00:00', zone: 'America/Havana' },
      '2025-11-02T05:30Z',
      '2025-11-02T04:00:00',
      25,
      'midnight is read twice',
    ],
    [
      { daily: '23:30', zone: 'America/Sao_Paulo' },
      '2018-02-18T02:45Z',
      '2018-02-18T01:30:00',
      25,
      'yesterday comes back',
    ],
    [
      { daily: '00:00', zone: 'Pacific/Apia' },
      '2011-12-30T09:59Z',
      '2011-12-29T10:00:00',
      24,
      'the last day before a date that was left out',
    ],
    [{ daily: '00:00', zone: 'Pacific/Apia' }, '2011-12-30T10:00Z', '2011-12-30T10:00:00', 24, 'the day after it'],
    [{ every: '20s', anchor: '2025-11-24T00:00:05Z' }, '2025-11-24T00:00:24Z', '2025-11-24T00:00:05', 20 / 3600, ''],
    [{ every: '6h' }, '2025-11-24T05:59Z', '2025-11-24T00:00:00', 6, ''],
    [
      { every: '1h', anchor: '2026-01-01T00:30:00+00:00' },
      '2025-11-24T00:00Z',
      '2025-11-23T23:30:00',
      1,
      'before its anchor',
    ],
  ])('%j at %s began at %s and lasts %d h %s', (setting, at, startsAt, hours, _why) => {
    const span = spanAt(fixed(setting), Date.parse(at));
    expect(iso(span.startsAtMs)).toBe(startsAt);
    expect((span.resetsAtMs - span.startsAtMs) / HOUR_MS).toBeCloseTo(hours, 9);
  });

  it('holds every moment, each in one stretch, without gaps', () => {
    const zones = [
      'UTC',
      'Europe/London',
      'America/Havana',
      'Australia/Lord_Howe',
      'Pacific/Apia',
      'Africa/Casablanca',
    ];
    const windows = fc.oneof(
      fc.record({
        kind: fc.constant('daily' as const),
        minuteOfDay: fc.integer({ min: 0, max: 1_439 }),
        zone: fc.constantFrom(...zones),
      }),
      fc.record({
        kind: fc.constant('every' as const),
        everyMs: fc.integer({ min: 1_000, max: 31 * 24 * HOUR_MS }),
        anchorMs: fc.integer({ min: 0, max: 2e12 }),
      }),
    );
    const moments = fc.integer({ min: Date.parse('2005-01-01'), max: Date.parse('2035-01-01') });
    fc.assert(
      fc.property(windows, moments, (window, atMs) => {
        const span = spanAt(window, atMs);
        expect(span.startsAtMs <= atMs && atMs < span.resetsAtMs).toBe(true);
        expect(spanAt(window, span.startsAtMs)).toEqual(span);
        expect(spanAt(window, span.resetsAtMs - 1)).toEqual(span);
        expect(spanAt(window, span.resetsAtMs).startsAtMs).toBe(span.resetsAtMs);
        if (window.kind === 'daily') expect(span.resetsAtMs - span.startsAtMs).toBeGreaterThanOrEqual(22 * HOUR_MS);
      }),
    );
  });
});

describe('what is refused', () => {
  const FORMS = /expected \{ daily: '00:00'.*\}, \{ rolling: 1h \} or \{ every: 6h/;
  it.each([
    [{ daily: '24:00' }, 'daily', /expected a time of day such as '00:00', in quotes/],
    [{ daily: '0:00' }, 'daily', /expected a time of day/],
    [{ daily: 0 }, 'daily', /expected a time of day/],
    [{ daily: '00:00', zone: 'Mars/Base' }, 'zone', /expected a time zone such as UTC or Europe\/London/],
    [{ daily: '00:00', zones: 'UTC' }, 'zones', /unknown setting/],
    [{ every: '500ms' }, 'every', /expected 1s to 31d/],
    [{ every: '32d' }, 'every', /expected 1s to 31d/],
    [{ every: '1h', anchor: 'now' }, 'anchor', /expected a time such as/],
    [{ rolling: '9s' }, 'rolling', /expected 10s to 31d/],
    [{ rolling: '1 hour' }, 'rolling', /expected a duration/],
    [{ rolling: '1h', daily: '00:00' }, '', FORMS],
    [{}, '', FORMS],
    [null, '', FORMS],
    ['daily', '', FORMS],
  ])('%j, at %j', (setting, path, message) => {
    const parsed = windowSchema.safeParse(setting);
    expect(parsed.error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
    expect(parsed.error?.issues[0]?.message).toMatch(message);
  });
});

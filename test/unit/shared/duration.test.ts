/** Durations as people write and read them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationMs, formatDuration, parseDurationMs } from '../../../shared/duration.ts';
import { HobblerError } from '../../../shared/errors.ts';

describe('a written duration', () => {
  it.each([
    ['250ms', 250],
    ['90s', 90_000],
    ['30m', 1_800_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['1h30m', 5_400_000],
    ['1m500ms', 60_500],
    ['0s', 0],
  ])('%s is %i ms', (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  it.each(['', '30', 'm', '-5m', '1.5h', '30 m', '30M', '1y', '30m ', '1h30', '9'.repeat(20).concat('d')])(
    '%j is refused with an example of what is meant',
    (text) => {
      expect(() => parseDurationMs(text, '--for')).toThrow(HobblerError);
      expect(() => parseDurationMs(text, '--for')).toThrow(
        /^--for: (not a duration; expected such as 90s|duration too long)/,
      );
    },
  );

  it('means the sum of its parts', () => {
    const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
    const parts = fc.array(fc.tuple(fc.nat(999), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[]))), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(parts, (some) => {
        const sum = some.reduce((total, [count, unit]) => total + count * units[unit], 0);
        expect(parseDurationMs(some.map(([count, unit]) => `${count}${unit}`).join(''))).toBe(sum);
      }),
    );
  });

  it('is a config field that says what it expects', () => {
    expect(durationMs.parse('30m')).toBe(1_800_000);
    expect(durationMs.safeParse('soon').error?.issues[0]?.message).toMatch(/expected a duration such as/);
  });
});

it.each([
  [0, '0s'],
  [-5_000, '0s'],
  [59_400, '59s'],
  [59_600, '1m 00s'],
  [250_000, '4m 10s'],
  [3_900_000, '1h 05m'],
  [86_400_000, '1d 00h'],
  [180_000_000, '2d 02h'],
])('%i ms reads %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

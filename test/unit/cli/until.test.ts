/** Until when, as operators say it, in the account's own time zone. */
import { describe, expect, it } from 'vitest';
import { parseUntil } from '../../../cli/until.ts';

/** 16:00 in London, 11:00 in New York, 01:00 of the next day in Tokyo. */
const NOW_MS = Date.parse('2025-11-24T16:00:00Z');
const until = (text: string, zone = 'Europe/London') => new Date(parseUntil(text, zone, NOW_MS)).toISOString();

describe('until', () => {
  it.each([
    ['18:00', 'Europe/London', '2025-11-24T18:00:00.000Z'],
    ['16:00', 'Europe/London', '2025-11-25T16:00:00.000Z'],
    ['18:00', 'America/New_York', '2025-11-24T23:00:00.000Z'],
    ['tomorrow', 'UTC', '2025-11-25T00:00:00.000Z'],
    ['tomorrow', 'Asia/Tokyo', '2025-11-25T15:00:00.000Z'],
    ['2025-12-01T00:00Z', 'UTC', '2025-12-01T00:00:00.000Z'],
    ['2025-12-01T00:00:00+01:00', 'UTC', '2025-11-30T23:00:00.000Z'],
  ])('%s in %s is %s', (text, zone, expected) => {
    expect(until(text, zone)).toBe(expected);
  });

  it.each(['', '25:00', '6:00', 'soon', '2025-12-01', '2025-12-01T00:00:00', '1764000000000', '2025-13-01T00:00:00Z'])(
    '%j is refused',
    (text) => {
      expect(() => until(text)).toThrow('not a time');
    },
  );

  it('a time that has passed is refused', () => {
    expect(() => until('2025-11-24T15:59:59Z')).toThrow('that time has passed');
  });
});

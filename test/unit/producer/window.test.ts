/** Windows by table and by property. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resetsSchema, windowAt } from '../../../producer/window.ts';

describe('windows', () => {
  it.each([
    [{ daily: '00:00' }, '2025-11-24T16:00:00Z', '2025-11-24T00:00:00.000Z/2025-11-25T00:00:00.000Z'],
    [{ daily: '06:30' }, '2025-11-24T06:29:59Z', '2025-11-23T06:30:00.000Z/2025-11-24T06:30:00.000Z'],
    [{ daily: '06:30' }, '2025-11-24T06:30:00Z', '2025-11-24T06:30:00.000Z/2025-11-25T06:30:00.000Z'],
    [
      { every: '20s', anchor: '2025-11-24T00:00:05Z' },
      '2025-11-24T00:00:24Z',
      '2025-11-24T00:00:05.000Z/2025-11-24T00:00:25.000Z',
    ],
    [
      { every: '1h', anchor: '2026-01-01T00:30:00+00:00' },
      '2025-11-24T00:00:00Z',
      '2025-11-23T23:30:00.000Z/2025-11-24T00:30:00.000Z',
    ],
  ])('%j at %s is %s', (resets, at, id) => {
    expect(windowAt(resetsSchema.parse(resets), Date.parse(at)).id).toBe(id);
  });

  it('hold every moment, each moment in one, without gaps', () => {
    const anchor = fc.date({ min: new Date('2000-01-01'), max: new Date('2050-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(
        anchor,
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 0, max: 4e12 }),
        (from, seconds, atMs) => {
          const resets = resetsSchema.parse({ every: `${seconds}s`, anchor: from.toISOString() });
          const window = windowAt(resets, atMs);
          expect(window.startsAtMs <= atMs && atMs < window.resetsAtMs).toBe(true);
          expect(windowAt(resets, window.resetsAtMs).startsAtMs).toBe(window.resetsAtMs);
        },
      ),
    );
  });

  it.each([
    { daily: '24:00' },
    { daily: '0:00' },
    { every: '0s' },
    { every: '500ms' },
    { every: '1h', anchor: 'now' },
    {},
    null,
    'daily',
  ])('%j is refused', (resets) => {
    expect(resetsSchema.safeParse(resets).success).toBe(false);
  });
});

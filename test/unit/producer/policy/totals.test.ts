/** Running totals: what was used between two moments, whatever the order in which the counter's readings came. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TotalState } from '../../../../producer/policy/state.ts';
import { addSample, fallsBelowAt, NO_TOTAL, thin, usedInLast, usedSince } from '../../../../producer/policy/totals.ts';
import { type FixedWindow, spanAt, type Window } from '../../../../producer/policy/windows.ts';

type Reading = readonly [atMs: number, counter: number];
const collect = (readings: readonly Reading[]): TotalState =>
  readings.reduce((total, [atMs, counter]) => addSample(total, atMs, counter, atMs).total, NO_TOTAL);

/** By hand: in order of time, of two for one moment the higher, and a step backwards begins at zero. */
function grownBetween(readings: readonly Reading[], fromMs: number, toMs: number): number {
  const highest = new Map<number, number>();
  for (const [atMs, counter] of readings) highest.set(atMs, Math.max(counter, highest.get(atMs) ?? 0));
  const sorted = [...highest].filter(([atMs]) => atMs >= fromMs && atMs <= toMs).sort(([a], [b]) => a - b);
  return sorted.slice(1).reduce((sum, [, counter], index) => {
    const before = sorted[index]![1];
    return sum + (counter >= before ? counter - before : counter);
  }, 0);
}

const readings = fc.array(fc.tuple(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 0, max: 100 })), {
  minLength: 1,
  maxLength: 14,
});

describe('a running total', () => {
  it.each([
    ['nothing before the first reading counts, as nobody knows when it was used', [[10, 500]], 0],
    [
      'what it grew by',
      [
        [10, 500],
        [20, 560],
        [30, 600],
      ],
      100,
    ],
    [
      'a step backwards is a reset: it began at zero in between',
      [
        [10, 500],
        [20, 560],
        [30, 25],
        [40, 40],
      ],
      100,
    ],
    [
      'a reading that comes late, and fits',
      [
        [10, 500],
        [30, 600],
        [20, 560],
      ],
      100,
    ],
    [
      'a late reading that tells of a reset nobody saw',
      [
        [10, 500],
        [30, 600],
        [20, 10],
      ],
      600,
    ],
    [
      'a late reading from before a reset',
      [
        [10, 500],
        [30, 25],
        [20, 560],
      ],
      85,
    ],
    [
      'a late reading from before all others',
      [
        [20, 560],
        [30, 600],
        [10, 500],
      ],
      100,
    ],
    [
      'the same reading twice',
      [
        [10, 500],
        [20, 560],
        [20, 560],
      ],
      60,
    ],
    [
      'two for the same moment: the higher one',
      [
        [10, 500],
        [20, 560],
        [20, 570],
        [20, 550],
      ],
      70,
    ],
  ] as [string, Reading[], number][])('%s', (_title, given, used) => {
    expect(usedSince(collect(given), 0)).toBe(used);
  });

  it('comes to the same in whatever order its readings come', () => {
    const shuffled = readings.chain((given) =>
      fc.tuple(fc.constant(given), fc.shuffledSubarray(given, { minLength: given.length })),
    );
    fc.assert(
      fc.property(shuffled, ([given, other]) => {
        expect(collect(other).samples).toEqual(collect(given).samples);
      }),
    );
  });

  it('comes to what one would add up by hand', () => {
    fc.assert(
      fc.property(readings, fc.integer({ min: 0, max: 500 }), (given, fromMs) => {
        expect(usedSince(collect(given), fromMs)).toBe(grownBetween(given, fromMs, 500));
      }),
    );
  });

  it('says of a step backwards where it was, and of a late reading that it is one', () => {
    const total = collect([
      [10, 500],
      [20, 560],
    ]);
    expect(addSample(total, 30, 25, 30)).toMatchObject({ reset: { from: 560, to: 25 }, isLate: false });
    expect(addSample(total, 30, 25, 30).total.lastReset).toEqual({ atMs: 30, from: 560, to: 25 });
    expect(addSample(total, 15, 530, 30)).toMatchObject({ reset: null, isLate: true });
  });
});

describe('a rolling window over it', () => {
  const total = collect([
    [0, 0],
    [1_000, 60],
    [2_000, 100],
    [3_000, 200],
  ]);

  it('counts what is known to lie in it: from its first reading on', () => {
    expect(usedInLast(total, 10_000, 3_000)).toBe(200);
    expect(usedInLast(total, 2_500, 3_000)).toBe(140);
    expect(usedInLast(total, 2_000, 2_999)).toBe(140);
    expect(usedInLast(total, 2_000, 3_000)).toBe(100);
    expect(usedInLast(total, 2_000, 9_000)).toBe(0);
  });

  it('falls below a figure exactly when it says', () => {
    fc.assert(
      fc.property(
        readings,
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 400 }),
        (given, threshold, lengthMs) => {
          const sum = collect(given);
          const atMs = fallsBelowAt(sum, lengthMs, threshold);
          const lastMs = sum.samples.at(-1)![0];
          const isBelow = (nowMs: number) => {
            const used = usedInLast(sum, lengthMs, nowMs);
            return used === 0 || used < threshold;
          };
          expect(isBelow(Math.max(atMs, lastMs))).toBe(true);
          if (atMs > lastMs) expect(isBelow(atMs - 1)).toBe(false);
        },
      ),
    );
  });
});

describe('readings that no window needs', () => {
  const HOUR_MS = 3_600_000;
  const DAILY: FixedWindow = { kind: 'daily', minuteOfDay: 17, zone: 'UTC' };
  const windows: Window[] = [
    { kind: 'rolling', lengthMs: HOUR_MS },
    { kind: 'rolling', lengthMs: 24 * HOUR_MS },
    DAILY,
  ];

  it('are dropped, so that it stays small for good, and no more than a slot of a window goes uncounted', () => {
    const steps = fc.array(
      fc.record({ afterMs: fc.integer({ min: 1_000, max: 400_000 }), used: fc.nat(50), isReset: fc.boolean() }),
      {
        minLength: 300,
        maxLength: 600,
      },
    );
    fc.assert(
      fc.property(steps, (given) => {
        let [nowMs, counter, total] = [Date.parse('2025-11-24T00:00:00Z'), 0, NO_TOTAL];
        const all: Reading[] = [];
        for (const { afterMs, used, isReset } of given) {
          nowMs += afterMs;
          counter = isReset && used % 7 === 0 ? used : counter + used;
          all.push([nowMs, counter]);
          total = thin(addSample(total, nowMs, counter, nowMs).total, windows, nowMs);
        }
        expect(total.samples.length).toBeLessThanOrEqual(2 * 33 + 1 + 2 * 8);
        for (const lengthMs of [HOUR_MS, 24 * HOUR_MS]) {
          const whole = grownBetween(all, nowMs - lengthMs + 1, nowMs);
          const slotMs = lengthMs / 32;
          expect(usedInLast(total, lengthMs, nowMs)).toBeLessThanOrEqual(whole);
          expect(usedInLast(total, lengthMs, nowMs)).toBeGreaterThanOrEqual(
            grownBetween(all, nowMs - lengthMs + 1 + slotMs, nowMs),
          );
        }
        const { startsAtMs } = spanAt(DAILY, nowMs);
        expect(usedSince(total, startsAtMs)).toBe(grownBetween(all, startsAtMs, nowMs));
      }),
      { numRuns: 30 },
    );
  });

  it('a late one between two that were kept never makes less of what had grown', () => {
    const total: TotalState = {
      samples: [
        [0, 100, 0],
        [100, 60, 110],
      ],
      heardAtMs: 100,
      lastReset: null,
    };
    expect(usedSince(addSample(total, 50, 120, 100).total, 0)).toBe(110);
    expect(usedSince(addSample(total, 50, 200, 100).total, 0)).toBe(160);
  });
});

/** Medians, percentiles, spreads and the order of chance. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, percentile, shuffled, spreadOf } from '../../../bench/statistics.ts';

describe('the median', () => {
  it('is the value in the middle, or the mean of the two', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  it('of nothing is not a number, and no zero', () => {
    expect(median([])).toBeNaN();
    expect(spreadOf([])).toBeUndefined();
  });
});

describe('a percentile', () => {
  it('is a value that was measured, by nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0, 1, 50, 99, 100].map((percent) => percentile(values, percent))).toEqual([1, 1, 50, 99, 100]);
    expect(percentile([7], 99)).toBe(7);
    expect(percentile([], 50)).toBeNaN();
  });
});

describe('a spread', () => {
  it('has median, least and most, and leaves out what could not be read', () => {
    expect(spreadOf([3, Number.NaN, 1, 2])).toEqual({ median: 2, least: 1, most: 3 });
  });
});

describe('the order of chance', () => {
  it('keeps every item once and leaves the list as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), (items) => {
        const before = [...items];
        expect(shuffled(items).toSorted()).toEqual(before.toSorted());
        expect(items).toEqual(before);
      }),
    );
  });

  it('can put every item at every place', () => {
    const firsts = new Set<string>();
    for (const chance of [0, 0.2, 0.4, 0.6, 0.8, 0.99]) firsts.add(shuffled(['a', 'b', 'c'], () => chance).join(''));
    expect(firsts.size).toBeGreaterThan(2);
  });
});

/** The judgement of the demo, on made-up plays: it must fail whenever a promise was not kept, and when nothing was seen. */
import { describe, expect, test } from 'vitest';
import { judgeRates, phaseMs, phaseOf, type Rates, ratesOf, type Sample, whyAgain } from '../../../demo/story.ts';

/** A demo second by second: who is hobbled when, and how fast ann and bob work then. */
function play(seconds: { isHobbled: boolean; ann: number; bob: number; other?: number }[]): Sample[] {
  let [ann, bob, other] = [0, 0, 0];
  return seconds.map((second, index) => {
    ann += second.ann;
    bob += second.bob;
    other += second.other ?? 0;
    return {
      atMs: index * 1_000,
      isHobbled: second.isHobbled,
      units: { ann, bob },
      cpuSeconds: { ann: ann / 100, bob: bob / 100 },
      otherSeconds: other,
    };
  });
}
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);
const free = { isHobbled: false, ann: 100, bob: 20 };
const under = { isHobbled: true, ann: 5, bob: 20 };
const whole = play([...times(6, free), ...times(10, under), ...times(5, free)]);
const judged = (samples: Sample[]) => {
  const rates: Record<string, Rates> = { ann: ratesOf(samples, 'ann'), bob: ratesOf(samples, 'bob') };
  return judgeRates('ann', ['bob'], rates);
};
const kept = (samples: Sample[]) => judged(samples).map(({ isKept }) => isKept);

describe('the demo keeps its promises', () => {
  test('when the greedy account falls to a twentieth, alone, and comes back', () => {
    expect(kept(whole)).toEqual([true, true, true]);
    expect(ratesOf(whole, 'ann').under).toEqual({ unitsPerSecond: 5, cpuRatio: expect.closeTo(0.05), overMs: 8_000 });
  });

  test('and not when nothing slows down', () => {
    expect(kept(play([...times(6, free), ...times(10, { ...under, ann: 100 }), ...times(5, free)]))[0]).toBe(false);
  });

  test('nor when it is stopped for good', () => {
    expect(kept(play([...times(6, free), ...times(10, { ...under, ann: 0 }), ...times(5, free)]))[0]).toBe(false);
  });

  test('nor when another one suffers with it', () => {
    expect(kept(play([...times(6, free), ...times(10, { ...under, bob: 10 }), ...times(5, free)]))[1]).toBe(false);
  });

  test('nor when it does not come back', () => {
    expect(kept(play([...times(6, free), ...times(10, under), ...times(5, { ...free, ann: 5 })]))[2]).toBe(false);
  });

  test('what was never seen is not kept', () => {
    expect(kept(play(times(30, free)))).toEqual([false, false, false]);
    expect(kept([])).toEqual([false, false, false]);
  });
});

describe('phases', () => {
  test('a second tarpit is of no phase', () => {
    const phases = phaseOf(play([free, under, free, under, free]));
    expect(phases).toEqual(['before', 'under', 'after', null, null]);
    expect(phaseMs(whole, 'after')).toBe(4_000);
  });

  test('a cycle that other work spoilt is played again, one that failed on a quiet machine is not', () => {
    const slow = { ...under, bob: 5 };
    const quiet = play([...times(6, free), ...times(10, slow), ...times(5, free)]);
    const busy = play([...times(6, free), ...times(10, { ...slow, other: 1 }), ...times(5, free)]);
    expect(whyAgain(whole, judged(whole))).toBeNull();
    expect(whyAgain(quiet, judged(quiet))).toBeNull();
    expect(whyAgain(busy, judged(busy))).toMatch(/other work took 0\.5 cores/);
  });

  test('is put off where the machine itself became slower: the same CPU, less work', () => {
    // As a throttled clock or a neighbour on the same host does it.
    const throttled = whole.map((sample, index) => {
      const sinceAfter = Math.max(0, index - 15);
      return { ...sample, units: { ...sample.units, ann: sample.units.ann! - sinceAfter * 40 } };
    });
    expect(judged(throttled).every(({ isKept }) => isKept)).toBe(false);
    expect(whyAgain(throttled, judged(throttled))).toMatch(/a CPU second of this machine did 60 % of the work/);
  });
});

/** The rule by which the idle are spared: what it gives away at most, and that it gives in to nobody. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Idleness } from '../../../worker/engine/idleness.ts';

const CAP = 10 / 210;
const second = { sinceMs: 1_000 };
const idle = { usedRatio: 0, isRunnable: false, ...second };
const burst = { usedRatio: 1, isRunnable: true, ...second };

test('two idle samples in a row spare; one over the cap cycles again', () => {
  const idleness = new Idleness();
  expect([idle, idle].map((sample) => idleness.take(sample, CAP))).toEqual([false, true]);
  expect(idleness.take({ usedRatio: CAP, isRunnable: true, ...second }, CAP)).toBe(true);
  expect(idleness.take(burst, CAP)).toBe(false);
});

test('a runnable process is not idle however little it got', () => {
  const idleness = new Idleness();
  for (let sample = 0; sample < 100; sample++)
    expect(idleness.take({ usedRatio: 0.001, isRunnable: true, ...second }, CAP)).toBe(false);
});

test('whatever a target does, what it gains over its cap is a few samples and then less than one a minute', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 80 }), { minLength: 1, maxLength: 60 }), (waits) => {
      const idleness = new Idleness();
      let gained = 0;
      let samples = 0;
      // The cheat: idle until spared and as long as it likes, then a sample at full speed, again and again.
      for (const wait of waits) {
        for (let sample = 0; sample < wait; sample++, samples++) idleness.take(idle, CAP);
        if (idleness.isSpared) gained++;
        idleness.take(idleness.isSpared ? burst : { usedRatio: CAP, isRunnable: true, ...second }, CAP);
        samples++;
      }
      expect(gained).toBeLessThanOrEqual(6 + samples / 60);
    }),
  );
});

test('who waits for a core matters only for one who would be spared otherwise', () => {
  const idleness = new Idleness();
  expect([0, CAP * 0.4, CAP * 0.6, 1].map((usedRatio) => idleness.needsProof(usedRatio, CAP))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  idleness.take(idle, CAP);
  idleness.take(idle, CAP);
  expect(idleness.needsProof(0, CAP)).toBe(false);
});

test('who is runnable at every look is cycled again, though no CPU of his can be seen', () => {
  const idleness = new Idleness();
  idleness.take(idle, CAP);
  idleness.take(idle, CAP);
  const unseen = { usedRatio: 0, isRunnable: true, ...second };
  expect([unseen, unseen, idle, unseen, unseen, unseen].map((sample) => idleness.take(sample, CAP))).toEqual([
    true,
    true,
    true,
    true,
    true,
    false,
  ]);
});

describe('what was left unused', () => {
  const spared = () => {
    const idleness = new Idleness();
    idleness.take(idle, CAP);
    idleness.take(idle, CAP);
    return idleness;
  };

  test('grows by the share that was not used, over samples of any length', () => {
    const idleness = spared();
    expect(idleness.unusedMs).toBe(0);
    idleness.take({ usedRatio: 0, isRunnable: false, sinceMs: 5_000 }, CAP);
    idleness.take({ usedRatio: CAP / 2, isRunnable: false, sinceMs: 1_000 }, CAP);
    expect(idleness.unusedMs).toBeCloseTo(CAP * 5_500);
  });

  test('is forgotten by who went over, and by who may have worked unseen', () => {
    for (const doubtful of [burst, { usedRatio: 0, isRunnable: true, ...second }]) {
      const idleness = spared();
      idleness.take({ usedRatio: 0, isRunnable: false, sinceMs: 60_000 }, CAP);
      idleness.take(doubtful, CAP);
      expect(idleness.unusedMs).toBe(0);
    }
  });

  test('is never less than what one sample of that length lets through, so nobody gets more than his cap by it', () => {
    const cores = 2;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 400 }), (percents) => {
        const idleness = spared();
        let used = 0;
        let elapsed = 0;
        for (const percent of percents) {
          if (!idleness.isSpared) return;
          const sinceMs = Math.max(1_000, Math.min(5_000, idleness.unusedMs / cores));
          const usedRatio = percent < 90 ? (CAP * percent) / 100 : cores;
          used += usedRatio * sinceMs;
          elapsed += sinceMs;
          idleness.take({ usedRatio, isRunnable: false, sinceMs }, CAP);
        }
        // One sample's worth, of a second, beyond the cap: what sparing costs anyhow.
        expect(used).toBeLessThanOrEqual(CAP * elapsed + cores * 1_000);
      }),
    );
  });
});

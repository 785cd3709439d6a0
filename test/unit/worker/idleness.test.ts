/** The rule by which the idle are spared: what it gives away at most, and that it gives in to nobody. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Idleness } from '../../../worker/engine/idleness.ts';

const CAP = 10 / 210;
const idle = { usedRatio: 0, isRunnable: false };
const burst = { usedRatio: 1, isRunnable: true };

test('two idle samples in a row spare; one over the cap cycles again', () => {
  const idleness = new Idleness();
  expect([idle, idle].map((sample) => idleness.take(sample, CAP))).toEqual([false, true]);
  expect(idleness.take({ usedRatio: CAP, isRunnable: true }, CAP)).toBe(true);
  expect(idleness.take(burst, CAP)).toBe(false);
});

test('a runnable process is not idle however little it got', () => {
  const idleness = new Idleness();
  for (let sample = 0; sample < 100; sample++)
    expect(idleness.take({ usedRatio: 0.001, isRunnable: true }, CAP)).toBe(false);
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
        idleness.take(idleness.isSpared ? burst : { usedRatio: CAP, isRunnable: true }, CAP);
        samples++;
      }
      expect(gained).toBeLessThanOrEqual(6 + samples / 60);
    }),
  );
});

test('who is runnable at every look is cycled again, though no CPU of his can be seen', () => {
  const idleness = new Idleness();
  idleness.take(idle, CAP);
  idleness.take(idle, CAP);
  const unseen = { usedRatio: 0, isRunnable: true };
  expect([unseen, unseen, idle, unseen, unseen, unseen].map((sample) => idleness.take(sample, CAP))).toEqual([
    true,
    true,
    true,
    true,
    true,
    false,
  ]);
});

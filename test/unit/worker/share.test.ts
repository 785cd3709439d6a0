/** What a target used before: over the life of each process, and unknown rather than zero (invariant 9). */
import { expect, it } from 'vitest';
import { shareSoFar } from '../../../worker/engine/share.ts';

const NOW = 10_000;

it('adds up what each had of a core in its life', () => {
  const half = { startTicks: NOW - 1_000, ownTicks: 500 };
  const quarter = { startTicks: NOW - 400, ownTicks: 100 };
  expect(shareSoFar([half, quarter], NOW)).toBe(0.75);
});

it('is not known of nobody, and of who was only just born', () => {
  expect(shareSoFar([], NOW)).toBeNull();
  expect(shareSoFar([{ startTicks: NOW - 5, ownTicks: 5 }], NOW)).toBeNull();
  expect(shareSoFar([{ startTicks: NOW - 1_000, ownTicks: 0 }], NOW)).toBe(0);
});

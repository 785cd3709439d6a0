/**
 * Random histories in the simulated world, with the model and the checker that real parts are held to (invariants 1 to 3
 * and 8). A few of them here; `npm run test:faults` plays ten thousand.
 */
import { expect, it } from 'vitest';
import { playSimulated } from '../../support/faults/simulated-run.ts';
import { newFigures } from '../../support/faults/world.ts';

const HISTORIES = 200;

it('after any history the host does what the newest orders say, and whenever it may stop nobody, nobody is stopped', {
  timeout: 120_000,
}, async () => {
  const figures = newFigures();
  const seed = Math.floor(Math.random() * 2 ** 31); // fast-check says it when one fails
  await playSimulated({ histories: HISTORIES, steps: 16, seed, figures });
  expect(figures.histories).toBe(HISTORIES);
  expect(figures.releasesMs.get('worker hung')!.length).toBeGreaterThan(0);
});

/**
 * Random histories on real parts: a real Redis, a real worker with its guard, real processes, and all of them killed, hung
 * and brought back while orders come in. Some of them here; `npm run test:faults -- --real 500` plays as many as wanted.
 * A failure prints its seed and the smallest history that was found to fail.
 */
import { afterAll, expect, test } from 'vitest';
import { figuresTable } from '../support/faults/figures.ts';
import { playReal } from '../support/faults/real-run.ts';
import { newFigures } from '../support/faults/world.ts';

const HISTORIES = 30;
const figures = newFigures();
afterAll(() => console.log(figuresTable('real parts', figures)));

test('after any history the newest orders are what is done, nobody stays stopped, and no stranger was signalled', {
  timeout: 900_000,
}, async () => {
  const seed = Math.floor(Math.random() * 2 ** 31); // fast-check says it when one fails
  await playReal({ histories: HISTORIES, steps: 12, seed, figures });
  expect(figures.histories).toBe(HISTORIES);
  expect(figures.signals).toBeGreaterThan(0);
});

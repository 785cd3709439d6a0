/** Two producers, each killed in turn: whatever dies when, a reading that was acknowledged leads to the right end state. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ProducersWorld, playProducers } from '../support/faults/producers.ts';

const HISTORIES = 6;

let world: ProducersWorld;
beforeAll(async () => {
  world = await ProducersWorld.open();
});
afterAll(() => world.close());

test('of two producers that are killed in turn none loses a reading, and both agree on who is in', {
  timeout: 300_000,
}, async () => {
  await playProducers(world, HISTORIES, Math.floor(Math.random() * 2 ** 31));
  expect(world.kills).toBeGreaterThan(0);
  expect(world.readings).toBeGreaterThan(HISTORIES);
});

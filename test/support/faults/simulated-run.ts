/** Runs histories in the simulated world, a new one for each. */
import fc from 'fast-check';
import { anyHistory } from './history.ts';
import { play } from './play.ts';
import { SimulatedWorld } from './simulated-world.ts';
import type { Figures } from './world.ts';

export interface SimulatedRunOptions {
  histories: number;
  steps: number;
  seed: number;
  figures: Figures;
}

/** Plays so many histories. Throws with the smallest one that was found to fail. */
export async function playSimulated({ histories, steps, seed, figures }: SimulatedRunOptions): Promise<void> {
  const property = fc.asyncProperty(anyHistory(steps), async (history) => {
    const world = new SimulatedWorld();
    try {
      await play(history, world, figures);
    } finally {
      await world.close();
    }
  });
  await fc.assert(property, { numRuns: histories, seed, includeErrorInReport: true });
}

/** Runs histories on real parts: a world for many of them, a new one after a failure, every third under strace. */
import fc from 'fast-check';
import { anyHistory } from './history.ts';
import { play } from './play.ts';
import { RealWorld } from './real-world.ts';
import type { Figures } from './world.ts';

/** After so many histories a world is replaced, so that what adds up in one is seen at its end. */
const HISTORIES_PER_WORLD = 12;
/** Of so many worlds, one is looked at through strace, which slows it down. */
const TRACED_ONE_IN = 3;
/** A failing history is made smaller for so long. */
const SHRINK_LIMIT_MS = 10_000;

export interface RealRunOptions {
  histories: number;
  /** Most steps of a history. */
  steps: number;
  seed: number;
  figures: Figures;
  /** Enough after so many milliseconds, however many were played by then. */
  limitMs?: number | undefined;
  /** Told after each history. */
  onHistory?: (done: number) => void;
}

/** Plays so many histories. Throws with the smallest one that was found to fail. */
export async function playReal({ histories, steps, seed, figures, limitMs, onHistory }: RealRunOptions): Promise<void> {
  let world: RealWorld | undefined;
  let worlds = 0;
  let played = 0;
  let failedAtMs: number | undefined;
  const closeWorld = async () => {
    const old = world;
    world = undefined;
    if (old) figures.signals += old.signals;
    await old?.close();
  };
  const property = fc.asyncProperty(anyHistory(steps), async (history) => {
    if (failedAtMs !== undefined && performance.now() - failedAtMs > SHRINK_LIMIT_MS) return; // small enough
    world ??= await RealWorld.open({ isTraced: worlds++ % TRACED_ONE_IN === 0 });
    try {
      await play(history, world, figures);
      if (++played % HISTORIES_PER_WORLD === 0) await closeWorld();
      if (failedAtMs === undefined) onHistory?.(played);
    } catch (error) {
      failedAtMs ??= performance.now();
      await closeWorld().catch((closing: Error) => {
        (error as Error).message += `\n  and at the end of that world: ${closing.message}`;
      });
      throw error;
    }
  });
  try {
    const limit = limitMs === undefined ? {} : { interruptAfterTimeLimit: limitMs };
    await fc.assert(property, { numRuns: histories, seed, includeErrorInReport: true, ...limit });
  } finally {
    await closeWorld();
  }
}

/**
 * When targets are over by themselves: a pid target whose last process has ended. Others stay armed until they expire.
 * Looked at after every pass, and once for all loops that a tick finds empty: ten thousand may end together. What becomes
 * of one that is over is the engine's affair.
 */
import type { Clock } from '../../shared/clock.ts';
import type { HobbleLoop } from './loop.ts';

export interface GoneParts {
  clock: Clock;
  loops: ReadonlyMap<string, HobbleLoop>;
  onGone: (loop: HobbleLoop) => void;
}

export class Gone {
  readonly #parts: GoneParts;
  #isSoon = false;

  constructor(parts: GoneParts) {
    this.#parts = parts;
  }

  look(): void {
    const { loops, onGone } = this.#parts;
    for (const loop of [...loops.values()]) if (loop.scope.kind === 'tree' && !loop.hasLiving) onGone(loop);
  }

  /** After the tick, which goes over the loops. */
  lookSoon(): void {
    if (this.#isSoon) return;
    this.#isSoon = true;
    this.#parts.clock.after(0, () => {
      this.#isSoon = false;
      this.look();
    });
  }
}

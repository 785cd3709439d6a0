/**
 * Chases the births of a group that is being stopped. Who forks meanwhile has children that run on, and they have some;
 * and who is sent its stop in the middle of a fork finishes that first, when it gets a core. So births are looked at
 * before the stops and right after them, round by round, each of which takes less time than its births took; and, where
 * somebody hobbled forks, every now and then for the length of a usual stop phase. Where nobody does it is two looks of a
 * microsecond.
 */
import type { Clock, Timer } from '../../shared/clock.ts';
import type { Births } from './membership.ts';
import { GAP_MS } from './scheduler.ts';

export interface BirthSource {
  /** Looks at the births since the last look; those in a stop phase are stopped by that. */
  take(): Births;
  /** Pids were given out that do not show a process yet. */
  awaits(): boolean;
}

/** Rounds in one go: past them a bomb is too fast for this, and it goes on a little later. */
const MOST_ROUNDS = 8;
/** When it looks again, milliseconds after the look before, while nobody was found: 195 in all. */
const AGAIN_AFTER_MS = [5, 10, 20, 20, 20, 20, 20, 20, 20, 20, 20];

export class BirthChase {
  readonly #clock: Clock;
  readonly #births: BirthSource;
  #timer: Timer | undefined;
  #isForking = false;
  #quietLooks = 0;

  constructor(clock: Clock, births: BirthSource) {
    this.#clock = clock;
    this.#births = births;
  }

  /** To be called right before stops are sent. */
  before(): void {
    this.#isForking = this.#births.take() !== 'none';
  }

  /** To be called right after. */
  after(): void {
    if (!this.#look() && !this.#isForking) return;
    this.#quietLooks = 0;
    this.#again();
  }

  #again(): void {
    const afterMs = AGAIN_AFTER_MS[this.#quietLooks];
    if (afterMs === undefined) return;
    const dueAtMs = this.#clock.monotonicMs() + afterMs;
    this.#timer ??= this.#clock.after(afterMs, () => {
      this.#timer = undefined;
      // Away for so long, nothing may be stopped before all is looked at anew (invariant 1): the next tick sees to that.
      if (this.#clock.monotonicMs() - dueAtMs > GAP_MS) return;
      this.#quietLooks = this.#look() ? 0 : this.#quietLooks + 1;
      this.#again();
    });
  }

  /** Round by round, until nobody new is there. Returns whether anybody had to be stopped. */
  #look(): boolean {
    let found = false;
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const isStopped = this.#births.take() === 'stopped';
      found ||= isStopped;
      if (!isStopped && !this.#births.awaits()) break;
    }
    return found;
  }
}

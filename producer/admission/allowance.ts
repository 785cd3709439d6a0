/**
 * How much one sender may send in a minute: a bucket that fills evenly and holds a minute's worth, so that bursts are
 * fine and a flood is not. Counts readings rather than requests, which are counted elsewhere. Knows no sender by name.
 */
import type { Clock } from '../../shared/clock.ts';
import { TooMuch } from './too-much.ts';

const MINUTE_MS = 60_000;

export class Allowance {
  readonly #perMinute: number;
  readonly #clock: Clock;
  #left: number;
  #atMs: number;

  constructor(perMinute: number, clock: Clock) {
    this.#perMinute = perMinute;
    this.#clock = clock;
    this.#left = perMinute;
    this.#atMs = clock.monotonicMs();
  }

  /**
   * Takes so many out. Throws TooMuch, and takes none, when they are not there. A batch that is larger than a whole
   * minute's worth waits for a full bucket and leaves a debt, so that it is not refused for ever.
   */
  take(count: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#left = Math.min(this.#perMinute, this.#left + ((nowMs - this.#atMs) * this.#perMinute) / MINUTE_MS);
    this.#atMs = nowMs;
    const missing = Math.min(count, this.#perMinute) - this.#left;
    if (missing > 0) {
      throw new TooMuch(
        `more than ${this.#perMinute} readings of this sender in a minute`,
        (missing * MINUTE_MS) / this.#perMinute,
        { got: count },
      );
    }
    this.#left -= count;
  }
}

/**
 * CPU over the last looks: what share of one core it comes to. Pure. There are ten thousand of these, each filled every second
 * and kept for long, so it makes no garbage: what is made for seconds only would be collected as if it were made for ever.
 */
import { TICKS_PER_SECOND } from '../process/stat.ts';

/** Looks that the share is measured between. */
const POINTS = 6;
/** Looks nearer to each other than this say nothing, milliseconds. */
const SHORTEST_MS = 450;

export class UsageWindow {
  /** Rings, filled in turn. */
  readonly #atMs: number[] = [];
  readonly #totalTicks: number[] = [];
  #newest = -1;

  /** Notes that up to `atMs` this many ticks were used in all. */
  add(atMs: number, totalTicks: number): void {
    this.#newest = (this.#newest + 1) % POINTS;
    this.#atMs[this.#newest] = atMs;
    this.#totalTicks[this.#newest] = totalTicks;
  }

  /** CPU share of one core; null while too little was seen. */
  get ratio(): number | null {
    if (this.#newest < 0) return null;
    const oldest = this.#atMs.length < POINTS ? 0 : (this.#newest + 1) % POINTS;
    const overMs = this.#atMs[this.#newest]! - this.#atMs[oldest]!;
    if (overMs < SHORTEST_MS) return null;
    return (this.#totalTicks[this.#newest]! - this.#totalTicks[oldest]!) / TICKS_PER_SECOND / (overMs / 1_000);
  }
}

/**
 * What there was to say of a loop at its last look. Most looks, of ten thousand targets that sleep, find what the one before
 * found: then nobody has to work out a report. Pure.
 */
import type { Group } from '../mechanisms/group.ts';

export class Said {
  #size = -1;
  #notPermitted = 0;
  #foreign = 0;
  #gotRatio: number | null = null;
  #why: string | null = null;
  #inForceWhy = '';
  #isWhole = true;

  /** Notes what there is to say now, of what a look can change; true when it is not the same as before. */
  differs({ size, notPermitted, foreign, inForce }: Group, gotRatio: number | null, why: string | null): boolean {
    if (
      size === this.#size &&
      notPermitted === this.#notPermitted &&
      foreign === this.#foreign &&
      gotRatio === this.#gotRatio &&
      why === this.#why &&
      inForce.why === this.#inForceWhy
    )
      return false;
    this.#size = size;
    this.#notPermitted = notPermitted;
    this.#foreign = foreign;
    this.#gotRatio = gotRatio;
    this.#why = why;
    this.#inForceWhy = inForce.why;
    return true;
  }

  /** The same for a stop, between two looks: true unless all of its processes were stopped, as at the stop before. */
  mayDiffer(isWhole: boolean): boolean {
    const wasWhole = this.#isWhole;
    this.#isWhole = isWhole;
    return !isWhole || !wasWhole;
  }
}

/**
 * Bytes of requests that are in memory at one time. A body is paid for before it is read, by what its head announces,
 * and until what came of it is answered: so many senders at once are told to come back before memory grows.
 */
import { TooMuch } from './too-much.ts';

/** A body takes no longer than a pass or two. */
const RETRY_AFTER_MS = 1_000;

export class BodyBudget {
  readonly #maxBytes: number;
  #taken = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get takenBytes(): number {
    return this.#taken;
  }

  /** Takes so many bytes; returns what gives them back, once however often it is called. Throws TooMuch when they are not there. */
  take(bytes: number): () => void {
    if (this.#taken > 0 && this.#taken + bytes > this.#maxBytes) {
      throw new TooMuch('too much is being read already', RETRY_AFTER_MS, { got: this.#taken });
    }
    this.#taken += bytes;
    let isGiven = false;
    return () => {
      if (!isGiven) this.#taken -= bytes;
      isGiven = true;
    };
  }
}

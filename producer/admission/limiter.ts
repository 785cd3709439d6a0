/**
 * So many at a time, the rest in a bounded queue, the urgent first: for whatever stands behind a door that would suffer
 * from all at once. For queries to an upstream server (20 of 300 ms, 10 at a time, take 0.6 s and not 6) as for turns at
 * the judging (one at a time). Owns order and bounds, by p-queue; knows nothing of what is run.
 *
 * A slow one holds up nobody but its own place: with `timeoutMs` the place is free again when the time is over, even if
 * the work does not heed its signal. Give `fetch` that signal, so that it does.
 */
import PQueue from 'p-queue';
import { TooMuch } from './too-much.ts';

/** Who goes first. What is equal goes in the order in which it came. */
export const URGENCY = {
  /** What a person has said. */
  operator: 3,
  /** What lets somebody go. */
  untarpit: 2,
  tarpit: 1,
  /** What can wait, such as looking again. Readings that come without end would hold it up for ever: use it for what may be. */
  background: 0,
} as const;
export type Urgency = keyof typeof URGENCY;

export interface LimiterOptions {
  /** How many run at a time, from 1. */
  concurrency: number;
  /** How many may wait besides; more are refused with TooMuch. */
  maxWaiting: number;
  /** How long one may run, milliseconds; absent: as long as it takes. */
  timeoutMs?: number;
  /** For messages: what is waited for, such as `queries to Prometheus`. */
  what: string;
}

export interface RunOptions {
  urgency?: Urgency;
  /** Takes it out of the queue, or frees its place; `run` rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** What is said to come back after, when nothing is known of how fast it goes. */
const RETRY_AFTER_MS = 1_000;

export class Limiter {
  readonly #queue: PQueue;
  readonly #maxWaiting: number;
  readonly #what: string;

  constructor({ concurrency, maxWaiting, timeoutMs, what }: LimiterOptions) {
    this.#queue = new PQueue({ concurrency, ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }) });
    this.#maxWaiting = maxWaiting;
    this.#what = what;
  }

  /** How many wait, those that run not counted. */
  get waiting(): number {
    return this.#queue.size;
  }

  get running(): number {
    return this.#queue.pending;
  }

  /**
   * Runs `work` when its turn has come, and returns what it returns. `work` is given a signal that is aborted when its
   * time is over or the caller's own signal is. Rejects with TooMuch when too many wait, with a TimeoutError
   * (DOMException) when it took too long, and with whatever `work` rejects with.
   */
  async run<T>(
    work: (signal: AbortSignal | undefined) => Promise<T>,
    { urgency = 'tarpit', signal }: RunOptions = {},
  ): Promise<T> {
    if (this.#queue.size >= this.#maxWaiting && this.#queue.isSaturated) {
      throw new TooMuch(`too many ${this.#what} wait`, RETRY_AFTER_MS, { got: this.#queue.size });
    }
    return this.#queue.add(({ signal: own }) => work(own), {
      priority: URGENCY[urgency],
      ...(signal ? { signal } : {}),
    });
  }
}

/**
 * Loops without phases: a quota holds by itself, and who is spared needs no signals. Each is looked at once a second (less
 * often where the budget wants that), a batch at a time, so that ten thousand of them do not hold up the phases of the others. Suspended and resumed with the
 * scheduler, which keeps those. Owns the timer; what a look does is the loop's affair.
 */
import type { Clock, Timer } from '../../shared/clock.ts';
import { GAP_MS, type Phased } from './scheduler.ts';

/** How often each loop is looked at, milliseconds. */
const LOOK_EVERY_MS = 1_000;
/** Loops in a batch: a look at a loop of one process takes 4 µs. */
const PER_BATCH = 256;

export interface SteadyEvents {
  /** Before a batch is looked at: the moment to look for births. */
  beforeLook(): unknown;
  onGap(gapMs: number): void;
}

export class Steady<Loop extends Phased> {
  readonly #clock: Clock;
  readonly #events: SteadyEvents;
  /** Taken in turn, all of them within LOOK_EVERY_MS. */
  #batches: Set<Loop>[] = [];
  #turn = 0;
  readonly #batchOf = new Map<Loop, Set<Loop>>();
  #timer: Timer | undefined;
  #dueAtMs = 0;
  #suspended = false;
  /** By how much looks are further apart than a second: as periods are, to keep the budget. */
  stretch = 1;

  constructor(clock: Clock, events: SteadyEvents) {
    this.#clock = clock;
    this.#events = events;
  }

  /** Adds a loop, and looks at it at once. */
  add(loop: Loop): void {
    let batch = this.#batches.find(({ size }) => size < PER_BATCH);
    if (!batch) {
      batch = new Set();
      this.#batches.push(batch);
    }
    batch.add(loop);
    this.#batchOf.set(loop, batch);
    this.#look([loop]);
    this.#arm();
  }

  /** Removes a loop, leaving it in its run phase. */
  remove(loop: Loop): void {
    const batch = this.#batchOf.get(loop);
    if (!batch) return;
    this.#batchOf.delete(loop);
    batch.delete(loop);
    loop.enterRun();
    if (batch.size === 0) this.#batches = this.#batches.filter((other) => other !== batch);
    if (this.#batches.length === 0) this.#disarm();
  }

  suspend(): void {
    this.#suspended = true;
    this.#disarm();
    for (const loop of this.#batchOf.keys()) loop.enterRun();
  }

  resume(): void {
    this.#suspended = false;
    for (const batch of this.#batches) this.#look(batch);
    this.#arm();
  }

  #arm(): void {
    if (this.#timer || this.#suspended || this.#batches.length === 0) return;
    const everyMs = (LOOK_EVERY_MS * this.stretch) / this.#batches.length;
    const nowMs = this.#clock.monotonicMs();
    // On the grid of whatever else is regular (Clock.every): a worker that has little to do is woken seldom.
    this.#dueAtMs = Math.ceil((nowMs + everyMs / 2) / everyMs) * everyMs;
    this.#timer = this.#clock.after(this.#dueAtMs - nowMs, () => this.#tick());
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #tick(): void {
    this.#timer = undefined;
    const lateMs = this.#clock.monotonicMs() - this.#dueAtMs;
    if (lateMs > GAP_MS) {
      this.suspend();
      this.#events.onGap(lateMs);
      return;
    }
    this.#events.beforeLook();
    this.#turn = (this.#turn + 1) % Math.max(1, this.#batches.length);
    this.#look(this.#batches[this.#turn] ?? []);
    this.#arm();
  }

  /** A loop may suspend everything from within (the journal is full): whoever comes after it stays lifted. */
  #look(loops: Iterable<Loop>): void {
    for (const loop of loops) {
      if (this.#suspended) return;
      loop.enterStop();
      if (this.#suspended) loop.enterRun();
    }
  }
}

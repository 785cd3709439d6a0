/**
 * A clock that stands still until a test moves it. Implements shared/clock.ts's Clock with the same promises: timers
 * run in order of their due time, `every` never overlaps itself. Its three readings move apart only where a test says
 * so (`jumpWall`, `suspend`), because real ones do too. Never touches real timers.
 */
import type { Clock, Timer } from '../../shared/clock.ts';

interface Pending {
  dueMs: number;
  run: () => void;
}

/** 2025-11-24, the day of the design's example order; far from zero, so that a forgotten offset shows. */
const DEFAULT_WALL_MS = 1_764_000_000_000;
/** A test that runs this many timers in one advance has a loop that asks for a delay of zero. */
const MAX_TIMERS_PER_ADVANCE = 1_000_000;

export class FakeClock implements Clock {
  #wallMs: number;
  #monotonicMs = 5_000;
  #bootMs = 90_000;
  readonly #pending = new Set<Pending>();

  constructor(wallMs = DEFAULT_WALL_MS) {
    this.#wallMs = wallMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  bootMs(): number {
    return this.#bootMs;
  }

  nap(forMs: number): void {
    this.stall(forMs);
  }

  after(delayMs: number, run: () => void): Timer {
    const pending = { dueMs: this.#monotonicMs + Math.max(0, delayMs), run };
    this.#pending.add(pending);
    return { cancel: () => this.#pending.delete(pending) };
  }

  every(periodMs: number, run: () => void | Promise<void>): Timer {
    let cancelled = false;
    let timer: Timer;
    const turn = () => {
      Promise.resolve(run()).finally(() => {
        if (!cancelled) timer = this.after(periodMs, turn);
      });
    };
    timer = this.after(periodMs, turn);
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** How many timers wait; a component that was stopped leaves none. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  /** Milliseconds until the next timer; undefined when none waits. */
  get nextTimerInMs(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.dueMs - this.#monotonicMs;
  }

  /** Moves time, running what falls due in order; promises settle before, between and after the timers. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    await settle();
    for (let ran = 0; this.#runNext(endMs); ran++) {
      if (ran >= MAX_TIMERS_PER_ADVANCE) throw new Error('FakeClock: timers without end');
      await settle();
    }
    this.#moveTo(endMs);
  }

  /** The same, without letting a promise settle: for synchronous parts such as a scheduler. */
  advanceSync(ms: number): void {
    const endMs = this.#monotonicMs + ms;
    for (let ran = 0; this.#runNext(endMs); ran++) {
      if (ran >= MAX_TIMERS_PER_ADVANCE) throw new Error('FakeClock: timers without end');
    }
    this.#moveTo(endMs);
  }

  /** Somebody sets the machine's wall clock: by `ms` forward, or back when negative. */
  jumpWall(ms: number): void {
    this.#wallMs += ms;
  }

  /** The process is late (stopped, swapped out, a busy event loop): time goes by and no timer runs. */
  stall(ms: number): void {
    this.#moveTo(this.#monotonicMs + ms);
  }

  /** The machine sleeps: wall and boot clock go on, the monotonic one stands still, no timer runs. */
  suspend(ms: number): void {
    this.#wallMs += ms;
    this.#bootMs += ms;
  }

  #next(): Pending | undefined {
    let next: Pending | undefined;
    for (const pending of this.#pending) if (next === undefined || pending.dueMs < next.dueMs) next = pending;
    return next;
  }

  #runNext(endMs: number): boolean {
    const next = this.#next();
    if (next === undefined || next.dueMs > endMs) return false;
    this.#pending.delete(next);
    this.#moveTo(next.dueMs);
    next.run();
    return true;
  }

  #moveTo(monotonicMs: number): void {
    const ms = Math.max(0, monotonicMs - this.#monotonicMs);
    this.#monotonicMs += ms;
    this.#wallMs += ms;
    this.#bootMs += ms;
  }
}

/** Lets promises that are ready run, chains of them and those behind one turn of the event loop included. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

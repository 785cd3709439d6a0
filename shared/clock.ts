/**
 * The one door to time. Everything that asks what time it is, or waits, gets a Clock, so that tests can advance it.
 *
 * Three readings, never mixed: `wallMs` may jump and is only for what people see and for Redis records; `monotonicMs`
 * drives phases; `bootMs` counts suspend too and is what expiry is counted on (invariant 2).
 */
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970, as the machine's wall clock says. */
  wallMs(): number;
  /** Milliseconds on a clock that never jumps; stands still while the machine sleeps. */
  monotonicMs(): number;
  /** Milliseconds since boot, time asleep included. */
  bootMs(): number;
  /** Does nothing for that long, and lets nothing of this process run: for waits far shorter than a timer's. */
  nap(forMs: number): void;
  /** Calls `run` once after `delayMs`. */
  after(delayMs: number, run: () => void): Timer;
  /**
   * Calls `run` every `periodMs` until cancelled, first after half a period to one and a half. A `run` that takes longer
   * leaves calls out and is never overlapped.
   */
  every(periodMs: number, run: () => void | Promise<void>): Timer;
}

function after(delayMs: number, run: () => void): Timer {
  const handle = setTimeout(run, delayMs);
  return { cancel: () => clearTimeout(handle) };
}

interface Regular {
  readonly periodMs: number;
  readonly run: () => void | Promise<void>;
  /** Infinity while it runs. */
  nextAtMs: number;
}

const regulars = new Set<Regular>();
/** Calls closer than this are made together: timers have a resolution of 1 ms. */
const TOGETHER_MS = 2;
let round: { atMs: number; timer: Timer } | undefined;

/**
 * All that is regular shares one timer and one grid: what is due every 500 ms, every second and every 5 s is due at the same
 * moments, so that a process that has little to do is woken seldom. A wake-up costs more than most of what it is for.
 */
function every(periodMs: number, run: () => void | Promise<void>): Timer {
  const regular: Regular = { periodMs, run, nextAtMs: nextPoint(periodMs) };
  regulars.add(regular);
  arm();
  return {
    cancel: () => {
      regulars.delete(regular);
      arm();
    },
  };
}

/** The first point of the grid that is at least half a period away, and at most one and a half. */
function nextPoint(periodMs: number): number {
  return Math.ceil((performance.now() + periodMs / 2) / periodMs) * periodMs;
}

function arm(): void {
  let atMs = Number.POSITIVE_INFINITY;
  for (const { nextAtMs } of regulars) atMs = Math.min(atMs, nextAtMs);
  if (atMs === (round?.atMs ?? Number.POSITIVE_INFINITY)) return;
  round?.timer.cancel();
  // Past already when others were held up: Node warns of a timer in the past.
  const delayMs = Math.max(0, atMs - performance.now());
  round = atMs === Number.POSITIVE_INFINITY ? undefined : { atMs, timer: after(delayMs, callDue) };
}

function callDue(): void {
  round = undefined;
  const dueAtMs = performance.now() + TOGETHER_MS;
  const due = [...regulars].filter(({ nextAtMs }) => nextAtMs <= dueAtMs);
  try {
    for (const regular of due) if (regulars.has(regular)) call(regular);
  } finally {
    arm();
  }
}

function call(regular: Regular): void {
  regular.nextAtMs = Number.POSITIVE_INFINITY;
  const done = () => {
    regular.nextAtMs = nextPoint(regular.periodMs);
    if (regulars.has(regular)) arm();
  };
  const running = regular.run();
  if (running === undefined) done();
  else running.finally(done);
}

/** A reading of the boot clock costs 10 µs, so for this long it is carried on by the monotonic one. */
const BOOT_READING_FOR_MS = 50;
let bootReading = { atMs: Number.NEGATIVE_INFINITY, bootMs: 0 };

function bootMs(): number {
  const nowMs = performance.now();
  // libuv reads CLOCK_BOOTTIME here (through /proc/uptime, 10 ms resolution).
  if (nowMs - bootReading.atMs > BOOT_READING_FOR_MS) bootReading = { atMs: nowMs, bootMs: uptime() * 1000 };
  return bootReading.bootMs + nowMs - bootReading.atMs;
}

const NOBODY_WAKES = new Int32Array(new SharedArrayBuffer(4));

function nap(forMs: number): void {
  Atomics.wait(NOBODY_WAKES, 0, 0, forMs);
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  bootMs,
  nap,
  after,
  every,
};

export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** Waits for `promise`, but no longer than `limitMs`; says which of the two it was. Never rejects later. */
export async function within<T>(
  clock: Clock,
  limitMs: number,
  promise: Promise<T>,
): Promise<{ done: true; value: T } | { done: false }> {
  let timer: Timer | undefined;
  const late = new Promise<{ done: false }>((resolve) => {
    timer = clock.after(limitMs, () => resolve({ done: false }));
  });
  promise.catch(() => {});
  try {
    return await Promise.race([promise.then((value) => ({ done: true as const, value })), late]);
  } finally {
    timer?.cancel();
  }
}

/** The kernel's id of this boot; pids and boot clocks of another boot mean nothing. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

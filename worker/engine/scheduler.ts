/**
 * The scheduler: all loops of a worker on one timer. Owns the slots and the timer; knows nothing of processes. What a
 * loop does at an edge is the loop's own affair; the scheduler's is when.
 *
 * It can be suspended: every loop is then put in its run phase at once, and no stop happens until it is resumed. A tick
 * that comes more than 1 s late suspends by itself (`onGap`): a worker that was away must look again before it stops
 * anything (invariant 1).
 */
import type { Clock, Timer } from '../../shared/clock.ts';
import { align, chooseSlot, createSlot, type DutyCycle, enterRun, enterStop, type Slot } from './slots.ts';

/** What the scheduler asks of a loop. Both are synchronous and must not throw. */
export interface Phased {
  enterStop(): void;
  enterRun(): void;
}

/** After a gap of this length nothing is known for sure any more (invariant 1). */
export const GAP_MS = 1_000;
/** Edges closer than this are taken together: a timer has a resolution of 1 ms. */
const TOGETHER_MS = 0.6;
/** Quiet loops in one slot before another is opened: their signals take about 1 ms. */
const QUIET_PER_SLOT = 256;
/** Lateness samples kept for the percentiles. */
const LATENESS_SAMPLES = 1_024;

/** The slots of one duty cycle, of loops that want a core or of quiet ones. */
interface Lane<Loop> {
  readonly key: string;
  /** By index; only those that hold somebody, since a cycle can have 10,000 of them. */
  readonly slots: Map<number, PlacedSlot<Loop>>;
  /** Kept up at each join and leave, so that neither costs what there are loops. */
  readonly loopsPerSlot: number[];
}

interface PlacedSlot<Loop> extends Slot<Loop> {
  readonly lane: Lane<Loop>;
  readonly index: number;
}

export interface SchedulerEvents {
  /** Before the stops of a tick, and right after them: the moments to look for births. */
  beforeStops(): void;
  afterStops(): void;
  onGap(gapMs: number): void;
}

export class Scheduler<Loop extends Phased> {
  readonly #clock: Clock;
  readonly #cores: number;
  readonly #events: SchedulerEvents;
  readonly #lanes = new Map<string, Lane<Loop>>();
  readonly #slotOf = new Map<Loop, PlacedSlot<Loop>>();
  #timer: Timer | undefined;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #suspended = false;
  readonly #lateness = new Float64Array(LATENESS_SAMPLES);
  #latenessCount = 0;

  constructor(clock: Clock, cores: number, events: SchedulerEvents) {
    this.#clock = clock;
    this.#cores = cores;
    this.#events = events;
  }

  get isSuspended(): boolean {
    return this.#suspended;
  }

  /**
   * Adds a loop; it is stopped at once where its slot is in its stop phase. Loops that want a core are staggered, so
   * that no more of them than cores run at once; quiet ones are put together, since there the wake-ups are the cost.
   */
  add(loop: Loop, cycle: DutyCycle, isQuiet = false): void {
    const nowMs = this.#clock.monotonicMs();
    const lane = this.#laneFor(`${cycle.runMs}/${cycle.stopMs}${isQuiet ? ' quiet' : ''}`);
    const { slots, loopsPerSlot } = lane;
    const index = chooseSlot(loopsPerSlot, cycle, isQuiet ? QUIET_PER_SLOT : this.#cores);
    const slot = slots.get(index) ?? Object.assign(createSlot<Loop>({ ...cycle }, index, nowMs), { lane, index });
    slots.set(index, slot);
    slot.loops.add(loop);
    loopsPerSlot[index] = slot.loops.size;
    this.#slotOf.set(loop, slot);
    if (this.#suspended) return;
    if (!this.#timer || slot.nextAtMs < this.#dueAtMs) this.#arm();
    // An overdue timer means that time has passed unseen: its tick will decide, not this call.
    if (slot.phase === 'stop' && nowMs < this.#dueAtMs) this.#stop([loop]);
  }

  #laneFor(key: string): Lane<Loop> {
    let lane = this.#lanes.get(key);
    if (!lane) {
      lane = { key, slots: new Map(), loopsPerSlot: [] };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  /** A loop may suspend everything from within its stop (the journal is full): whoever comes after it stays running. */
  #stop(loops: Iterable<Loop>): void {
    for (const loop of loops) {
      if (this.#suspended) return;
      loop.enterStop();
      if (this.#suspended) loop.enterRun();
    }
  }

  /** Removes a loop, leaving it in its run phase. */
  remove(loop: Loop): void {
    const slot = this.#slotOf.get(loop);
    if (!slot) return;
    this.#slotOf.delete(loop);
    slot.loops.delete(loop);
    const { lane, index } = slot;
    lane.loopsPerSlot[index] = slot.loops.size;
    loop.enterRun();
    if (slot.loops.size > 0) return;
    lane.slots.delete(index);
    if (lane.slots.size === 0) this.#lanes.delete(lane.key);
    if (slot.nextAtMs <= this.#dueAtMs) this.#arm();
  }

  /** Puts everything in its run phase, until `resume`. */
  suspend(): void {
    this.#suspended = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    for (const loop of this.#slotOf.keys()) loop.enterRun();
  }

  /** Takes the phases up again where their grid has them. */
  resume(): void {
    if (!this.#suspended) return;
    this.#suspended = false;
    const nowMs = this.#clock.monotonicMs();
    for (const slot of this.#all()) {
      align(slot, nowMs);
      if (slot.phase === 'stop') this.#stop(slot.loops);
    }
    this.#arm();
  }

  /** Lateness of ticks in milliseconds; null while there were none. */
  lateness(): { p50Ms: number | null; p99Ms: number | null } {
    const count = Math.min(this.#latenessCount, LATENESS_SAMPLES);
    if (count === 0) return { p50Ms: null, p99Ms: null };
    const sorted = this.#lateness.slice(0, count).sort();
    return { p50Ms: sorted[Math.floor(count * 0.5)]!, p99Ms: sorted[Math.floor(count * 0.99)]! };
  }

  *#all(): Generator<Slot<Loop>> {
    for (const { slots } of this.#lanes.values()) yield* slots.values();
  }

  /** Asks for a tick when the next slot is due. */
  #arm(): void {
    let dueAtMs = Number.POSITIVE_INFINITY;
    for (const slot of this.#all()) dueAtMs = Math.min(dueAtMs, slot.nextAtMs);
    if (dueAtMs === this.#dueAtMs && this.#timer) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#dueAtMs = dueAtMs;
    if (this.#suspended || dueAtMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#clock.after(Math.max(0, dueAtMs - this.#clock.monotonicMs()), () => this.#tick());
  }

  #tick(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    const lateMs = nowMs - this.#dueAtMs;
    if (lateMs > GAP_MS) {
      this.suspend();
      this.#events.onGap(lateMs);
      return;
    }
    if (lateMs >= -TOGETHER_MS) {
      if (lateMs > 0) this.#lateness[this.#latenessCount++ % LATENESS_SAMPLES] = lateMs;
      const due = [...this.#all()].filter((slot) => slot.nextAtMs <= nowMs + TOGETHER_MS);
      // Ends of run phases first, so that those that begin find the cores free.
      const stopping = due.filter((slot) => slot.phase === 'run');
      const running = due.filter((slot) => slot.phase === 'stop');
      if (stopping.length > 0) this.#events.beforeStops();
      for (const slot of stopping) {
        enterStop(slot, this.#clock.monotonicMs());
        this.#stop(slot.loops);
      }
      if (stopping.length > 0 && !this.#suspended) this.#events.afterStops();
      const stoppedAtMs = this.#clock.monotonicMs();
      for (const slot of running) {
        enterRun(slot, this.#clock.monotonicMs());
        for (const loop of slot.loops) loop.enterRun();
      }
      // Stopped in the middle of the stops above for so long that the guard may have released everything meanwhile.
      if (stoppedAtMs - nowMs > GAP_MS) {
        this.suspend();
        this.#events.onGap(stoppedAtMs - nowMs);
        return;
      }
    }
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    this.#arm();
  }
}

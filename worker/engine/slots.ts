/**
 * Slots: the phases of all loops with one duty cycle, staggered over its period. A slot is either in its run phase or
 * in its stop phase, and all loops in it share that. Pure arithmetic; the engine calls it with the time.
 *
 *            first loop joins          due, late by x                     due
 *   (run) ─────────────────────► (stop) ─────────────► (run for runMs, less what earlier runs were too long) ──► (stop)
 *
 * Every slot starts its run at a fixed point of its period (offset), so nothing drifts; a tick that is late makes one
 * stop shorter or one run longer, and the next runs pay it back. A stop is never planned longer than 1.5 periods.
 */

export interface DutyCycle {
  runMs: number;
  stopMs: number;
}

export type Phase = 'run' | 'stop';

export interface Slot<Loop> {
  readonly cycle: DutyCycle;
  /** When the run phase begins, within the period. */
  readonly offsetMs: number;
  readonly loops: Set<Loop>;
  phase: Phase;
  phaseStartedAtMs: number;
  /** When the next phase is due. */
  nextAtMs: number;
  /** How much longer than asked its runs have been, in sum; to be paid back. */
  debtMs: number;
}

/** At most this many runs' worth of debt is remembered, so that one long hitch is not paid back for ever. */
const MAX_DEBT_RUNS = 5;
/** The shortest run that is planned to pay back, as a part of runMs. */
const SHORTEST_RUN = 0.25;

export function periodMs(cycle: DutyCycle): number {
  return cycle.runMs + cycle.stopMs;
}

/** How many slots a cycle has: run phases that fit side by side in one period. */
export function slotCount(cycle: DutyCycle): number {
  return Math.max(1, Math.floor(periodMs(cycle) / cycle.runMs));
}

export function createSlot<Loop>(cycle: DutyCycle, index: number, nowMs: number): Slot<Loop> {
  const slot: Slot<Loop> = {
    cycle,
    offsetMs: index * cycle.runMs,
    loops: new Set(),
    phase: 'stop',
    phaseStartedAtMs: nowMs,
    nextAtMs: nowMs,
    debtMs: 0,
  };
  align(slot, nowMs);
  return slot;
}

/** Puts a slot where its grid has it at `nowMs`, as if it had never been late. */
export function align<Loop>(slot: Slot<Loop>, nowMs: number): void {
  const period = periodMs(slot.cycle);
  const intoPeriodMs = (((nowMs - slot.offsetMs) % period) + period) % period;
  slot.debtMs = 0;
  slot.phaseStartedAtMs = nowMs;
  slot.phase = intoPeriodMs < slot.cycle.runMs ? 'run' : 'stop';
  slot.nextAtMs = slot.phase === 'run' ? nowMs + slot.cycle.runMs - intoPeriodMs : nowMs + period - intoPeriodMs;
}

export function enterRun<Loop>(slot: Slot<Loop>, nowMs: number): void {
  const plannedMs = Math.max(slot.cycle.runMs * SHORTEST_RUN, slot.cycle.runMs - slot.debtMs);
  slot.phase = 'run';
  slot.phaseStartedAtMs = nowMs;
  slot.nextAtMs = nowMs + plannedMs;
}

export function enterStop<Loop>(slot: Slot<Loop>, nowMs: number): void {
  const { runMs, stopMs } = slot.cycle;
  const ranMs = nowMs - slot.phaseStartedAtMs;
  slot.debtMs = Math.min(MAX_DEBT_RUNS * runMs, Math.max(-runMs / 2, slot.debtMs + ranMs - runMs));
  slot.phase = 'stop';
  slot.phaseStartedAtMs = nowMs;
  // The next point of the grid that leaves at least half a stop: a late tick does not cause a burst of short stops.
  const period = runMs + stopMs;
  const earliestMs = nowMs + stopMs / 2;
  slot.nextAtMs = slot.offsetMs + Math.ceil((earliestMs - slot.offsetMs) / period) * period;
}

/**
 * Which slot a new loop goes to: few slots when loops are few (each costs wake-ups), more as they grow, so that never
 * more than `perSlot` run at once while there is room. Returns the index of the least filled one.
 */
export function chooseSlot(loopsPerSlot: readonly number[], cycle: DutyCycle, perSlot: number): number {
  const total = loopsPerSlot.reduce((sum, count) => sum + count, 0);
  const wanted = Math.min(slotCount(cycle), Math.max(1, Math.ceil((total + 1) / perSlot)));
  let best = 0;
  for (let index = 1; index < wanted; index++) {
    if ((loopsPerSlot[index] ?? 0) < (loopsPerSlot[best] ?? 0)) best = index;
  }
  return best;
}

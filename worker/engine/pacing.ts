/**
 * The adaptive period: the same duty cycle over a longer period, when hobbling would cost the host more than its budget.
 * Each signal then buys more stopped time. Pure: one sample of the worker's own CPU per window goes in, and by how much
 * periods are stretched comes out.
 *
 *   over the budget in two windows in a row ──► longer;   well under it ──► shorter, at most back to what was asked
 *
 * Between the two thresholds nothing changes, so that a steady load has a steady period. What the worker costs whatever
 * the period (reports, passes over /proc) makes the first guess too small; the next windows add to it.
 */
import { type DutyCycle, periodMs } from './slots.ts';

export interface Budget {
  /** Share of one core that the worker may cost. */
  cpuRatio: number;
  /** The longest period that a shorter one is stretched to, milliseconds. One that was asked longer stays. */
  maxPeriodMs: number;
}

/** Length of a window, milliseconds: long enough for a burst of orders to be no reason. */
export const PACING_WINDOW_MS = 5_000;
const OVER_IN_A_ROW = 2;
/** Below this part of the budget the period is made shorter, towards AIM of it. */
const WELL_UNDER = 0.7;
const AIM = 0.9;
/** At most so much longer or shorter by one window. */
const MAX_STEP = 2;
/** A smaller change is not worth moving every loop. */
const LEAST_CHANGE = 0.1;

export class Pacing {
  readonly #budget: Budget;
  #stretch = 1;
  #overInARow = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** By how much periods are stretched at most; 1: not at all. */
  get stretch(): number {
    return this.#stretch;
  }

  /** Takes what the worker cost in the last window, as a share of one core. Returns whether the stretch has changed. */
  take(ownCpuRatio: number, shortestPeriodMs: number): boolean {
    const { cpuRatio, maxPeriodMs } = this.#budget;
    const used = ownCpuRatio / cpuRatio;
    const most = Math.max(1, maxPeriodMs / shortestPeriodMs);
    this.#overInARow = used > 1 ? this.#overInARow + 1 : 0;
    let wanted = Math.min(this.#stretch, most);
    if (this.#overInARow >= OVER_IN_A_ROW) wanted = this.#stretch * Math.min(MAX_STEP, used / AIM);
    else if (used < WELL_UNDER) wanted = this.#stretch * Math.max(1 / MAX_STEP, used / AIM);
    wanted = Math.min(most, Math.max(1, wanted));
    if (!isWorthIt(this.#stretch, wanted, most)) return false;
    this.#stretch = wanted;
    this.#overInARow = 0;
    return true;
  }

  /** The duty cycle as it is carried out. */
  pace(asked: DutyCycle): DutyCycle {
    const period = periodMs(asked);
    const factor = Math.min(this.#stretch, this.#budget.maxPeriodMs / period);
    return factor <= 1 ? asked : { runMs: asked.runMs * factor, stopMs: asked.stopMs * factor };
  }
}

/** The ends count always: a load that is over must not leave a period a little longer than asked. */
function isWorthIt(before: number, after: number, most: number): boolean {
  if (after === before) return false;
  return after === 1 || after === most || Math.abs(after / before - 1) > LEAST_CHANGE;
}

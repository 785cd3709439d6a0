/**
 * How much of a limit is used, as far as is known: by what the accounting system said last, or by a running total.
 * Pure. Only what is known to have been used in the window counts, so use falls by itself as windows reset and roll on,
 * and grows by readings alone.
 */
import type { Limit } from './rules.ts';
import type { Figure, TotalState } from './state.ts';
import { fallsBelowAt, usedInLast, usedSince } from './totals.ts';
import { spanAt } from './windows.ts';

/** Times in milliseconds since 1970. */
export interface Use {
  used: number;
  limit: number;
  unit: string;
  resource: string;
  /** The accounting system's name of the window; null: none. */
  window: string | null;
  /** When it starts anew, or has done so since it was read; null: not known, or it only rolls on. */
  resetsAtMs: number | null;
  hasReset: boolean;
  /** True: falls by itself, little by little. */
  isRolling: boolean;
  /** True: the accounting system's own figure; false: measured here from a running total. */
  isReported: boolean;
  readAtMs: number;
  heardAtMs: number;
}

/** Null: nothing was ever heard. */
export function useOf(limit: Limit, figure: Figure | null, total: TotalState | undefined, nowMs: number): Use | null {
  const last = total?.samples.at(-1);
  // Where both were sent, the newer one counts.
  if (total && last && (!figure || last[0] > figure.readAtMs)) return useOfTotal(limit, total, last[0], nowMs);
  return figure && useOfFigure(limit, figure, nowMs);
}

function useOfFigure(limit: Limit, figure: Figure, nowMs: number): Use {
  const { used, unit, resource, window, resetsAtMs, isRolling, readAtMs, heardAtMs } = figure;
  const hasReset = resetsAtMs !== null && resetsAtMs <= nowMs;
  return {
    used: hasReset ? 0 : used,
    limit: figure.limit ?? limit.used,
    unit,
    resource,
    window,
    resetsAtMs,
    hasReset,
    isRolling,
    isReported: true,
    readAtMs,
    heardAtMs,
  };
}

function useOfTotal(limit: Limit, total: TotalState, readAtMs: number, nowMs: number): Use {
  const { used: amount, unit, resource, window } = limit;
  const common = {
    limit: amount,
    unit,
    resource,
    window: null,
    isReported: false,
    readAtMs,
    heardAtMs: total.heardAtMs,
  };
  if (!window || window.kind === 'rolling') {
    const used = window ? usedInLast(total, window.lengthMs, nowMs) : 0;
    return { ...common, used, resetsAtMs: null, hasReset: false, isRolling: true };
  }
  const span = spanAt(window, readAtMs);
  const hasReset = span.resetsAtMs <= nowMs;
  const used = hasReset ? 0 : usedSince(total, span.startsAtMs);
  return { ...common, used, resetsAtMs: span.resetsAtMs, hasReset, isRolling: false };
}

/** Whether so much is little enough to be let go. Nothing at all always is. */
export function isBelow({ used, limit }: Use, { leaveRatio }: Limit): boolean {
  return used === 0 || used < leaveRatio * limit;
}

export function isOver({ used, limit }: Use, { enterRatio }: Limit): boolean {
  return used >= enterRatio * limit;
}

/** When use will be below this share of the limit if nothing more is used; null: no time brings that about. */
export function fallsAtMs(
  { window }: Limit,
  total: TotalState | undefined,
  use: Use,
  ratio: number,
  nowMs: number,
): number | null {
  if (use.used === 0 || use.used < ratio * use.limit) return nowMs;
  if (use.isReported || !total || window?.kind !== 'rolling') return use.resetsAtMs;
  return fallsBelowAt(total, window.lengthMs, ratio * use.limit);
}

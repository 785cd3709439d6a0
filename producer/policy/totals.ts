/**
 * Running totals: what an account used between two moments, by a counter that only grows. Pure. Owns where a reading
 * belongs that comes late, what a step backwards means, and which readings need not be kept.
 *
 * Only what is known to have been used in a window counts: what was used between its beginning and the first reading
 * in it may have been used before. So a gap in the readings is always the account's gain, never its loss.
 */
import type { Sample, TotalState } from './state.ts';
import type { Window } from './windows.ts';
import { spanAt } from './windows.ts';

export const NO_TOTAL: TotalState = { samples: [], heardAtMs: 0, lastReset: null };

/** Under which name the counter of a limit is kept: neither a resource nor a unit contains a tab. */
export function seriesOf({ resource, unit }: { resource: string; unit: string }): string {
  return `${resource}\t${unit}`;
}

/** Readings that are kept as they came, so that a late one among them is placed exactly. */
const KEPT_WHOLE = 8;
/** Of older ones, this many a rolling window: the share of it that is not counted for that is no larger than 1 in it. */
const SLOTS_PER_WINDOW = 32;

export interface Placement {
  total: TotalState;
  /** The counter went backwards here. */
  reset: { from: number; to: number } | null;
  /** A later reading was already known. */
  isLate: boolean;
}

/** Puts a reading where its time says. Of two for the same moment the higher one counts. */
export function addSample(total: TotalState, atMs: number, counter: number, heardAtMs: number): Placement {
  const { samples, lastReset } = total;
  let index = samples.length;
  while (index > 0 && samples[index - 1]![0] >= atMs) index--;
  const same = samples[index]?.[0] === atMs ? samples[index] : undefined;
  const heard = { ...total, heardAtMs: Math.max(total.heardAtMs, heardAtMs) };
  if (same && same[1] >= counter) return { total: heard, reset: null, isLate: true };

  const before = samples[index - 1];
  const reset = before && counter < before[1] ? { from: before[1], to: counter } : null;
  return {
    total: {
      ...heard,
      samples:
        index === samples.length ? [...samples, after(before, atMs, counter)] : insert(samples, index, atMs, counter),
      lastReset: reset !== null && atMs >= (lastReset?.atMs ?? 0) ? { atMs, ...reset } : lastReset,
    },
    reset,
    isLate: index < samples.length,
  };
}

function after(before: Sample | undefined, atMs: number, counter: number): Sample {
  return [atMs, counter, before ? before[2] + growth(before[1], counter) : 0];
}

/** Inserts a late reading, in place of one of the same moment, and moves the sums of all after it. */
function insert(samples: readonly Sample[], index: number, atMs: number, counter: number): Sample[] {
  const isSame = samples[index]![0] === atMs;
  const before = samples[index - 1];
  const own = after(before, atMs, counter);
  const [next, ...rest] = samples.slice(isSame ? index + 1 : index);
  if (!next) return [...samples.slice(0, index), own];
  // More may have grown between two readings than they show, where one that is no longer kept told of a reset. A
  // reading more never makes that less.
  const mayHide = before && !isSame;
  const grownToNext = Math.max(growth(counter, next[1]), mayHide ? next[2] - own[2] : 0);
  const shift = own[2] + grownToNext - next[2];
  const later = [next, ...rest].map(([laterAtMs, value, grown]): Sample => [laterAtMs, value, grown + shift]);
  return [...samples.slice(0, index), own, ...later];
}

/** By how much a counter grew; one that went backwards has begun at zero in between. */
function growth(from: number, to: number): number {
  return to >= from ? to - from : to;
}

/** What is known to have been used from a moment on. */
export function usedSince({ samples }: TotalState, fromMs: number): number {
  const first = samples[firstFrom(samples, fromMs)];
  return first ? samples.at(-1)![2] - first[2] : 0;
}

/** What is known to have been used in the last `lengthMs`. What is exactly as old has fallen out of it. */
export function usedInLast(total: TotalState, lengthMs: number, nowMs: number): number {
  return usedSince(total, nowMs - lengthMs + 1);
}

/** When that will be nothing, or below `threshold`, if nothing more is used. May lie in the past. */
export function fallsBelowAt({ samples }: TotalState, lengthMs: number, threshold: number): number {
  const grownAtLast = samples.at(-1)?.[2] ?? 0;
  const index = samples.findIndex(([, , grown]) => grown === grownAtLast || grownAtLast - grown < threshold);
  return index <= 0 ? 0 : samples[index - 1]![0] + lengthMs;
}

function firstFrom(samples: readonly Sample[], fromMs: number): number {
  let [low, high] = [0, samples.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (samples[middle]![0] < fromMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Drops the readings that no window needs any more. Sums between those that are kept stay what they were. */
export function thin(total: TotalState, windows: readonly Window[], nowMs: number): TotalState {
  const { samples } = total;
  const roomFor = windows.reduce((sum, { kind }) => sum + (kind === 'rolling' ? SLOTS_PER_WINDOW + 1 : 1), KEPT_WHOLE);
  if (samples.length <= roomFor + KEPT_WHOLE) return total;
  const kept = new Set<number>();
  for (const window of windows) {
    if (window.kind !== 'rolling') {
      kept.add(firstFrom(samples, spanAt(window, nowMs).startsAtMs));
      continue;
    }
    const slotMs = window.lengthMs / SLOTS_PER_WINDOW;
    let slot = Number.NEGATIVE_INFINITY;
    for (let index = firstFrom(samples, nowMs - window.lengthMs); index < samples.length; index++) {
      const own = Math.floor(samples[index]![0] / slotMs);
      if (own > slot) kept.add(index);
      slot = own;
    }
  }
  return { ...total, samples: samples.filter((_, index) => kept.has(index) || index >= samples.length - KEPT_WHOLE) };
}

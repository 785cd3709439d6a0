/** What a target used before it was hobbled: the share that its processes had of a core in their life so far. */
import type { ProcessEntry } from '../process/table.ts';

/** A younger process has not lived long enough for a share, in ticks. */
const MIN_AGE_TICKS = 10;

/** CPU share of one core in their life so far, of processes that were read just now; null when that is not known of any. */
export function shareSoFar(
  members: Iterable<Pick<ProcessEntry, 'startTicks' | 'ownTicks'>>,
  nowTicks: number,
): number | null {
  let share: number | null = null;
  for (const { startTicks, ownTicks } of members) {
    const ageTicks = nowTicks - startTicks;
    if (ageTicks >= MIN_AGE_TICKS) share = (share ?? 0) + ownTicks / ageTicks;
  }
  return share;
}

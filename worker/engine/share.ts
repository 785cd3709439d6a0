/** What a target used before it was hobbled: the share that its processes had of a core in their life so far. */
import type { Proc } from '../process/proc.ts';
import { isDead, TICKS_PER_SECOND } from '../process/stat.ts';
import type { ProcessEntry } from '../process/table.ts';

/** A younger process has not lived long enough for a share, in ticks. */
const MIN_AGE_TICKS = 10;

/** CPU share of one core that processes had in their life so far; null when that is not known of any. */
export function shareSoFar(members: Iterable<ProcessEntry>, proc: Proc, nowBootMs: number): number | null {
  const nowTicks = (nowBootMs / 1000) * TICKS_PER_SECOND;
  let share: number | null = null;
  for (const member of members) {
    const now = proc.readStat(member.pid);
    const ageTicks = nowTicks - member.startTicks;
    if (now?.startTicks !== member.startTicks || isDead(now) || ageTicks < MIN_AGE_TICKS) continue;
    share = (share ?? 0) + now.ownTicks / ageTicks;
  }
  return share;
}

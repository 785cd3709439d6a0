/**
 * When an account will be free if it uses nothing more: found by leading it through the time to come, moment by moment,
 * with the judge's own steps. So what is promised is what will happen. Pure.
 */
import { advance, type Case } from './advance.ts';
import type { LedgerState } from './state.ts';

/** Moments that are looked ahead. A ladder that goes on by itself, as its window still holds enough, has no end in sight. */
const MAX_STEPS = 64;

/**
 * Milliseconds since 1970; null: it is free, or no end is in sight. `it` is the case as judged, `state` what came of it,
 * `wakeAtMs` when it is to be looked at next.
 */
export function freeAtMs(
  it: Omit<Case, 'prior' | 'readings'>,
  state: LedgerState,
  wakeAtMs: number | null,
): number | null {
  if (!state.standing.hobble) return null;
  let [next, nowMs] = [state, wakeAtMs];
  for (let steps = 0; nowMs !== null && steps < MAX_STEPS; steps++) {
    const step = advance({ ...it, prior: next, readings: [], nowMs });
    if (step.change === 'out') return isOnlyForgotten(step.state, it.nowMs) ? null : nowMs;
    [next, nowMs] = [step.state, step.wakeAtMs];
  }
  return null;
}

/** That it would be let go if the accounting fell silent is nothing to look forward to. */
function isOnlyForgotten({ limits }: LedgerState, sinceMs: number): boolean {
  return Object.values(limits).some(({ released }) => released?.why === 'unheard' && released.atMs > sinceMs);
}

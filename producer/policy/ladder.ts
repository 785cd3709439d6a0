/**
 * The ladder of one limit: when it puts an account in, at which level, and when it lets it go. Pure. Each limit has its
 * own; which of them counts in the end is decided in standing.ts.
 *
 *               use >= enterRatio × limit, and nothing in the way (see Obstacle)
 *      free ────────────────────────────────────────────────────────────────────► penalty at level 1 + what still counts
 *           ◄────────────────────────────────────────────────────────────────────
 *             a level with a length: served. Without: use < leaveRatio × limit, or the window reset.
 *             Either: the limit was raised above the use; nothing heard for forgetAfter
 *
 * A penalty that ended counts for `lookback`; every `forgive` without one takes one of them off again. What was used up
 * to a release is paid for: in the same window it takes (enterRatio - leaveRatio) × limit more to be put in once more.
 */
import type { Ladder, Limit } from './rules.ts';
import { type LimitState, MAX_ENDED, type Penalty, type Released } from './state.ts';
import { isBelow, isOver, type Use } from './use.ts';

export interface Circumstances {
  nowMs: number;
  forgetAfterMs: number;
  dwellMs: number;
  /** Before that, the account's state may not change; 0: it may. */
  dwellsUntilMs: number;
  /** False: nobody enters now, as the account is exempt or released, or the brake holds. */
  mayEnter: boolean;
}

/** Why an account that is over this limit is not put in. */
export type Obstacle =
  | { kind: 'grace'; untilMs: number }
  /** What is used is paid for, up to `beyond`. */
  | { kind: 'paid'; beyond: number }
  /** The window resets before the shortest stay would be over. */
  | { kind: 'window-ends'; atMs: number }
  | { kind: 'dwell'; untilMs: number }
  /** Of a window that rolls, an old figure does not tell what is used now. */
  | { kind: 'old-figure' }
  /** Nothing was heard for so long that the accounting may be dead. */
  | { kind: 'unheard' }
  | { kind: 'not-now' };

/** What the limit has come to by now. The same object when nothing has changed. */
export function step(limit: Limit, state: LimitState, use: Use | null, circumstances: Circumstances): LimitState {
  const settled = state.penalty ? settle(limit, state, state.penalty, use, circumstances) : state;
  if (settled.penalty || !use || !isOver(use, limit)) return settled;
  return obstacleOf(limit, settled, use, circumstances) === null
    ? enter(limit, settled, use, circumstances.nowMs)
    : settled;
}

function settle(
  limit: Limit,
  state: LimitState,
  penalty: Penalty,
  use: Use | null,
  circumstances: Circumstances,
): LimitState {
  const released = releaseOf(limit, penalty, use, circumstances);
  if (released) {
    const endedAtMs = [...state.endedAtMs, released.atMs].slice(-MAX_ENDED);
    return { ...state, penalty: null, released, endedAtMs };
  }
  if (!use || use.resetsAtMs === penalty.resetsAtMs) return state;
  return { ...state, penalty: { ...penalty, resetsAtMs: use.resetsAtMs } };
}

function enter({ ladder }: Limit, state: LimitState, use: Use, nowMs: number): LimitState {
  const { used, limit, window, resetsAtMs } = use;
  const counting = countingAt(ladder, state.endedAtMs, nowMs);
  const { level, lengthMs } = levelAfter(ladder, counting);
  const endsAtMs = lengthMs === null ? null : nowMs + lengthMs;
  return {
    ...state,
    // What was forgiven is forgiven for good.
    endedAtMs: counting === 0 ? [] : state.endedAtMs.slice(-counting),
    penalty: { level, sinceMs: nowMs, endsAtMs, used, limit, window, resetsAtMs },
  };
}

function levelAfter({ levels }: Ladder, counting: number): { level: number; lengthMs: number | null } {
  const level = Math.min(counting + 1, levels.length);
  return { level, lengthMs: levels[level - 1]!.lengthMs };
}

/** How many earlier penalties make the next one harsher. */
export function countingAt({ lookbackMs, forgiveMs }: Ladder, endedAtMs: readonly number[], nowMs: number): number {
  const recent = endedAtMs.filter((atMs) => atMs > nowMs - lookbackMs);
  const last = recent.at(-1);
  return last === undefined ? 0 : Math.max(0, recent.length - Math.floor((nowMs - last) / forgiveMs));
}

function releaseOf(limit: Limit, penalty: Penalty, use: Use | null, circumstances: Circumstances): Released | null {
  const { nowMs, forgetAfterMs } = circumstances;
  const figures = {
    used: use?.used ?? penalty.used,
    limit: use?.limit ?? penalty.limit,
    window: use?.window ?? null,
    resetsAtMs: use?.resetsAtMs ?? null,
  };
  if (penalty.endsAtMs !== null && penalty.endsAtMs <= nowMs)
    return { atMs: penalty.endsAtMs, why: 'served', ...figures };
  if (!use) return { atMs: nowMs, why: 'unheard', ...figures };
  if (nowMs >= use.heardAtMs + forgetAfterMs)
    return { atMs: use.heardAtMs + forgetAfterMs, why: 'unheard', ...figures };
  if (use.limit > penalty.limit && !isOver(use, limit)) return { atMs: nowMs, why: 'raised', ...figures };
  if (penalty.endsAtMs !== null) return null;
  if (isNextWindow(penalty, use)) {
    const resetAtMs = Math.min(penalty.resetsAtMs ?? nowMs, nowMs);
    return { atMs: Math.max(resetAtMs, penalty.sinceMs), why: 'reset', ...figures };
  }
  return isBelow(use, limit) ? { atMs: nowMs, why: 'below', ...figures } : null;
}

/** Whether what is used now was used after the window of the offence. */
function isNextWindow(penalty: Penalty, use: Use): boolean {
  if (use.isRolling) return false;
  if (use.hasReset) return true;
  if (penalty.window !== null && use.window !== null) return penalty.window !== use.window;
  return penalty.resetsAtMs !== null && penalty.resetsAtMs <= use.readAtMs;
}

/** Why an account that is over this limit is not put in; null: it is. */
export function obstacleOf(
  limit: Limit,
  { released }: LimitState,
  use: Use,
  { nowMs, dwellMs, dwellsUntilMs, mayEnter, forgetAfterMs }: Circumstances,
): Obstacle | null {
  if (!mayEnter) return { kind: 'not-now' };
  if (nowMs >= use.heardAtMs + forgetAfterMs) return { kind: 'unheard' };
  const graceUntilMs = released ? released.atMs + limit.ladder.graceMs : 0;
  if (graceUntilMs > nowMs) return { kind: 'grace', untilMs: graceUntilMs };
  if (use.isRolling && use.isReported && use.heardAtMs < nowMs) return { kind: 'old-figure' };
  if (released?.why === 'served' && isSameWindow(released, use)) {
    const beyond = released.used + (limit.enterRatio - limit.leaveRatio) * use.limit;
    if (use.used < beyond) return { kind: 'paid', beyond };
  }
  if (!use.isRolling && use.resetsAtMs !== null && use.resetsAtMs < nowMs + dwellMs) {
    return { kind: 'window-ends', atMs: use.resetsAtMs };
  }
  if (dwellsUntilMs > nowMs) return { kind: 'dwell', untilMs: dwellsUntilMs };
  return null;
}

/** Whether what is used now contains what was used at the release. A rolling window is always a new one. */
function isSameWindow(released: Released, use: Use): boolean {
  if (use.isRolling || use.used < released.used) return false;
  if (released.resetsAtMs !== null && released.resetsAtMs <= use.readAtMs) return false;
  return released.window === null || use.window === null || released.window === use.window;
}

/**
 * Each limit of an account, looked at at one moment: what is used, where its ladder stands, what it wants, and when
 * that ends by itself. Pure; the judge and the explanation both look through here, so that they see the same.
 */
import { type Circumstances, obstacleOf, step } from './ladder.ts';
import { endOf, type Override } from './override.ts';
import type { AccountRules, Limit } from './rules.ts';
import { type Claim, dwellsUntilMs, isSame } from './standing.ts';
import {
  type LedgerState,
  type LimitState,
  NO_LIMIT_STATE,
  type Penalty,
  type Standing,
  type TotalState,
} from './state.ts';
import { seriesOf } from './totals.ts';
import { fallsAtMs, isOver, type Use, useOf } from './use.ts';

export function circumstancesOf(
  standing: Standing,
  { forgetAfterMs, dwellMs }: AccountRules,
  override: Override | null,
  nowMs: number,
  mayEnter: boolean,
): Circumstances {
  const isOut = override?.kind === 'exempt' || override?.kind === 'release';
  return {
    nowMs,
    forgetAfterMs,
    dwellMs,
    dwellsUntilMs: dwellsUntilMs(standing, dwellMs),
    mayEnter: mayEnter && !isOut,
  };
}

/** One limit, looked at now. */
export interface Look {
  limit: Limit;
  before: LimitState | undefined;
  state: LimitState;
  use: Use | null;
  claim: Claim | null;
  /** When a penalty ends if nothing more is used; null: it is none, or nothing is known of its use. */
  endsAtMs: number | null;
}

/** Looks at every limit of the config, and at those that readings brought. */
export function lookAt(state: LedgerState, rules: AccountRules, circumstances: Circumstances): Look[] {
  const looks = rules.limits.map((limit) => look(limit, state, circumstances));
  for (const name of Object.keys(state.limits)) {
    if (name.startsWith('*')) looks.push(look(ownLimit(name, state.limits[name]!, rules), state, circumstances));
  }
  return looks;
}

function ownLimit(name: string, { figure }: LimitState, { ownLimit }: AccountRules): Limit {
  const { limit, unit, resource } = figure ?? { limit: null, unit: '', resource: '' };
  return { ...ownLimit, name, from: 'readings', used: limit ?? Number.MAX_VALUE, unit, resource, window: null };
}

function look(limit: Limit, { limits, totals }: LedgerState, circumstances: Circumstances): Look {
  const before = Object.hasOwn(limits, limit.name) ? limits[limit.name] : undefined;
  // A limit that readings bring has no window from which a total could be measured.
  const series = seriesOf(limit);
  const total = limit.window && Object.hasOwn(totals, series) ? totals[series] : undefined;
  const known = before ?? NO_LIMIT_STATE;
  const use = useOf(limit, known.figure, total, circumstances.nowMs);
  const state = step(limit, known, use, circumstances);
  const { penalty } = state;
  if (!penalty) return { limit, before, state, use, claim: null, endsAtMs: null };
  const level = Math.min(penalty.level, limit.ladder.levels.length);
  const { hobble } = limit.ladder.levels[level - 1]!;
  const isOpen = penalty.endsAtMs === null;
  const endsByMs = isOpen && !use?.isRolling ? (use?.resetsAtMs ?? null) : penalty.endsAtMs;
  return {
    limit,
    before,
    state,
    use,
    claim: { hobble, limit: limit.name, level, endsByMs },
    endsAtMs: use && endOfPenalty(limit, penalty, use, total, circumstances),
  };
}

function endOfPenalty(
  limit: Limit,
  penalty: Penalty,
  use: Use,
  total: TotalState | undefined,
  { nowMs, forgetAfterMs }: Circumstances,
): number {
  const ends = [
    use.heardAtMs + forgetAfterMs,
    penalty.endsAtMs ?? fallsAtMs(limit, total, use, limit.leaveRatio, nowMs),
    use.limit > penalty.limit ? fallsAtMs(limit, total, use, limit.enterRatio, nowMs) : null,
  ];
  return Math.min(...ends.filter((atMs) => atMs !== null));
}

/** When a limit that is over puts the account in by time alone; null: it does not. */
function entersAtMs(
  { limit, state, use, claim }: Look,
  standing: Standing,
  circumstances: Circumstances,
): number | null {
  if (claim || !use || !isOver(use, limit)) return null;
  const dwellEndsAtMs = dwellsUntilMs(standing, circumstances.dwellMs);
  const obstacle = obstacleOf(limit, state, use, { ...circumstances, dwellsUntilMs: dwellEndsAtMs });
  return obstacle?.kind === 'grace' || obstacle?.kind === 'dwell' ? obstacle.untilMs : null;
}

/** When time alone may change something, milliseconds since 1970; null: never. */
export function wakeAtMs(
  looks: readonly Look[],
  standing: Standing,
  override: Override | null,
  circumstances: Circumstances,
): number | null {
  const dwellEndsAtMs = dwellsUntilMs(standing, circumstances.dwellMs);
  let wakeMs = Number.POSITIVE_INFINITY;
  const wake = (atMs: number | null) => {
    if (atMs !== null && atMs > circumstances.nowMs && atMs < wakeMs) wakeMs = atMs;
  };
  wake(override && endOf(override));
  for (const look of looks) {
    wake(look.endsAtMs);
    if (look.claim && !isSame(look.claim.hobble, standing.hobble)) wake(dwellEndsAtMs);
    wake(entersAtMs(look, standing, circumstances));
  }
  if (standing.hobble && !looks.some(({ claim }) => claim && isSame(claim.hobble, standing.hobble)))
    wake(dwellEndsAtMs);
  return wakeMs === Number.POSITIVE_INFINITY ? null : wakeMs;
}

/**
 * How an account is treated in the end: the harshest of what its limits want, under what beats the policy, and changed
 * no more often than the shortest stay allows. Pure. This is where flapping ends: whatever readings say, between two
 * changes lies at least `dwellMs`; only exemptions and pins, which are somebody's decision, act at once.
 *
 * A penalty that would end before that is over is not begun, so that a reset is never late for it.
 */
import { type Hobble, runRatio } from '../../shared/order.ts';
import type { Circumstances } from './ladder.ts';
import type { Override } from './override.ts';
import type { Standing } from './state.ts';

/** What a limit wants, or an operator's pin. */
export interface Claim {
  hobble: Hobble;
  /** Null: the pin. */
  limit: string | null;
  level: number | null;
  /** When it certainly ends, in milliseconds since 1970; null: that depends on what is used. */
  endsByMs: number | null;
}

/** Until when the state may not change, in milliseconds since 1970; 0: it may. */
export function dwellsUntilMs({ sinceMs }: Standing, dwellMs: number): number {
  return sinceMs === null ? 0 : sinceMs + dwellMs;
}

/** What comes of these claims. The same object when nothing has changed. */
export function nextStanding(
  standing: Standing,
  claims: readonly Claim[],
  override: Override | null,
  { dwellMs, nowMs, mayEnter }: Pick<Circumstances, 'dwellMs' | 'nowMs' | 'mayEnter'>,
): Standing {
  if (override?.kind === 'exempt' || override?.kind === 'release') return change(standing, null, nowMs);
  const pin = override?.pin.kind === 'keep' ? pinClaim(override.pin) : null;
  const wanted = byHarshness(pin ? [...claims, pin] : claims, standing);
  if (pin && (standing.hobble === null || isHarsher(pin.hobble, standing.hobble)))
    return change(standing, wanted[0]!, nowMs);

  if (standing.hobble === null && !mayEnter) return standing;
  const mayChange = dwellsUntilMs(standing, dwellMs) <= nowMs;
  if (!mayChange) {
    const same = wanted.find(({ hobble }) => isSame(hobble, standing.hobble));
    return same ? change(standing, same, nowMs) : standing;
  }
  const lasting = wanted.find((claim) => isSame(claim.hobble, standing.hobble) || endOf(claim) >= nowMs + dwellMs);
  return change(standing, lasting ?? null, nowMs);
}

/** The harshest first; of equal ones that which stands, then that which lasts longest. */
function byHarshness(claims: readonly Claim[], { hobble }: Standing): readonly Claim[] {
  if (claims.length < 2) return claims;
  return [...claims].sort(
    (a, b) =>
      runRatio(a.hobble) - runRatio(b.hobble) ||
      Number(isSame(b.hobble, hobble)) - Number(isSame(a.hobble, hobble)) ||
      endOf(b) - endOf(a),
  );
}

/** Whether one leaves less time to run than the other. */
export function isHarsher(one: Hobble, other: Hobble): boolean {
  return runRatio(one) < runRatio(other);
}

function pinClaim({ hobble, untilMs }: { hobble: Hobble; untilMs: number }): Claim {
  return { hobble, limit: null, level: null, endsByMs: untilMs };
}

function change(standing: Standing, claim: Claim | null, nowMs: number): Standing {
  const hobble = claim?.hobble ?? null;
  const next = { limit: claim?.limit ?? null, level: claim?.level ?? null, isPinned: claim?.limit === null };
  if (!isSame(hobble, standing.hobble)) return { hobble, ...next, sinceMs: nowMs };
  const { limit, level, isPinned } = standing;
  return limit === next.limit && level === next.level && isPinned === next.isPinned
    ? standing
    : { ...standing, ...next };
}

function endOf({ endsByMs }: Claim): number {
  return endsByMs ?? Number.POSITIVE_INFINITY;
}

/** Whether two duty cycles are one state. */
export function isSame(a: Hobble | null, b: Hobble | null): boolean {
  if (a === null || b === null) return a === b;
  return a.runMs === b.runMs && a.stopMs === b.stopMs && a.mechanism === b.mechanism && a.every === b.every;
}

/**
 * A wall clock that was set back leaves things remembered that have not happened yet. Owns what becomes of them: they
 * count as of now, and what still lasts, lasts as long as it would have. So a clock set back keeps nobody in, and lets
 * nobody's readings be taken for old. Pure.
 */
import type { LedgerState, LimitState, Sample, TotalState } from './state.ts';

/** The same object when nothing lies ahead, which is nearly always. */
export function settleClock(state: LedgerState, nowMs: number): LedgerState {
  if (!isAhead(state, nowMs)) return state;
  const { standing, limits, totals } = state;
  return {
    ...state,
    standing: { ...standing, sinceMs: standing.sinceMs && Math.min(standing.sinceMs, nowMs) },
    limits: mapValues(limits, (limit) => settleLimit(limit, nowMs)),
    totals: mapValues(totals, (total) => settleTotal(total, nowMs)),
  };
}

function isAhead({ standing, limits, totals }: LedgerState, nowMs: number): boolean {
  if ((standing.sinceMs ?? 0) > nowMs) return true;
  for (const name in limits) {
    const { figure, penalty, released } = limits[name]!;
    if (Math.max(figure?.heardAtMs ?? 0, penalty?.sinceMs ?? 0, released?.atMs ?? 0) > nowMs) return true;
  }
  for (const resource in totals) if (totals[resource]!.heardAtMs > nowMs) return true;
  return false;
}

function settleLimit({ figure, penalty, released, endedAtMs }: LimitState, nowMs: number): LimitState {
  const atMost = (atMs: number) => Math.min(atMs, nowMs);
  const aheadMs = Math.max(0, (penalty?.sinceMs ?? 0) - nowMs);
  return {
    figure: figure && { ...figure, readAtMs: atMost(figure.readAtMs), heardAtMs: atMost(figure.heardAtMs) },
    penalty: penalty && {
      ...penalty,
      sinceMs: penalty.sinceMs - aheadMs,
      endsAtMs: penalty.endsAtMs && penalty.endsAtMs - aheadMs,
    },
    released: released && { ...released, atMs: atMost(released.atMs) },
    endedAtMs: endedAtMs.map(atMost),
  };
}

/** Of readings that lie ahead, the last one stands for now; what had grown until then is kept. */
function settleTotal(total: TotalState, nowMs: number): TotalState {
  const { samples, heardAtMs, lastReset } = total;
  const past = samples.filter(([atMs]) => atMs < nowMs);
  const last = samples.at(-1);
  const now: Sample[] = last && past.length < samples.length ? [[nowMs, last[1], last[2]]] : [];
  return {
    samples: [...past, ...now],
    heardAtMs: Math.min(heardAtMs, nowMs),
    lastReset: lastReset && { ...lastReset, atMs: Math.min(lastReset.atMs, nowMs) },
  };
}

function mapValues<T>(all: Record<string, T>, change: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(all).map(([key, value]) => [key, change(value)]));
}

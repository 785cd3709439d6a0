/**
 * What follows from a decision on one subject: what is to be written into the ledger, where it is slowed, what is owed,
 * and the verdict in words. Pure. Owns which of an account's subjects may be forgotten.
 */

import type { SubjectCase } from './judging.ts';
import type { Debt, LedgerEntry } from './ledger.ts';
import type { Place } from './place.ts';
import type { PolicyConfig } from './policy/config.ts';
import { explain } from './policy/explain.ts';
import type { Decision } from './policy/judge.ts';
import type { LedgerState } from './policy/state.ts';
import { placesOfSubject } from './reading.ts';
import type { SubjectVerdict } from './subject-verdict.ts';

export interface Outcome {
  it: SubjectCase;
  decision: Decision;
  verdict: SubjectVerdict;
  places: Place[];
  /** Places that are still to be untarpitted; null: none. */
  owed: Debt | null;
  /** False: the ledger says all that already. */
  isWritten: boolean;
}

/** Subjects that one account may have: hosts and targets that readings name. */
const MAX_SUBJECTS = 1_000;
/** What tells of earlier penalties or of running totals is kept for so long: as long as any window. */
const KEEP_HISTORY_MS = 31 * 86_400_000;
/** An account whose debts are more than these is let go by expiry. */
const MAX_OWED = 128;

export function outcomeOf(
  it: SubjectCase,
  decision: Decision,
  config: Pick<PolicyConfig, 'accounts'>,
  mayEnter: boolean,
  nowMs: number,
): Outcome {
  const { account, subject, entry, prior, rules, pin } = it;
  const { state } = decision;
  const { hobble, sinceMs } = state.standing;
  const owedBefore = entry.owed.get(subject) ?? null;
  const isLetGo = decision.verdict.verdict === 'untarpit';
  const places = placesOrNone(account, subject, config);
  const stood = entry.places.get(subject) ?? [];
  const owed = hobble
    ? null
    : isLetGo
      ? debt([...stood, ...places, ...(owedBefore?.places ?? [])], sinceMs ?? nowMs)
      : owedBefore;
  const stands = entry.states.get(subject);
  const isNews = prior === 'none' ? it.sent.length > 0 || decision.change !== null : state !== stands;
  const isElsewhere = hobble !== null && namesOf(stood) !== namesOf(places);
  const isTold = hobble !== null || isLetGo || owed !== null;
  const reason = isTold ? explain({ account, subject, state, rules, pin, nowMs, mayEnter }).reason : '';
  return {
    it,
    decision,
    verdict: {
      account,
      subject,
      hobble,
      reason: reason || (prior === 'unreadable' ? 'what was remembered of it cannot be read' : 'nothing keeps it in'),
      sinceMs: owed?.sinceMs ?? sinceMs ?? nowMs,
      untilMs: decision.verdict.verdict === 'tarpit' ? decision.verdict.untilMs : null,
      places,
    },
    places,
    owed,
    isWritten: isNews || isElsewhere || isLetGo,
  };
}

/** The config may have changed since its readings came. */
function placesOrNone(account: string, subject: string, config: Pick<PolicyConfig, 'accounts'>): Place[] {
  try {
    return placesOfSubject(account, subject, config);
  } catch {
    return [];
  }
}

function debt(places: readonly Place[], sinceMs: number): Debt | null {
  const unique = [...new Map(places.map((place) => [nameOf(place), place])).values()].slice(0, MAX_OWED);
  return unique.length === 0 ? null : { sinceMs, places: unique };
}

function namesOf(places: readonly Place[]): string {
  return places.map(nameOf).sort().join('\n');
}

function nameOf({ host, target }: Place): string {
  return `${host} ${target}`;
}

/** Subjects (such as pids) that were not heard of for long, and the oldest ones beyond the bound. */
export function forgettable(
  { states, owed }: LedgerEntry,
  current: ReadonlySet<string>,
  forgetAfterMs: number,
  nowMs: number,
): string[] {
  const free = [...states.values()]
    .filter(({ subject, standing }) => !standing.hobble && !current.has(subject) && !owed.has(subject))
    .map((state) => ({
      subject: state.subject,
      heardAtMs: heardAtMs(state),
      keepMs: hasHistory(state) ? KEEP_HISTORY_MS : forgetAfterMs,
    }));
  const old = free.filter(({ heardAtMs, keepMs }) => nowMs - heardAtMs > keepMs);
  const added = [...current].filter((subject) => !states.has(subject));
  const tooMany = states.size + added.length - old.length - MAX_SUBJECTS;
  if (tooMany <= 0) return old.map(({ subject }) => subject);
  return free
    .sort((a, b) => a.heardAtMs - b.heardAtMs)
    .slice(0, old.length + tooMany)
    .map(({ subject }) => subject);
}

function heardAtMs({ limits, totals }: LedgerState): number {
  return Math.max(
    0,
    ...Object.values(limits).map(({ figure }) => figure?.heardAtMs ?? 0),
    ...Object.values(totals).map((total) => total.heardAtMs),
  );
}

function hasHistory({ limits, totals }: LedgerState): boolean {
  return Object.keys(totals).length > 0 || Object.values(limits).some(({ endedAtMs }) => endedAtMs.length > 0);
}

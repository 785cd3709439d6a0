/**
 * One step of an account through time: from what is remembered, its readings, its rules and the moment, what is to be
 * remembered, how it is treated from now on, and when to look again. Pure, over plain data: no clock, no I/O, no Redis.
 *
 *   readings ──► receive ──► use of each limit ──► ladder of each limit ──► standing (harshest, pins, shortest stay)
 *
 * What is not known never leads into the tarpit: doubt means release (invariant 1).
 */

import type { Pin } from '../../shared/redis/pins.ts';
import type { PolicyReading } from './attribute.ts';
import { circumstancesOf, type Look, lookAt, wakeAtMs } from './look.ts';
import { overrideAt } from './override.ts';
import { type Note, receive } from './receive.ts';
import type { AccountRules } from './rules.ts';
import { settleClock } from './settle-clock.ts';
import { isHarsher, isSame, nextStanding } from './standing.ts';
import { emptyState, type LedgerState, NO_LIMIT_STATE, type Standing } from './state.ts';

/** What is remembered, nothing yet, or something that cannot be read. */
export type Prior = LedgerState | 'none' | 'unreadable';

export interface Case {
  account: string;
  /** What of the account is judged: all of it, or what readings say of one host or target. */
  subject: string;
  prior: Prior;
  readings: readonly PolicyReading[];
  rules: AccountRules;
  pin: Pin | null;
  /** Milliseconds since 1970. */
  nowMs: number;
  /** False: the brake holds, nobody enters. */
  mayEnter?: boolean;
}

export interface Step {
  /** What to remember; the object given when nothing has changed. */
  state: LedgerState;
  /** How it was treated before. */
  before: Standing;
  /** What has become of that. */
  change: 'in' | 'harsher' | 'milder' | 'out' | null;
  notes: Note[];
  /** When time alone may change something, milliseconds since 1970; null: never. */
  wakeAtMs: number | null;
}

export function advance({ account, subject, prior, readings, rules, pin, nowMs, mayEnter = true }: Case): Step {
  const before = typeof prior === 'string' ? emptyState(account, subject) : settleClock(prior, nowMs);
  const { state: received, notes } = receive(before, readings, rules, nowMs);
  const override = overrideAt(rules.exemptions, pin, nowMs);
  const circumstances = circumstancesOf(received.standing, rules, override, nowMs, mayEnter);
  const looks = lookAt(received, rules, circumstances);
  const claims = looks.flatMap(({ claim }) => claim ?? []);
  const standing = nextStanding(received.standing, claims, override, circumstances);
  return {
    state: remember(received, looks, standing),
    before: before.standing,
    change: changeOf(before.standing, standing),
    notes,
    wakeAtMs: wakeAtMs(looks, standing, override, circumstances),
  };
}

function remember(state: LedgerState, looks: readonly Look[], standing: Standing): LedgerState {
  const changed = looks.filter(({ before, state: now }) => now !== (before ?? NO_LIMIT_STATE));
  if (changed.length === 0 && standing === state.standing) return state;
  if (changed.length === 0) return { ...state, standing };
  const limits = { ...state.limits };
  for (const { limit, state: now } of changed) limits[limit.name] = now;
  return { ...state, limits, standing };
}

function changeOf({ hobble: before }: Standing, { hobble: now }: Standing): Step['change'] {
  if (isSame(before, now)) return null;
  if (!before) return 'in';
  if (!now) return 'out';
  return isHarsher(now, before) ? 'harsher' : 'milder';
}

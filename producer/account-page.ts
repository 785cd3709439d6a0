/**
 * What GET /v1/accounts/ACCOUNT and `hobbler policy explain` say: why the account is slow, what it used, and when that
 * ends. Pure; made from what the ledger has. It is written for the account's owner as much as for the operator.
 */
import type { Hobble } from '../shared/order.ts';
import type { Pin } from '../shared/redis/pins.ts';
import type { LedgerEntry } from './ledger.ts';
import type { Place } from './place.ts';
import { explain } from './policy/explain.ts';
import { circumstancesOf, type Look, lookAt } from './policy/look.ts';
import { overrideAt } from './policy/override.ts';
import type { AccountRules } from './policy/rules.ts';
import type { LedgerState } from './policy/state.ts';
import { subjectKey } from './subject-verdict.ts';

export interface AccountPage {
  account: string;
  isSlowed: boolean;
  /** One or two sentences. */
  summary: string;
  /** One per subject: the account as a whole, or a host and target that readings named. */
  verdicts: VerdictPage[];
  /** Fields of the ledger that cannot be read. */
  unreadable: string[];
}

export interface VerdictPage {
  subject: string;
  verdict: 'leave' | 'tarpit';
  reason: string;
  /** A line for what beats the policy, and one a limit. */
  details: string[];
  /** Null: it never changed. */
  since: string | null;
  /** When it ends if nothing more is used; null when no end is in sight, or there is nothing to end. */
  until: string | null;
  level: Hobble | null;
  /** Who has released it in spite of the verdict. */
  overruledBy: string | null;
  places: Place[];
  limits: LimitPage[];
}

export interface LimitPage {
  /** As the config names it; `*RESOURCE` for one that readings bring themselves. */
  name: string;
  /** Null: nothing was heard yet. */
  used: number | null;
  limit: number;
  unit: string;
  resource: string;
  /** When the window starts anew; null: not known, or it rolls. */
  resetsAt: string | null;
  readAt: string | null;
  /** On its ladder, from 1; null: it keeps nobody in. */
  level: number | null;
}

export interface PageContext {
  rules: AccountRules;
  pin: Pin | null;
  /** False: the brake holds. */
  mayEnter: boolean;
  /** By subjectKey: who has released it in spite of the verdict. */
  overruledBy: (key: string) => string | null;
  nowMs: number;
}

/** Null when nothing is known of the account. */
export function describeAccount(entry: LedgerEntry, context: PageContext): AccountPage | null {
  const states = [...entry.states.values()];
  if (states.length === 0 && entry.unreadable.size === 0 && !context.pin) return null;
  const { account } = entry;
  const told = states.map((state) => describeSubject(state, entry.places.get(state.subject) ?? [], context));
  const slowed = told.find(({ page }) => page.verdict === 'tarpit' && page.overruledBy === null);
  const released = told.find(({ page }) => page.overruledBy !== null);
  const summary =
    slowed?.summary ??
    (released ? `${account} is not slowed down: released by ${released.page.overruledBy}.` : told[0]?.summary);
  return {
    account,
    isSlowed: slowed !== undefined,
    summary: summary ?? `${account} is not slowed down by the policy.`,
    verdicts: told.map(({ page }) => page),
    unreadable: [...entry.unreadable.keys()],
  };
}

function describeSubject(
  state: LedgerState,
  places: Place[],
  { rules, pin, mayEnter, overruledBy, nowMs }: PageContext,
): { page: VerdictPage; summary: string } {
  const { account, subject, standing } = state;
  const { reason, summary, details, freeAtMs } = explain({ account, subject, state, rules, pin, nowMs, mayEnter });
  const override = overrideAt(rules.exemptions, pin, nowMs);
  const looks = lookAt(state, rules, circumstancesOf(standing, rules, override, nowMs, mayEnter));
  const page: VerdictPage = {
    subject,
    verdict: standing.hobble ? 'tarpit' : 'leave',
    reason,
    details,
    since: iso(standing.sinceMs),
    until: iso(freeAtMs),
    level: standing.hobble,
    overruledBy: overruledBy(subjectKey(state)),
    places,
    limits: looks.map(describeLimit),
  };
  return { page, summary };
}

function describeLimit({ limit, use, claim }: Look): LimitPage {
  const { name, used, unit, resource } = limit;
  return {
    name,
    used: use?.used ?? null,
    limit: use?.limit ?? used,
    unit,
    resource,
    resetsAt: iso(use?.resetsAtMs ?? null),
    readAt: iso(use?.readAtMs ?? null),
    level: claim?.level ?? null,
  };
}

function iso(atMs: number | null): string | null {
  return atMs === null ? null : new Date(atMs).toISOString();
}

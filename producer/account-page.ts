/**
 * What GET /v1/accounts/ACCOUNT says: why the account is slow, what it used, and when that ends. Pure; made from what
 * the ledger has. It is written for the account's owner as much as for the operator.
 */
import type { LedgerEntry } from './ledger.ts';
import { type AccountRecord, recordKey } from './record.ts';
import { clockTime } from './words.ts';

export interface AccountPage {
  account: string;
  isSlowed: boolean;
  /** One sentence. */
  summary: string;
  /** One per figure that was reported: of the account as a whole, or of a host and target that a reading named. */
  verdicts: VerdictPage[];
  /** Fields of the ledger that cannot be read. */
  unreadable: string[];
}

interface VerdictPage {
  subject: string;
  verdict: 'leave' | 'tarpit';
  reason: string;
  since: string;
  /** When it ends by itself; null when that is not known, or there is nothing to end. */
  until: string | null;
  used: number;
  limit: number;
  unit: string;
  resource: string;
  window: string | null;
  level: { runMs: number; stopMs: number; mechanism: string } | null;
  /** Who has released it in spite of the verdict. */
  overruledBy: string | null;
  places: { host: string; target: string }[];
  readAt: string;
}

/** Null when nothing is known of the account. */
export function describeAccount(
  entry: LedgerEntry,
  overruledBy: (key: string) => string | null,
  nowMs: number,
): AccountPage | null {
  const records = [...entry.records.values()];
  if (records.length === 0 && entry.unreadable.size === 0) return null;
  const verdicts = records.map((record) => describeRecord(record, overruledBy(recordKey(record))));
  const slowing = records.find((record, index) => record.verdict === 'tarpit' && verdicts[index]?.overruledBy === null);
  return {
    account: entry.account,
    isSlowed: slowing !== undefined,
    summary: slowing ? sentence(slowing, nowMs) : `${entry.account} is not slowed down by the policy.`,
    verdicts,
    unreadable: [...entry.unreadable.keys()],
  };
}

function sentence({ account, reason, level, sinceMs, resetsAtMs }: AccountRecord, nowMs: number): string {
  const share = level ? ` to ${level.runMs} ms of every ${level.runMs + level.stopMs} ms` : '';
  const end = resetsAtMs === null ? '' : ` It ends at ${clockTime(resetsAtMs, nowMs)} at the latest.`;
  return `${account} is slowed down${share} since ${clockTime(sinceMs, nowMs)}: ${reason}.${end}`;
}

function describeRecord(record: AccountRecord, overruledBy: string | null): VerdictPage {
  const { subject, verdict, reason, used, limit, unit, resource, window, level, places, resetsAtMs } = record;
  return {
    subject,
    verdict,
    reason,
    since: iso(record.sinceMs),
    until: verdict === 'tarpit' && resetsAtMs !== null ? iso(resetsAtMs) : null,
    used,
    limit,
    unit,
    resource,
    window,
    level: level && { runMs: level.runMs, stopMs: level.stopMs, mechanism: level.mechanism },
    overruledBy,
    places,
    readAt: iso(record.readAtMs),
  };
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString();
}

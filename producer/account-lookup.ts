/**
 * The page of an account for who is not the producer: made from the ledger, operators' words and the orders that stand,
 * all as Redis has them. Reads only.
 */
import type { Redis } from '../shared/redis/connection.ts';
import { readStanding } from '../shared/redis/desired.ts';
import { type AccountPage, describeAccount } from './account-page.ts';
import { Ledger, type LedgerEntry } from './ledger.ts';
import { readOperatorWords } from './operator-words.ts';
import { isHeld } from './policy/brake.ts';
import type { PolicyConfig } from './policy/config.ts';
import { Rules } from './policy/rules.ts';
import { isReleasedByOther } from './precedence.ts';
import { subjectKey } from './subject-verdict.ts';

export interface AccountLookup {
  page: AccountPage;
  /** Limits that the ledger knows and this config does not: it may be another than the producer's. */
  foreignLimits: string[];
}

/** Null when nothing is known of the account. Rejects when Redis cannot be asked. */
export async function readAccountPage(
  redis: Redis,
  config: PolicyConfig,
  account: string,
  nowMs: number,
): Promise<AccountLookup | null> {
  const [entries, { pins, brake }] = await Promise.all([new Ledger(redis).read([account]), readOperatorWords(redis)]);
  const entry = entries.get(account)!;
  const overruled = await findOverruled(redis, entry);
  const rules = new Rules(config).of(account);
  const page = describeAccount(entry, {
    rules,
    pin: pins.get(account) ?? null,
    mayEnter: config.brake === 'off' || !isHeld(brake),
    overruledBy: (key) => overruled.get(key) ?? null,
    nowMs,
  });
  const names = [...entry.states.values()].flatMap(({ limits }) => Object.keys(limits));
  const isForeign = (name: string) => !name.startsWith('*') && !rules.limits.some((limit) => limit.name === name);
  return page && { page, foreignLimits: [...new Set(names)].filter(isForeign) };
}

/** By subjectKey: who has released a place of it since it was put in. */
async function findOverruled(redis: Redis, { states, places }: LedgerEntry): Promise<Map<string, string>> {
  const overruled = new Map<string, string>();
  for (const state of states.values()) {
    const { hobble, sinceMs } = state.standing;
    for (const { host, target } of hobble ? (places.get(state.subject) ?? []) : []) {
      const order = await readStanding(redis, host, target);
      if (order && isReleasedByOther(order, sinceMs ?? 0)) overruled.set(subjectKey(state), order.by);
    }
  }
  return overruled;
}

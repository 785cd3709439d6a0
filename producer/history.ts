/**
 * Writes down what became of accounts, for people to look at: changes always, readings of who is slowed or near a limit
 * now and then. Decides nothing and is never waited for: where Redis takes it not, the policy goes on without. Its memory
 * is when it wrote of whom last, bounded.
 */
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import { type Explained, HISTORY_ENTRIES, HISTORY_TTL_MS, type HistoryEntry } from '../shared/history.ts';
import { explainedKey, historyKey } from '../shared/keys.ts';
import type { Logger } from '../shared/log.ts';
import type { Redis } from '../shared/redis/connection.ts';
import type { Outcome } from './outcome.ts';
import { explain } from './policy/explain.ts';
import { circumstancesOf, lookAt } from './policy/look.ts';
import { overrideAt } from './policy/override.ts';

/** Readings of one account and subject are not written oftener, milliseconds. */
const READINGS_EVERY_MS = 5 * 60_000;
/** Whoever uses less of each limit is of no interest. */
const NEAR_RATIO = 0.5;
/** Past this many remembered moments all are forgotten, and some readings are written too soon. */
const MAX_REMEMBERED = 200_000;

export class History {
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #writtenAtMs = new Map<string, number>();

  constructor(redis: Redis, clock: Clock, log: Logger) {
    this.#redis = redis;
    this.#clock = clock;
    this.#log = log;
  }

  /** Notes what came of a pass. Returns at once. */
  note(outcomes: readonly Outcome[], mayEnter: boolean): void {
    const nowMs = this.#clock.wallMs();
    const pipeline = this.#redis.pipeline();
    for (const [account, own] of Map.groupBy(outcomes, ({ it }) => it.account)) {
      const entries = own.flatMap((outcome) => this.#entriesOf(outcome, mayEnter, nowMs));
      if (entries.length === 0) continue;
      const key = historyKey(account);
      for (const entry of entries)
        pipeline.xadd(key, 'MAXLEN', '~', HISTORY_ENTRIES, '*', 'entry', JSON.stringify(entry));
      pipeline.pexpire(key, HISTORY_TTL_MS);
      const explained: Explained = {
        v: 1,
        atMs: nowMs,
        subjects: own.map((outcome) => said(outcome, mayEnter, nowMs)),
      };
      pipeline.set(explainedKey(account), JSON.stringify(explained), 'PX', HISTORY_TTL_MS);
    }
    if (pipeline.length > 0) void this.#send(pipeline);
  }

  async #send(pipeline: ReturnType<Redis['pipeline']>): Promise<void> {
    try {
      const failed = (await pipeline.exec())?.find(([error]) => error)?.[0];
      if (failed) throw failed;
    } catch (error) {
      this.#log.debug(`history: ${messageOf(error)}`);
    }
  }

  #entriesOf({ it, decision, verdict }: Outcome, mayEnter: boolean, nowMs: number): HistoryEntry[] {
    const { account, subject, rules, pin } = it;
    const { state, change } = decision;
    const name = JSON.stringify([account, subject]);
    const isDue = nowMs - (this.#writtenAtMs.get(name) ?? Number.NEGATIVE_INFINITY) >= READINGS_EVERY_MS;
    if (change === null && !isDue) return [];
    const { standing } = state;
    const override = overrideAt(rules.exemptions, pin, nowMs);
    const looks = lookAt(state, rules, circumstancesOf(standing, rules, override, nowMs, mayEnter));
    const uses = looks.flatMap(({ limit, use }) => (use && use.limit > 0 ? [{ limit, use }] : []));
    const isNear = uses.some(({ use }) => use.used >= NEAR_RATIO * use.limit);
    if (change === null && standing.hobble === null && !isNear) return [];
    if (this.#writtenAtMs.size >= MAX_REMEMBERED) this.#writtenAtMs.clear();
    this.#writtenAtMs.set(name, nowMs);
    const entries: HistoryEntry[] = uses.map(({ limit: { name, unit, resource }, use }) => ({
      ...{ kind: 'reading', subject, limit: name, used: use.used, of: use.limit, unit, resource },
    }));
    if (change === null) return entries;
    const { hobble, limit, level } = standing;
    const cycle = hobble && { runMs: hobble.runMs, stopMs: hobble.stopMs };
    return [...entries, { kind: 'change', subject, change, hobble: cycle, limit, level, why: verdict.reason }];
  }
}

function said({ it, decision: { state } }: Outcome, mayEnter: boolean, nowMs: number): Explained['subjects'][number] {
  const { account, subject, rules, pin } = it;
  const { isSlowed, summary, details } = explain({ account, subject, state, rules, pin, nowMs, mayEnter });
  return { subject, isSlowed, summary, details };
}

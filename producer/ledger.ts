/**
 * The ledger: what the producer remembers of each account, in one Redis hash per account, so that it survives a
 * restart. Owns the fields of that hash and nothing of what they mean. Each account is one slot, and no script or
 * transaction spans two. What cannot be read is returned as unreadable, never thrown and never guessed.
 *
 *   record:SUBJECT  the last figures and verdict        written at each reading
 *   owed:SUBJECT    places that are still to be untarpitted; kept until the orders are given, so that a producer that
 *                   dies between verdict and order gives them when it is back
 *   meter           the meter's counters and what it counted in this window
 */
import { z } from 'zod';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { LEDGER_PATTERN, ledgerKey } from '../shared/keys.ts';
import type { Redis } from '../shared/redis/connection.ts';
import type { Place } from './place.ts';
import { type AccountRecord, parseRecord, placeSchema } from './record.ts';

/** An account of which nothing came for so long is forgotten; longer than any window. */
const FORGET_AFTER_MS = 40 * 86_400_000;
/** Accounts per pipeline: some 100 KB of replies. */
const ACCOUNTS_AT_A_TIME = 500;

const meterSchema = z.object({
  window: z.string(),
  /** CPU seconds counted in that window, over all hosts. */
  usedSeconds: z.number().min(0),
  /** By host and target: the boot and the counter last seen, so that only what came since is added. */
  counters: z.record(z.string(), z.object({ boot: z.string(), seconds: z.number().min(0) })),
});
export type MeterMemory = z.infer<typeof meterSchema>;

export interface LedgerEntry {
  account: string;
  records: Map<string, AccountRecord>;
  owed: Map<string, Place[]>;
  meter: MeterMemory | null;
  /** Fields that cannot be read, and why. */
  unreadable: Map<string, string>;
}

export interface LedgerChange {
  record: AccountRecord;
  /** Places to untarpit; null: none. */
  owed: Place[] | null;
  /** Subjects of this account that may be forgotten. */
  forget: readonly string[];
}

const RECORD = 'record:';
const OWED = 'owed:';
const METER = 'meter';

export class Ledger {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Reads these accounts; one without any memory has an empty entry. Rejects when Redis cannot be asked. */
  async read(accounts: readonly string[]): Promise<Map<string, LedgerEntry>> {
    const entries = new Map<string, LedgerEntry>();
    for (const some of chunks(accounts, ACCOUNTS_AT_A_TIME)) {
      const pipeline = this.#redis.pipeline();
      for (const account of some) pipeline.hgetall(ledgerKey(account));
      const replies = (await pipeline.exec()) ?? [];
      some.forEach((account, index) => {
        const [error, hash] = replies[index] ?? [new HobblerError('internal', 'no reply')];
        if (error && !isWrongType(error)) throw error;
        entries.set(account, parseEntry(account, error ? null : (hash as Record<string, string>)));
      });
    }
    return entries;
  }

  /** Writes all changes. Rejects when one of them may not have been written. */
  async save(changes: readonly LedgerChange[]): Promise<void> {
    await this.#writeAll(changes, (pipeline, { record, owed, forget }) => {
      const key = ledgerKey(record.account);
      pipeline.hset(key, `${RECORD}${record.subject}`, JSON.stringify(record));
      if (owed) pipeline.hset(key, `${OWED}${record.subject}`, JSON.stringify(owed));
      else pipeline.hdel(key, `${OWED}${record.subject}`);
      if (forget.length > 0) pipeline.hdel(key, ...forget.map((subject) => `${RECORD}${subject}`));
      pipeline.pexpire(key, FORGET_AFTER_MS);
      return 3 + (forget.length > 0 ? 1 : 0);
    });
  }

  /** The untarpits of these subjects are given. */
  async settle(debts: readonly { account: string; subject: string }[]): Promise<void> {
    await this.#writeAll(debts, (pipeline, { account, subject }) => {
      pipeline.hdel(ledgerKey(account), `${OWED}${subject}`);
      return 1;
    });
  }

  /** Keeps what the meter counted. */
  async saveMeters(meters: ReadonlyMap<string, MeterMemory>): Promise<void> {
    await this.#writeAll([...meters], (pipeline, [account, memory]) => {
      pipeline.hset(ledgerKey(account), METER, JSON.stringify(memory));
      pipeline.pexpire(ledgerKey(account), FORGET_AFTER_MS);
      return 2;
    });
  }

  /** Removes a ledger whose key holds something that is no hash: nothing can be kept in it. */
  async removeUnusable(account: string): Promise<void> {
    await this.#redis.del(ledgerKey(account));
  }

  /** Every account's entry, a few hundred at a time. For the start. */
  async *all(): AsyncGenerator<LedgerEntry> {
    const prefix = LEDGER_PATTERN.slice(0, -1);
    let cursor = '0';
    do {
      const reply = await this.#redis.scan(cursor, 'MATCH', LEDGER_PATTERN, 'COUNT', ACCOUNTS_AT_A_TIME);
      const [next, keys] = reply as [string, string[]];
      cursor = next;
      const accounts = keys
        .map((key) => key.slice(prefix.length + 1, -1))
        .filter((name, i) => ledgerKey(name) === keys[i]);
      yield* (await this.read(accounts)).values();
    } while (cursor !== '0');
  }

  async #writeAll<T>(items: readonly T[], add: (pipeline: Pipeline, item: T) => number): Promise<void> {
    for (const some of chunks(items, ACCOUNTS_AT_A_TIME)) {
      const pipeline = this.#redis.pipeline();
      let commands = 0;
      for (const item of some) commands += add(pipeline, item);
      const replies = (await pipeline.exec()) ?? [];
      const failed = replies.find(([error]) => error !== null);
      if (failed?.[0]) throw failed[0];
      if (replies.length !== commands)
        throw new HobblerError('internal', 'replies are missing', { got: replies.length });
    }
  }
}

type Pipeline = ReturnType<Redis['pipeline']>;

function isWrongType(error: Error): boolean {
  return error.message.startsWith('WRONGTYPE');
}

/** The field name under which an entry reports that its whole key is no hash. */
export const WHOLE_KEY = 'key';

function parseEntry(account: string, hash: Record<string, string> | null): LedgerEntry {
  const entry: LedgerEntry = { account, records: new Map(), owed: new Map(), meter: null, unreadable: new Map() };
  if (hash === null) {
    entry.unreadable.set(WHOLE_KEY, 'the key holds something that is no hash');
    return entry;
  }
  for (const [field, text] of Object.entries<string>(hash)) {
    if (field.startsWith(RECORD)) {
      const subject = field.slice(RECORD.length);
      const record = parseRecord(text, account, subject);
      if ('unreadable' in record) entry.unreadable.set(field, record.unreadable);
      else entry.records.set(subject, record);
      continue;
    }
    try {
      if (field.startsWith(OWED))
        entry.owed.set(field.slice(OWED.length), z.array(placeSchema).parse(JSON.parse(text)));
      else if (field === METER) entry.meter = meterSchema.parse(JSON.parse(text));
    } catch (error) {
      entry.unreadable.set(field, messageOf(error).slice(0, 300));
    }
  }
  return entry;
}

/** Whether the record of this subject is there but cannot be read. */
export function isUnreadable({ unreadable }: LedgerEntry, subject: string): boolean {
  return unreadable.has(`${RECORD}${subject}`) || unreadable.has(WHOLE_KEY);
}

function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

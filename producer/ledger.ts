/**
 * The ledger: what the producer remembers of each account, in one Redis hash per account, so that it survives a
 * restart. Owns the fields of that hash and nothing of what they mean. Each account is one slot, and no script or
 * transaction spans two. What cannot be read is returned as unreadable, never thrown and never guessed.
 *
 *   revision        grows with each write; every write is a compare-and-set on it, so that two producers agree
 *   state:SUBJECT   what the policy remembers
 *   places:SUBJECT  where it is slowed, while it is
 *   owed:SUBJECT    places that are still to be untarpitted; kept until the orders are given, so that a producer that
 *                   dies between verdict and order gives them when it is back
 *   meter           the meter's counters and their sum
 *   record:SUBJECT  of an older hobbler: its places are owed, and the rest is let go
 */
import { z } from 'zod';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { LEDGER_PATTERN, ledgerKey } from '../shared/keys.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { loadScript, runScript } from '../shared/redis/scripts.ts';
import { type Place, placesSchema } from './place.ts';
import { type LedgerState, parseState } from './policy/state.ts';

const putLedger = loadScript('put-ledger');

/** An account of which nothing came for so long is forgotten; longer than any window. */
const FORGET_AFTER_MS = 40 * 86_400_000;
/** Accounts per pipeline: some 500 KB of replies. */
export const ACCOUNTS_AT_A_TIME = 500;

const meterSchema = z.object({
  v: z.literal(2),
  /** CPU seconds counted over all hosts since the count began; only grows. */
  totalSeconds: z.number().min(0),
  /** The moment for which that sum stands, milliseconds since 1970. */
  atMs: z.number().min(0),
  /** By host and target: the boot and the counter last seen, so that only what came since is added. */
  counters: z.record(z.string(), z.object({ boot: z.string(), seconds: z.number().min(0), atMs: z.number().min(0) })),
});
export type MeterMemory = z.infer<typeof meterSchema>;

const debtSchema = z.object({
  /** When it was let go, milliseconds since 1970: tells one debt from a later one of the same subject. */
  sinceMs: z.number().min(0),
  places: placesSchema,
});
export type Debt = z.infer<typeof debtSchema>;

export interface LedgerEntry {
  account: string;
  /** As read; 0: nothing stands there. */
  revision: number;
  states: Map<string, LedgerState>;
  places: Map<string, Place[]>;
  owed: Map<string, Debt>;
  meter: MeterMemory | null;
  /** Fields of an older hobbler, removed by the next write. */
  outdated: string[];
  /** Fields that cannot be read, and why. */
  unreadable: Map<string, string>;
}

export interface SubjectChange {
  state: LedgerState;
  /** Where it is slowed; empty while it is not. */
  places: readonly Place[];
  /** Places to untarpit; null: none. */
  owed: Debt | null;
}

/** What is to be written of one account, judged upon this entry. */
export interface LedgerChange {
  entry: LedgerEntry;
  subjects: readonly SubjectChange[];
  /** Subjects that may be forgotten. */
  forget: readonly string[];
}

/** What is wrong with a field is told in so many characters: a broken state can be wrong in a thousand places. */
const MAX_WHY_CHARS = 300;

const STATE = 'state:';
const PLACES = 'places:';
const OWED = 'owed:';
const RECORD = 'record:';
const METER = 'meter';
const REVISION = 'revision';
/** The field name under which an entry reports that its whole key is no hash. */
export const WHOLE_KEY = 'key';

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

  /**
   * Writes all changes, each only if its account is still what was read. Returns the accounts where it is not: nothing
   * of theirs is written. Rejects when one of the others may not have been written.
   */
  async save(changes: readonly LedgerChange[]): Promise<Set<string>> {
    return this.#putAll(
      changes.map(({ entry, subjects, forget }) => {
        const set = new Map<string, string>();
        const remove = [...entry.outdated];
        for (const { state, places, owed } of subjects) {
          const { subject } = state;
          set.set(`${STATE}${subject}`, JSON.stringify(state));
          if (places.length > 0) set.set(`${PLACES}${subject}`, JSON.stringify(places));
          else remove.push(`${PLACES}${subject}`);
          if (owed) set.set(`${OWED}${subject}`, JSON.stringify(owed));
          else remove.push(`${OWED}${subject}`);
        }
        for (const subject of forget) remove.push(`${STATE}${subject}`, `${PLACES}${subject}`);
        return { entry, set, remove };
      }),
    );
  }

  /** The untarpits of these debts are given; a later debt of the same subject stays. */
  async settle(debts: readonly { account: string; subject: string; sinceMs: number }[]): Promise<void> {
    const entries = await this.read([...new Set(debts.map(({ account }) => account))]);
    const puts = [...entries.values()].flatMap((entry) => {
      const paid = debts.filter(
        ({ account, subject, sinceMs }) =>
          account === entry.account && (entry.owed.get(subject)?.sinceMs ?? Number.POSITIVE_INFINITY) <= sinceMs,
      );
      const remove = [...paid.map(({ subject }) => `${OWED}${subject}`), ...(paid.length > 0 ? entry.outdated : [])];
      return remove.length === 0 ? [] : { entry, set: new Map<string, string>(), remove };
    });
    // What was overtaken stays owed, and is given once more at the next start, which does no harm.
    await this.#putAll(puts);
  }

  /** Keeps what the meter counted upon these entries. Returns the accounts that were overtaken. */
  async saveMeters(meters: readonly { entry: LedgerEntry; meter: MeterMemory }[]): Promise<Set<string>> {
    return this.#putAll(
      meters.map(({ entry, meter }) => ({ entry, set: new Map([[METER, JSON.stringify(meter)]]), remove: [] })),
    );
  }

  /** The names of all accounts of which something is remembered, some at a time; one may come twice. */
  async *accounts(): AsyncGenerator<string[]> {
    const prefix = LEDGER_PATTERN.slice(0, LEDGER_PATTERN.indexOf('*'));
    let cursor = '0';
    do {
      const reply = await this.#redis.scan(cursor, 'MATCH', LEDGER_PATTERN, 'COUNT', ACCOUNTS_AT_A_TIME);
      const [next, keys] = reply as [string, string[]];
      cursor = next;
      yield keys.map((key) => key.slice(prefix.length, -1)).filter((name, i) => ledgerKey(name) === keys[i]);
    } while (cursor !== '0');
  }

  async #putAll(puts: readonly Put[]): Promise<Set<string>> {
    const overtaken = new Set<string>();
    for (const some of chunks(puts, ACCOUNTS_AT_A_TIME)) {
      // Nothing can be kept in a key that is no hash.
      for (const { entry } of some)
        if (entry.unreadable.has(WHOLE_KEY)) await this.#redis.del(ledgerKey(entry.account));
      // All sent at once: ioredis writes them as one pipeline would.
      const replies = await Promise.all(some.map((put) => this.#put(put)));
      some.forEach(({ entry }, index) => {
        if (replies[index] === 'stale') overtaken.add(entry.account);
      });
    }
    return overtaken;
  }

  async #put({ entry, set, remove }: Put): Promise<'written' | 'stale'> {
    const args = [entry.revision, FORGET_AFTER_MS, set.size, ...[...set].flat(), ...remove];
    const reply = (await runScript(this.#redis, putLedger, [ledgerKey(entry.account)], args)) as string[];
    if (reply[0] === 'written' || reply[0] === 'stale') return reply[0];
    throw new HobblerError('internal', 'unknown reply of put-ledger', { got: reply });
  }
}

interface Put {
  entry: LedgerEntry;
  set: ReadonlyMap<string, string>;
  remove: readonly string[];
}

function isWrongType(error: Error): boolean {
  return error.message.startsWith('WRONGTYPE');
}

/** An entry of an account of which nothing is remembered. */
export function emptyEntry(account: string): LedgerEntry {
  return {
    account,
    revision: 0,
    states: new Map(),
    places: new Map(),
    owed: new Map(),
    meter: null,
    outdated: [],
    unreadable: new Map(),
  };
}

/** Reads one account's hash; null stands for a key that is none. Never throws: what cannot be read is told in the entry. */
export function parseEntry(account: string, hash: Record<string, string> | null): LedgerEntry {
  const entry = emptyEntry(account);
  if (hash === null) {
    entry.unreadable.set(WHOLE_KEY, 'the key holds something that is no hash');
    return entry;
  }
  for (const [field, text] of Object.entries<string>(hash)) {
    try {
      parseField(entry, field, text);
    } catch (error) {
      entry.unreadable.set(field, messageOf(error).slice(0, MAX_WHY_CHARS));
    }
  }
  return entry;
}

function parseField(entry: LedgerEntry, field: string, text: string): void {
  const of = (prefix: string) => (field.startsWith(prefix) ? field.slice(prefix.length) : undefined);
  const [state, places, owed, record] = [of(STATE), of(PLACES), of(OWED), of(RECORD)];
  if (state !== undefined) {
    const parsed = parseState(text, entry.account, state);
    if ('unreadable' in parsed) entry.unreadable.set(field, parsed.unreadable.slice(0, MAX_WHY_CHARS));
    else entry.states.set(state, parsed);
  } else if (places !== undefined) entry.places.set(places, placesSchema.parse(JSON.parse(text)));
  else if (owed !== undefined) entry.owed.set(owed, debtSchema.parse(JSON.parse(text)));
  else if (record !== undefined) {
    entry.outdated.push(field);
    entry.owed.set(record, { sinceMs: 0, places: placesSchema.parse(JSON.parse(text).places) });
  } else if (field === METER) entry.meter = meterSchema.parse(JSON.parse(text));
  else if (field === REVISION) entry.revision = z.coerce.number().int().min(1).parse(text);
}

/** Whether something is remembered of this subject that cannot be read. */
export function isUnreadable({ unreadable }: LedgerEntry, subject: string): boolean {
  return [`${STATE}${subject}`, `${PLACES}${subject}`, `${RECORD}${subject}`, WHOLE_KEY].some((field) =>
    unreadable.has(field),
  );
}

function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

/**
 * Ledger and operators' words in memory, for several producers at once: written as text, so that nothing is shared but
 * what Redis would keep; a write upon an old revision is overtaken, as it is there. Writing waits, and fails, where a
 * test says so. What the real ones do is tested on a real Redis.
 */
import { emptyEntry, type Ledger, type LedgerChange, type LedgerEntry } from '../../../producer/ledger.ts';
import { parseState } from '../../../producer/policy/state.ts';
import { ledgerKeys } from '../../../shared/keys.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import type { Pin } from '../../../shared/redis/pins.ts';

interface Kept extends Pick<LedgerEntry, 'revision' | 'places' | 'owed'> {
  states: Map<string, string>;
}

export class MemoryLedger {
  /** `ACCOUNT REASON-OF-STANDING`, in the order of writing. */
  readonly saved: LedgerChange[] = [];
  readonly accountsKept = new Map<string, Kept>();
  readonly pins = new Map<string, string>();
  brake: string | null = null;
  readonly audit: string[] = [];
  gate: Promise<void> = Promise.resolve();
  failures = 0;

  get ledger(): Ledger {
    return this as unknown as Ledger;
  }

  /** As much of Redis as operators' words need. */
  get redis(): Redis {
    return {
      hgetall: async () => Object.fromEntries(this.pins),
      hget: async (_key: string, account: string) => this.pins.get(account) ?? null,
      get: async () => this.brake,
      set: async (key: string, text: string) => {
        if (key === ledgerKeys.brake) this.brake = text;
      },
      xadd: async (...args: string[]) => this.audit.push(args.join(' ')),
    } as unknown as Redis;
  }

  pin(
    account: string,
    pin: Omit<Extract<Pin, { kind: 'release' }>, 'v'> | Omit<Extract<Pin, { kind: 'keep' }>, 'v'>,
  ): void {
    this.pins.set(account, JSON.stringify({ v: 1, ...pin }));
  }

  async *accounts(): AsyncGenerator<string[]> {
    yield [...this.accountsKept.keys()];
  }

  async read(accounts: readonly string[]): Promise<Map<string, LedgerEntry>> {
    return new Map(accounts.map((account) => [account, this.#entry(account)]));
  }

  #entry(account: string): LedgerEntry {
    const kept = this.accountsKept.get(account);
    const entry = emptyEntry(account);
    if (!kept) return entry;
    for (const [subject, text] of kept.states) {
      const state = parseState(text, account, subject);
      if ('unreadable' in state) entry.unreadable.set(`state:${subject}`, state.unreadable);
      else entry.states.set(subject, state);
    }
    return { ...entry, revision: kept.revision, places: new Map(kept.places), owed: new Map(kept.owed) };
  }

  async save(changes: readonly LedgerChange[]): Promise<Set<string>> {
    await this.gate;
    if (this.failures-- > 0) throw new Error('Connection is closed.');
    const overtaken = new Set<string>();
    for (const change of changes) {
      const { account, revision } = change.entry;
      const kept = this.accountsKept.get(account) ?? {
        revision: 0,
        states: new Map(),
        places: new Map(),
        owed: new Map(),
      };
      if (kept.revision !== revision) {
        overtaken.add(account);
        continue;
      }
      this.saved.push(change);
      kept.revision++;
      for (const { state, places, owed } of change.subjects) {
        kept.states.set(state.subject, JSON.stringify(state));
        if (places.length > 0) kept.places.set(state.subject, [...places]);
        else kept.places.delete(state.subject);
        if (owed) kept.owed.set(state.subject, owed);
        else kept.owed.delete(state.subject);
      }
      for (const subject of change.forget) kept.states.delete(subject);
      this.accountsKept.set(account, kept);
    }
    return overtaken;
  }

  async settle(debts: readonly { account: string; subject: string; sinceMs: number }[]): Promise<void> {
    for (const { account, subject, sinceMs } of debts) {
      const kept = this.accountsKept.get(account);
      if (!kept || (kept.owed.get(subject)?.sinceMs ?? Number.POSITIVE_INFINITY) > sinceMs) continue;
      kept.owed.delete(subject);
      kept.revision++;
    }
  }
}

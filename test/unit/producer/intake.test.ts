/** The intake's own promises, with a ledger that can be held up: one pass at a time, and a bound on what waits. */
import { describe, expect, it } from 'vitest';
import { Enforcer } from '../../../producer/enforcer.ts';
import { Intake } from '../../../producer/intake.ts';
import type { Ledger, LedgerChange, LedgerEntry } from '../../../producer/ledger.ts';
import type { ReadingInput } from '../../../producer/reading.ts';
import { silentLogger } from '../../../shared/log.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { config, NOW_MS } from './support.ts';

/** A ledger in memory whose writing waits until it is let on, and fails where a test says so. */
class HeldLedger {
  readonly saved: LedgerChange[] = [];
  readonly entries = new Map<string, LedgerEntry>();
  gate: Promise<void> = Promise.resolve();
  failures = 0;

  async read(accounts: readonly string[]): Promise<Map<string, LedgerEntry>> {
    const empty = (account: string): LedgerEntry => ({
      account,
      records: new Map(),
      owed: new Map(),
      meter: null,
      unreadable: new Map(),
    });
    return new Map(accounts.map((account) => [account, this.entries.get(account) ?? empty(account)]));
  }

  async save(changes: readonly LedgerChange[]): Promise<void> {
    await this.gate;
    if (this.failures-- > 0) throw new Error('Connection is closed.');
    this.saved.push(...changes);
    for (const { record } of changes) {
      const entry = (await this.read([record.account])).get(record.account)!;
      entry.records.set(record.subject, record);
      this.entries.set(record.account, entry);
    }
  }
}

function open() {
  const ledger = new HeldLedger();
  const clock = new FakeClock(NOW_MS);
  const desk = { offer: async () => ({ status: 'given' as const }) as never, standingOnHosts: async () => new Map() };
  const log = silentLogger();
  const enforcer = new Enforcer({ desk, leaseMs: 900_000, dryRun: true, clock, log, onSettled: async () => {} });
  const intake = new Intake({ config: config(), ledger: ledger as unknown as Ledger, enforcer, clock, log });
  return { intake, ledger, enforcer };
}
const reading = (used: number, account = 'alice'): ReadingInput => ({ reading: { account, used } });

describe('the intake', () => {
  it('judges a batch only when the one before is written down', async () => {
    const { intake, ledger } = open();
    const held = Promise.withResolvers<void>();
    ledger.gate = held.promise;
    const both = Promise.all([intake.accept([reading(2104)]), intake.accept([reading(1900)])]);
    held.resolve();
    await both;
    expect(ledger.saved.map(({ record }) => record.reason)).toEqual([
      'cpu 2104 s of 2000 s, until 00:00 UTC',
      'cpu 1900 s of 2000 s, was over; let go below 1800 s, or at 00:00 UTC',
    ]);
  });

  it('says "later" when more waits than may', async () => {
    const { intake, ledger } = open();
    const held = Promise.withResolvers<void>();
    ledger.gate = held.promise;
    const many = Array.from({ length: 120_000 }, (): ReadingInput => ({ refused: 'bad' }));
    const first = intake.accept([reading(1), ...many]);
    await expect(intake.accept(many)).rejects.toMatchObject({ code: 'bound-exceeded' });
    held.resolve();
    expect(await first).toMatchObject({ accepted: 1 });
    expect((await intake.accept(many)).refused).toHaveLength(120_000);
  });

  it('a pass that could not be written down is not acknowledged, and orders nothing', async () => {
    const { intake, ledger, enforcer } = open();
    ledger.failures = 1;
    await expect(intake.accept([reading(2104)])).rejects.toThrow('Connection is closed.');
    expect(enforcer.claims.size).toBe(0);
    expect(await intake.accept([reading(2104)])).toMatchObject({ accepted: 1 });
    expect(enforcer.claims.size).toBe(1);
  });

  it('a verdict that was written before a failure is enforced when the reading comes again', async () => {
    const { intake, ledger, enforcer } = open();
    const other = open();
    await other.intake.accept([reading(2104)]);
    ledger.entries.set('alice', other.ledger.entries.get('alice')!);
    await intake.accept([reading(2104)]);
    expect(enforcer.claims.has('alice\naccount')).toBe(true);
  });

  it('of a batch about one account only the end counts', async () => {
    const { intake, ledger, enforcer } = open();
    await intake.accept([reading(2104), reading(3), reading(7, 'bob')]);
    expect(ledger.saved.map(({ record }) => `${record.account} ${record.verdict}`)).toEqual([
      'alice leave',
      'bob leave',
    ]);
    expect(enforcer.claims.size).toBe(0);
  });
});

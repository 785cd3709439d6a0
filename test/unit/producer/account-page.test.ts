/** What an account's owner is told, in words. */
import { describe, expect, it } from 'vitest';
import { describeAccount } from '../../../producer/account-page.ts';
import type { LedgerEntry } from '../../../producer/ledger.ts';
import { quantity } from '../../../producer/words.ts';
import { NOW_MS, record } from './support.ts';

const entry = (parts: Partial<LedgerEntry> = {}): LedgerEntry => ({
  account: 'alice',
  records: new Map([['account', record()]]),
  owed: new Map(),
  meter: null,
  unreadable: new Map(),
  ...parts,
});

describe('the page of an account', () => {
  it('says in one sentence why it is slow and until when', () => {
    expect(describeAccount(entry(), () => null, NOW_MS)).toMatchObject({
      isSlowed: true,
      summary:
        'alice is slowed down to 10 ms of every 210 ms since 15:59 UTC: cpu 2104 s of 2000 s, until 00:00 UTC. It ends at 00:00 UTC at the latest.',
      verdicts: [{ used: 2104, limit: 2000, until: '2025-11-25T00:00:00.000Z', overruledBy: null }],
    });
  });

  it('does not call an account slow that an operator has released', () => {
    expect(describeAccount(entry(), () => 'operator:eve', NOW_MS)).toMatchObject({
      isSlowed: false,
      verdicts: [{ verdict: 'tarpit', overruledBy: 'operator:eve' }],
    });
  });

  it('is not there for an account of which nothing is known, and says what cannot be read', () => {
    expect(describeAccount(entry({ records: new Map() }), () => null, NOW_MS)).toBeNull();
    const broken = entry({ records: new Map(), unreadable: new Map([['record:account', 'not JSON']]) });
    expect(describeAccount(broken, () => null, NOW_MS)).toMatchObject({
      isSlowed: false,
      unreadable: ['record:account'],
    });
  });
});

describe('figures', () => {
  it.each([
    [2104, 's', '2104 s'],
    [1999.999, 's', '1999.99 s'],
    [0.29, 'GB', '0.29 GB'],
    [12, '', '12'],
    [1e15, 'B', '1000000000000000 B'],
    [0, 's', '0 s'],
  ])('%d %s is shown as %s', (value, unit, shown) => {
    expect(quantity(value, unit)).toBe(shown);
  });
});

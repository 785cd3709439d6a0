/** What an account's owner is told, in words. */
import { describe, expect, it } from 'vitest';
import { describeAccount, type PageContext } from '../../../producer/account-page.ts';
import type { LedgerEntry } from '../../../producer/ledger.ts';
import { emptyEntry } from '../../../producer/ledger.ts';
import { decide } from '../../../producer/policy/judge.ts';
import { Rules } from '../../../producer/policy/rules.ts';
import { quantity } from '../../../producer/words.ts';
import { config, LEVEL, MIDNIGHT_MS, NOW_MS } from './support.ts';

const rules = new Rules(config()).of('alice');
const context: PageContext = { rules, pin: null, mayEnter: true, overruledBy: () => null, nowMs: NOW_MS };

/** The ledger of an account that was over a minute ago. */
function entry(): LedgerEntry {
  const nowMs = NOW_MS - 60_000;
  const figure = { kind: 'figure' as const, id: null, readAtMs: nowMs, limitName: 'default', used: 2104, limit: null };
  const readings = [{ ...figure, unit: 's', resource: 'cpu', window: null, resetsAtMs: MIDNIGHT_MS, isRolling: false }];
  const { state } = decide({ account: 'alice', subject: 'account', prior: 'none', readings, rules, pin: null, nowMs });
  const places = new Map([['account', [{ host: '*', target: 'user:alice' }]]]);
  return { ...emptyEntry('alice'), states: new Map([['account', state]]), places };
}

describe('the page of an account', () => {
  it('says in one sentence why it is slow and until when, and limit by limit what is used', () => {
    expect(describeAccount(entry(), context)).toEqual({
      account: 'alice',
      isSlowed: true,
      summary:
        'alice is slowed down to 10 ms of every 210 ms since 15:59 UTC: cpu 2104 s of 2000 s, until 00:00 UTC. It gets out at 00:00 UTC if it uses no more.',
      verdicts: [
        {
          subject: 'account',
          verdict: 'tarpit',
          reason: 'cpu 2104 s of 2000 s, until 00:00 UTC',
          details: [
            expect.stringMatching(/^default: cpu 2104 s of 2000 s; resets at 00:00 UTC; .*; in since 15:59 UTC/),
          ],
          since: '2025-11-24T15:59:00.000Z',
          until: '2025-11-25T00:00:00.000Z',
          level: LEVEL,
          overruledBy: null,
          places: [{ host: '*', target: 'user:alice' }],
          limits: [
            {
              name: 'default',
              used: 2104,
              limit: 2000,
              unit: 's',
              resource: 'cpu',
              resetsAt: '2025-11-25T00:00:00.000Z',
              readAt: '2025-11-24T15:59:00.000Z',
              level: 1,
            },
          ],
        },
      ],
      unreadable: [],
    });
  });

  it('does not call an account slow that an operator has released', () => {
    expect(describeAccount(entry(), { ...context, overruledBy: () => 'operator:eve' })).toMatchObject({
      isSlowed: false,
      summary: 'alice is not slowed down: released by operator:eve.',
      verdicts: [{ verdict: 'tarpit', overruledBy: 'operator:eve' }],
    });
  });

  it('is not there for an account of which nothing is known, and says what cannot be read', () => {
    expect(describeAccount(emptyEntry('alice'), context)).toBeNull();
    const broken = { ...emptyEntry('alice'), unreadable: new Map([['state:account', 'not JSON']]) };
    expect(describeAccount(broken, context)).toMatchObject({ isSlowed: false, unreadable: ['state:account'] });
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

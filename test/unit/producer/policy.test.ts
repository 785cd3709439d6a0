/** The policy as tables of what leads to what, and as properties over any readings whatever. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judge, judgeTime, judgeUsage, type Prior } from '../../../producer/policy.ts';
import { type AccountRecord, recordKey } from '../../../producer/record.ts';
import { MIDNIGHT_MS, NOW_MS, RULES, record, usage } from './support.ts';

const free = (parts: Partial<AccountRecord> = {}) =>
  record({ verdict: 'leave', level: null, used: 100, reason: 'cpu 100 s of 2000 s', ...parts });

describe('one reading', () => {
  const table: [string, Prior, Parameters<typeof usage>[0], string, string][] = [
    ['below the limit, nothing known', 'none', { used: 1999 }, 'leave', 'cpu 1999 s of 2000 s'],
    ['at the limit', 'none', { used: 2000 }, 'tarpit', 'cpu 2000 s of 2000 s, until 00:00 UTC'],
    ['over the limit', free(), { used: 2104 }, 'tarpit', 'cpu 2104 s of 2000 s, until 00:00 UTC'],
    ['over, reset time not known', free(), { used: 2104, resetsAtMs: null }, 'tarpit', 'cpu 2104 s of 2000 s'],
    ['still over', record(), { used: 2300 }, 'tarpit', 'cpu 2300 s of 2000 s, until 00:00 UTC'],
    [
      'a little below the limit while in',
      record(),
      { used: 1900 },
      'tarpit',
      'cpu 1900 s of 2000 s, was over; let go below 1800 s, or at 00:00 UTC',
    ],
    [
      'exactly at the leave ratio while in',
      record(),
      { used: 1800 },
      'tarpit',
      'cpu 1800 s of 2000 s, was over; let go below 1800 s, or at 00:00 UTC',
    ],
    [
      'below the leave ratio in the same window',
      record(),
      { used: 1799 },
      'untarpit',
      'below 90 % of the limit: cpu 1799 s of 2000 s',
    ],
    [
      'a new window, below the limit',
      record(),
      { used: 1900, window: 'tomorrow' },
      'untarpit',
      'new window: cpu 1900 s of 2000 s',
    ],
    [
      'a new window, over again',
      record(),
      { used: 2100, window: 'tomorrow' },
      'tarpit',
      'cpu 2100 s of 2000 s, until 00:00 UTC',
    ],
    [
      'the old window has reset by the time of the reading',
      record({ window: null, resetsAtMs: NOW_MS - 1 }),
      { used: 1900, window: null },
      'untarpit',
      'new window: cpu 1900 s of 2000 s',
    ],
    [
      'the counter went backwards and no window is named',
      record(),
      { used: 12, isWindowNamed: false },
      'untarpit',
      'the counter went backwards from 2104 s, taken as a new window: cpu 12 s of 2000 s',
    ],
    [
      'the counter went backwards while free',
      free(),
      { used: 12, isWindowNamed: false },
      'leave',
      'the counter went backwards from 100 s, taken as a new window: cpu 12 s of 2000 s',
    ],
    [
      'a counter that goes back by a little is no way out',
      record(),
      { used: 1950, isWindowNamed: false },
      'tarpit',
      'cpu 1950 s of 2000 s, was over; let go below 1800 s, or at 00:00 UTC',
    ],
    [
      'the limit was raised above what was used',
      record(),
      { used: 2104, limit: 2200 },
      'untarpit',
      'limit raised from 2000 s: cpu 2104 s of 2200 s',
    ],
    [
      'the limit was lowered below what was used',
      free(),
      { used: 150, limit: 120 },
      'tarpit',
      'cpu 150 s of 120 s, until 00:00 UTC',
    ],
    ['a record that cannot be read, below the limit', 'unreadable', { used: 5 }, 'untarpit', 'cpu 5 s of 2000 s'],
    [
      'a record that cannot be read, over the limit',
      'unreadable',
      { used: 2104 },
      'tarpit',
      'cpu 2104 s of 2000 s, until 00:00 UTC',
    ],
    [
      'no unit and no resource',
      'none',
      { used: 12, limit: 10, unit: '', resource: '' },
      'tarpit',
      'used 12 of 10, until 00:00 UTC',
    ],
  ];

  it.each(table)('%s', (_title, prior, parts, verdict, reason) => {
    const judgement = judgeUsage(prior, usage(parts), RULES, NOW_MS);
    expect(judgement.verdict).toMatchObject({ verdict, reason });
    expect(judgement.record?.verdict).toBe(verdict === 'tarpit' ? 'tarpit' : 'leave');
  });

  it('an exempt account is left alone however much it used, and let go when it was in', () => {
    const rules = { ...RULES, exempt: new Set(['alice']) };
    expect(judgeUsage('none', usage({ used: 1e9 }), rules, NOW_MS).verdict.verdict).toBe('leave');
    expect(judgeUsage(record(), usage({ used: 1e9 }), rules, NOW_MS).verdict.verdict).toBe('untarpit');
  });

  it('a reading of a window that is over tarpits nobody', () => {
    const judgement = judgeUsage('none', usage({ used: 9999, resetsAtMs: NOW_MS }), RULES, NOW_MS);
    expect(judgement).toMatchObject({
      verdict: { verdict: 'leave' },
      record: null,
      ignored: expect.stringMatching(/^late/),
    });
  });

  it('a late reading changes nothing', () => {
    const known = free({ readAtMs: NOW_MS });
    const judgement = judgeUsage(known, usage({ used: 9999, readAtMs: NOW_MS - 1 }), RULES, NOW_MS);
    expect(judgement).toMatchObject({
      verdict: { verdict: 'leave' },
      record: known,
      ignored: expect.stringMatching(/^late/),
    });
  });

  it('a clock that was set back does not make every reading late', () => {
    const known = record({ readAtMs: NOW_MS + 86_400_000 });
    const judgement = judgeUsage(known, usage({ used: 5, window: 'next' }), RULES, NOW_MS);
    expect(judgement.verdict.verdict).toBe('untarpit');
    expect(judgement.ignored).toBeUndefined();
  });

  it('the same reading twice changes nothing the second time', () => {
    const first = judgeUsage('none', usage({ used: 2104 }), RULES, NOW_MS);
    const second = judgeUsage(first.record!, usage({ used: 2104 }), RULES, NOW_MS);
    expect(second).toEqual(first);
  });

  it('how long an account has been in is counted from when it came in, not from the last reading', () => {
    const judgement = judgeUsage(record(), usage({ used: 2300 }), RULES, NOW_MS);
    expect(judgement.record?.sinceMs).toBe(NOW_MS - 60_000);
  });
});

describe('time alone', () => {
  it('lets go at the reset and not a millisecond before', () => {
    expect(judgeTime(record(), RULES, MIDNIGHT_MS - 1).verdict.verdict).toBe('tarpit');
    expect(judgeTime(record(), RULES, MIDNIGHT_MS).verdict).toEqual({
      verdict: 'untarpit',
      reason: 'the window reset at 00:00 UTC (cpu 2104 s of 2000 s before)',
    });
  });

  it('lets go when nothing was heard for long, because the accounting may be dead', () => {
    const endless = record({ resetsAtMs: null, receivedAtMs: NOW_MS });
    expect(judgeTime(endless, RULES, NOW_MS + RULES.forgetAfterMs).verdict.verdict).toBe('tarpit');
    expect(judgeTime(endless, RULES, NOW_MS + RULES.forgetAfterMs + 1).verdict).toMatchObject({
      verdict: 'untarpit',
      reason: 'no reading since 2025-11-24 16:00 UTC',
    });
  });

  it('lets go who has become exempt', () => {
    expect(judgeTime(record(), { ...RULES, exempt: new Set(['alice']) }, NOW_MS).verdict.verdict).toBe('untarpit');
  });

  it('never puts anybody in', () => {
    const known = free({ used: 5000 });
    expect(judgeTime(known, RULES, NOW_MS)).toEqual({
      verdict: { verdict: 'leave', reason: known.reason },
      record: known,
    });
  });
});

describe('a batch', () => {
  it('is judged in order, each reading upon what the one before left', () => {
    const verdicts = judge(
      [usage({ used: 2104 }), usage({ used: 1900 }), usage({ used: 10 }), usage({ account: 'bob', used: 2 })],
      new Map(),
      RULES,
      NOW_MS,
    ).map(({ verdict }) => verdict.verdict);
    expect(verdicts).toEqual(['tarpit', 'tarpit', 'untarpit', 'leave']);
  });

  it('keeps what one host reports apart from what another does', () => {
    const judgements = judge(
      [usage({ subject: 'web-1 -', used: 2104 }), usage({ subject: 'web-2 -', used: 1 })],
      new Map(),
      RULES,
      NOW_MS,
    );
    expect(judgements.map(({ verdict }) => verdict.verdict)).toEqual(['tarpit', 'leave']);
  });
});

describe('for any readings whatever', () => {
  const readings = fc.array(
    fc.record({
      used: fc.integer({ min: 0, max: 4000 }),
      stepMs: fc.integer({ min: 0, max: 7_200_000 }),
      window: fc.constantFrom('a', 'b', null),
      hasReset: fc.boolean(),
      isWindowNamed: fc.boolean(),
    }),
    { maxLength: 60 },
  );

  function replay(steps: typeof readings extends fc.Arbitrary<infer T> ? T : never) {
    let nowMs = NOW_MS;
    let prior: Prior = 'none';
    return steps.map((step) => {
      nowMs += step.stepMs;
      const { window, isWindowNamed, used } = step;
      const reading = usage({
        used,
        window,
        isWindowNamed,
        readAtMs: nowMs,
        resetsAtMs: step.hasReset ? MIDNIGHT_MS : null,
      });
      const before = prior;
      const judgement = judgeUsage(prior, reading, RULES, nowMs);
      if (judgement.record) prior = judgement.record;
      return { reading, before, judgement, nowMs };
    });
  }

  it('nobody enters below the limit', () => {
    fc.assert(
      fc.property(readings, (steps) => {
        for (const { reading, before, judgement } of replay(steps)) {
          const wasIn = before !== 'none' && before !== 'unreadable' && before.verdict === 'tarpit';
          if (!wasIn && judgement.verdict.verdict === 'tarpit')
            expect(reading.used).toBeGreaterThanOrEqual(reading.limit);
        }
      }),
    );
  });

  it('in one window nobody leaves before falling below the leave ratio, so an account near its limit does not flap', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1801, max: 2400 }), { maxLength: 80 }), (figures) => {
        let prior: Prior = 'none';
        let changes = 0;
        for (const used of figures) {
          const { verdict, record: next }: ReturnType<typeof judgeUsage> = judgeUsage(
            prior,
            usage({ used, isWindowNamed: used % 2 === 0 }),
            RULES,
            NOW_MS,
          );
          const was: string = typeof prior === 'string' ? 'leave' : prior.verdict;
          if ((verdict.verdict === 'tarpit') !== (was === 'tarpit')) changes++;
          prior = next!;
        }
        expect(changes).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('who is in gets out: at the reset, or when nothing is heard any more', () => {
    fc.assert(
      fc.property(readings, (steps) => {
        const last = replay(steps).at(-1);
        const known = last?.judgement.record;
        if (!known || known.verdict === 'leave') return;
        const endMs = known.resetsAtMs ?? known.receivedAtMs + RULES.forgetAfterMs + 1;
        expect(judgeTime(known, RULES, endMs).verdict.verdict).toBe('untarpit');
      }),
    );
  });

  it('untarpit is said only of who was in, and every verdict has a reason that fits into an order', () => {
    fc.assert(
      fc.property(readings, (steps) => {
        for (const { before, judgement } of replay(steps)) {
          const { verdict, reason } = judgement.verdict;
          if (verdict === 'untarpit') expect(before).toMatchObject({ verdict: 'tarpit' });
          expect(reason.length).toBeGreaterThan(0);
          expect(reason.length).toBeLessThanOrEqual(500);
          expect(reason).toMatch(/^\P{Cc}*$/u);
        }
      }),
    );
  });

  it('judging does not change what it was given', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4000 }), (used) => {
        const known = Object.freeze(record());
        const ledger = new Map<string, Prior>([[recordKey(known), known]]);
        judge([Object.freeze(usage({ used }))], ledger, RULES, NOW_MS);
        expect(ledger.get(recordKey(known))).toBe(known);
      }),
    );
  });
});

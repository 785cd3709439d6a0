/** What holds for any config and any readings whatever. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Prior } from '../../../../producer/policy/advance.ts';
import { attribute, type PolicyReading } from '../../../../producer/policy/attribute.ts';
import { explain } from '../../../../producer/policy/explain.ts';
import { type Decision, decide } from '../../../../producer/policy/judge.ts';
import type { AccountRules } from '../../../../producer/policy/rules.ts';
import { type LedgerState, parseState } from '../../../../producer/policy/state.ts';
import { type Arrival, anyArrivals, anyConfig } from './any-account.ts';
import { rulesFor } from './course.ts';

const ALICE = { account: 'alice', subject: 'account' };

interface Moment {
  nowMs: number;
  before: Prior;
  readings: PolicyReading[];
  decision: Decision;
}

/** Plays the arrivals, and between them wakes the account when it asked for it; `extra` looks at it at other moments too. */
function play(rules: AccountRules, arrivals: readonly Arrival[], extraMs: readonly number[] = []): Moment[] {
  const moments: Moment[] = [];
  let prior: Prior = 'none';
  let wakeAtMs: number | null = null;
  const look = (nowMs: number, readings: PolicyReading[]) => {
    const decision = decide({ ...ALICE, prior, readings, rules, pin: null, nowMs });
    moments.push({ nowMs, before: prior, readings, decision });
    prior = decision.state;
    ({ wakeAtMs } = decision);
  };
  const events = [
    ...arrivals.map(({ nowMs, readings }) => ({ nowMs, readings: taken(readings, rules, nowMs) })),
    ...extraMs.map((nowMs) => ({ nowMs, readings: [] as PolicyReading[] })),
  ].sort((a, b) => a.nowMs - b.nowMs);
  for (const { nowMs, readings } of events) {
    while (wakeAtMs !== null && wakeAtMs < nowMs) look(wakeAtMs, []);
    look(nowMs, readings);
  }
  // To the end of whatever was begun.
  for (let rounds = 0; wakeAtMs !== null && rounds < 200; rounds++) look(wakeAtMs, []);
  return moments;
}

function taken(readings: Arrival['readings'], rules: AccountRules, nowMs: number): PolicyReading[] {
  return readings.flatMap((reading) => {
    const result = attribute(reading, rules, nowMs);
    return 'reading' in result ? result.reading : [];
  });
}

const isIn = ({ verdict }: Decision) => verdict.verdict === 'tarpit';

describe('for any config and any readings', () => {
  it('no account changes state more often than the shortest stay allows', () => {
    fc.assert(
      fc.property(anyConfig, anyArrivals, (config, arrivals) => {
        const rules = rulesFor(config);
        const changes = play(rules, arrivals).filter(({ decision }) => decision.change !== null);
        for (const [index, { nowMs }] of changes.entries()) {
          if (index > 0) expect(nowMs - changes[index - 1]!.nowMs).toBeGreaterThanOrEqual(rules.dwellMs);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('nobody enters who is below every limit that was heard of', () => {
    fc.assert(
      fc.property(anyConfig, anyArrivals, (config, arrivals) => {
        const rules = rulesFor({
          ...config,
          limits: Object.fromEntries(
            Object.entries(config.limits).map(([name, limit]) => [name, { ...limit, used: 1_000 }]),
          ),
        });
        const harmless = arrivals.map(({ nowMs, readings }) => ({
          nowMs,
          // Figures stay below; totals of at most 300 that reset at every reading could add up to anything.
          readings: readings.filter(({ limit, total }) => limit === undefined && total === undefined),
        }));
        for (const { decision } of play(rules, harmless)) expect(isIn(decision)).toBe(false);
      }),
    );
  });

  it('who is in gets out when nothing more comes, at the very moment that was said', () => {
    fc.assert(
      fc.property(anyConfig, anyArrivals, (config, arrivals) => {
        const rules = rulesFor(config);
        const moments = play(rules, arrivals);
        expect(moments.at(-1)!.decision.wakeAtMs).toBeNull();
        expect(isIn(moments.at(-1)!.decision)).toBe(false);
        const lastHeardMs = arrivals.at(-1)!.nowMs;
        const after = moments.slice(moments.findLastIndex(({ nowMs }) => nowMs === lastHeardMs));
        const { verdict } = after[0]!.decision;
        if (verdict.verdict !== 'tarpit' || verdict.untilMs === null) return;
        const out = after.find(({ decision }) => decision.change === 'out')!;
        expect(out.nowMs).toBe(verdict.untilMs);
      }),
      { numRuns: 200 },
    );
  });

  it('looking more often than was asked for changes nothing', () => {
    const extra = fc.array(fc.integer({ min: 0, max: 40 * 3_600_000 }), { maxLength: 20 });
    fc.assert(
      fc.property(anyConfig, anyArrivals, extra, (config, arrivals, offsets) => {
        const rules = rulesFor(config);
        const startMs = arrivals[0]!.nowMs;
        const plain = play(rules, arrivals);
        const watched = play(
          rules,
          arrivals,
          offsets.map((offset) => startMs + offset),
        );
        const changes = (moments: Moment[]) =>
          moments.flatMap(({ nowMs, decision }) =>
            decision.change === null ? [] : [[nowMs, decision.change, decision.state.standing]],
          );
        expect(changes(watched)).toEqual(changes(plain));
        expect(watched.at(-1)!.decision.state).toEqual(plain.at(-1)!.decision.state);
      }),
      { numRuns: 200 },
    );
  });

  it('the same reading twice, by its id, changes nothing the second time', () => {
    fc.assert(
      fc.property(anyConfig, anyArrivals, (config, arrivals) => {
        const rules = rulesFor(config);
        const named = arrivals.map(({ nowMs, readings }, step) => ({
          nowMs,
          readings: readings.map((reading, index) => ({ ...reading, id: `${step}-${index}` })),
        }));
        const doubled = named.map(({ nowMs, readings }) => ({ nowMs, readings: [...readings, ...readings] }));
        const last = play(rules, named).at(-1)!.decision.state;
        expect(play(rules, doubled).at(-1)!.decision.state).toEqual(last);
      }),
      { numRuns: 150 },
    );
  });

  it('one batch comes to the same in whatever order its readings stand, where no two are of one moment', () => {
    const batch = fc
      .uniqueArray(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 12 })
      .chain((seconds) => fc.tuple(fc.constant(seconds), fc.shuffledSubarray(seconds, { minLength: seconds.length })));
    fc.assert(
      fc.property(anyConfig, batch, fc.boolean(), (config, [seconds, shuffled], isTotal) => {
        const rules = rulesFor(config);
        const nowMs = Date.parse('2025-11-24T12:00:00Z');
        const toReading = (second: number) => {
          const amount = (second * 7_919) % 211;
          const at = nowMs - second * 1_000;
          return isTotal ? { at, total: amount, resource: 'cpu' } : { at, used: amount, limitName: 'a' };
        };
        const end = (order: number[]) =>
          play(rules, [{ nowMs, readings: order.map(toReading) }]).at(-1)!.decision.state;
        expect(end(shuffled)).toEqual(end(seconds));
      }),
    );
  });

  it('what is remembered is plain JSON, is read back as it was, stays small, and is never changed in place', () => {
    fc.assert(
      fc.property(anyConfig, anyArrivals, (config, arrivals) => {
        for (const { before, decision } of play(rulesFor(config), arrivals)) {
          const text = JSON.stringify(decision.state);
          expect(parseState(text, 'alice', 'account')).toEqual(decision.state);
          expect(text.length).toBeLessThan(16_384);
          if (typeof before !== 'string') deepFreeze(before);
          deepFreeze(decision.state);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('every explanation is text that fits into an order, and agrees with the verdict', () => {
    fc.assert(
      fc.property(anyConfig, anyArrivals, (config, arrivals) => {
        const rules = rulesFor(config);
        for (const { nowMs, decision } of play(rules, arrivals)) {
          const said = explain({ ...ALICE, state: decision.state, rules, pin: null, nowMs });
          expect(said.isSlowed).toBe(isIn(decision));
          expect(said.freeAtMs).toBe(decision.verdict.verdict === 'tarpit' ? decision.verdict.untilMs : null);
          for (const text of [said.reason, said.summary, ...said.details]) {
            expect(text).toMatch(/^\P{Cc}*$/u);
            expect(text).not.toMatch(/NaN|undefined|null|Invalid|Infinity/);
            expect(text.length).toBeLessThanOrEqual(500);
          }
          if (said.isSlowed) expect(said.reason).not.toBe('');
        }
      }),
      { numRuns: 60 },
    );
  });

  it('untarpit is said of who was in, leave of who was out', () => {
    fc.assert(
      fc.property(anyConfig, anyArrivals, (config, arrivals) => {
        for (const { before, decision } of play(rulesFor(config), arrivals)) {
          const wasIn = typeof before !== 'string' && before.standing.hobble !== null;
          if (!isIn(decision)) expect(decision.verdict.verdict).toBe(wasIn ? 'untarpit' : 'leave');
        }
      }),
      { numRuns: 60 },
    );
  });
});

function deepFreeze(state: LedgerState): void {
  const freeze = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  };
  freeze(state);
}

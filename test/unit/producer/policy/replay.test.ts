/** Replay: the same judge on readings of the past; a month with known misbehaviour comes out as the table says. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { policySchema } from '../../../../producer/policy/config.ts';
import { type ReplayChange, type ReplayReading, rebuild, replay } from '../../../../producer/policy/replay.ts';
import { Rules } from '../../../../producer/policy/rules.ts';
import type { Pin } from '../../../../shared/redis/pins.ts';
import { anyArrivals, anyConfig } from './any-account.ts';
import { at, Course, FIRST_DAY_MS, timeOf } from './course.ts';

const HOUR_MS = 3_600_000;
const rulesOf = (config: object) => new Rules(policySchema.parse(config));
const account = (name: string) => ({ account: name, subject: 'account' });
const brief = ({ account, atMs, change }: ReplayChange) => `${account} ${change} ${timeOf(atMs)}`;

describe('a month', () => {
  const DAYS = 30;
  /** CPU seconds an hour, by day and hour. Everybody has 2000 s a day and 600 s in any hour. */
  const CAST: Record<string, (day: number, hour: number) => number> = {
    calm: () => 40,
    // Over the day's 2000 s at 18:00 on the tenth, until midnight in London, which is midnight in UTC in November.
    once: (day) => (day === 10 ? 115 : 40),
    // Every day from the twentieth on, over at 05:00.
    daily: (day) => (day >= 20 ? 400 : 10),
    // 700 s in one hour of the fifth, and again three hours later.
    burst: (day, hour) => (day === 5 && (hour === 8 || hour === 11) ? 700 : 5),
    // Just below everything, for ever.
    edge: () => 83,
  };
  const config = {
    zone: 'Europe/London',
    limits: { day: { used: 2000, ladder: 'day' }, hour: { used: 600, window: { rolling: '2h' }, ladder: 'burst' } },
    ladders: {
      day: { levels: [{ runMs: 20, stopMs: 80 }], grace: '0s' },
      burst: {
        levels: [
          { runMs: 50, stopMs: 50, for: '1h' },
          { runMs: 10, stopMs: 200, for: '4h' },
        ],
        lookback: '1d',
        forgive: '6h',
        grace: '5m',
      },
    },
  };
  const readings: ReplayReading[] = Object.entries(CAST).flatMap(([name, usedIn]) => {
    let total = 0;
    return Array.from({ length: DAYS * 24 + 1 }, (_, n) => {
      if (n > 0) total += usedIn(Math.floor((n - 1) / 24), (n - 1) % 24);
      return { ...account(name), at: FIRST_DAY_MS + n * HOUR_MS, total };
    });
  });

  it('comes out as the table says: who, when, and for how long', () => {
    const changes: ReplayChange[] = [];
    const outcome = replay(readings, {
      rules: rulesOf(config),
      brake: 'off',
      onChange: (change) => changes.push(change),
    });
    const byAccount = Object.groupBy(changes, ({ account }) => account);
    expect(Object.keys(byAccount).sort()).toEqual(['burst', 'daily', 'once']);
    expect(byAccount.once?.map(brief)).toEqual(['once in +10 18:00', 'once out +11 00:00']);
    expect(byAccount.burst?.map(brief)).toEqual([
      'burst in +5 09:00',
      'burst out +5 10:00',
      'burst in +5 12:00',
      'burst out +5 16:00',
    ]);
    expect(byAccount.daily?.map(brief)).toEqual(
      Array.from({ length: 10 }, (_, n) => [`daily in +${20 + n} 05:00`, `daily out +${21 + n} 00:00`]).flat(),
    );
    expect(outcome).toMatchObject({
      readings: readings.length,
      refused: [],
      untilMs: FIRST_DAY_MS + DAYS * 24 * HOUR_MS,
    });
    expect(outcome.states.map(({ account }) => account).sort()).toEqual(Object.keys(CAST).sort());
  });

  it('does so whatever the order of its lines', () => {
    const listen = (given: readonly ReplayReading[]) => {
      const changes: string[] = [];
      const { states } = replay(given, {
        rules: rulesOf(config),
        brake: 'off',
        onChange: (change) => changes.push(brief(change)),
      });
      return { changes: changes.sort(), states: states.sort((a, b) => (a.account < b.account ? -1 : 1)) };
    };
    expect(listen([...readings].reverse())).toEqual(listen(readings));
  });
});

describe('a replay', () => {
  const config = { dwell: '1m', limits: { day: { used: 2000 } } };
  const reading = (name: string, time: string, used: number, rest: object = {}): ReplayReading => ({
    ...account(name),
    at: at(time),
    used,
    ...rest,
  });

  it('says what it refuses, by its place in what was given, and goes on', () => {
    const given = [
      reading('a', '09:00', 5, { limitName: 'week' }),
      { ...account('a'), at: at('08:00') },
      reading('a', '10:00', 2104),
    ];
    const { refused, states } = replay(given, { rules: rulesOf(config), brake: 'off' });
    expect(refused).toEqual([
      { index: 1, why: 'reading: expected either used (in a window) or total (a running total)' },
      { index: 0, why: 'reading.limitName: expected day; got "week"' },
    ]);
    expect(states).toMatchObject([{ standing: { hobble: { runMs: 10 } } }]);
  });

  it('ends when it is told to, with what time alone has brought about until then', () => {
    const given = [reading('a', '09:00', 2104), reading('a', '+1 10:00', 2104)];
    const standingAt = (time: string) => {
      const { states } = replay(given, { rules: rulesOf(config), brake: 'off', untilMs: at(time) });
      return states.map(({ standing }) => standing.hobble !== null);
    };
    expect(standingAt('08:00')).toEqual([]);
    expect(standingAt('23:59')).toEqual([true]);
    expect(standingAt('+1 00:00')).toEqual([false]);
    expect(standingAt('+1 10:00')).toEqual([true]);
    expect(replay([], { rules: rulesOf(config), brake: 'off' })).toMatchObject({ states: [], readings: 0 });
  });

  it('shows a broken accounting run held by the brake', () => {
    const alerts: string[] = [];
    const given = Array.from({ length: 100 }, (_, n) => [
      reading(`u${n}`, '09:00', 5),
      reading(`u${n}`, '10:00', n < 50 ? 9999 : 6),
    ]).flat();
    const { brake } = policySchema.parse({});
    const outcome = replay(given, {
      rules: rulesOf(config),
      brake,
      onAlert: (alert, atMs) => alerts.push(`${timeOf(atMs)} ${alert}`),
    });
    expect(alerts).toEqual([expect.stringMatching(/^10:00 the brake holds: 50 of 100 accounts would be in/)]);
    expect(outcome.states.filter(({ standing }) => standing.hobble !== null)).toEqual([]);
    expect(outcome.brake.held).toMatchObject({ entering: 50, known: 100 });
  });

  it('knows what operators have pinned', () => {
    const pin: Pin = { v: 1, kind: 'release', setAtMs: 0, untilMs: at('12:00'), by: 'operator:ann', why: '' };
    const changes: string[] = [];
    replay([reading('a', '09:00', 2104), reading('b', '09:00', 2104)], {
      rules: rulesOf(config),
      brake: 'off',
      pins: new Map([['a', pin]]),
      untilMs: at('13:00'),
      onChange: (change) => changes.push(brief(change)),
    });
    expect(changes).toEqual(['b in 09:00', 'a in 12:00']);
  });
});

describe('a ledger that was lost', () => {
  it('is rebuilt from the readings as it was, where they came in time and were not pinned', () => {
    fc.assert(
      fc.property(anyConfig, anyArrivals, (config, arrivals) => {
        const course = new Course(config);
        const inTime = arrivals.flatMap(({ nowMs, readings }) =>
          // One a moment, taken when it comes: of two at once, order would count.
          readings.slice(0, 1).map((reading) => ({ ...reading, at: nowMs })),
        );
        const moments = new Map(inTime.map((reading) => [reading.at, reading]));
        for (const [nowMs, reading] of moments) {
          try {
            course.read(nowMs, reading);
          } catch {
            // Refused by this config: by the replay as well.
          }
        }
        const untilMs = FIRST_DAY_MS + 50 * HOUR_MS;
        if (typeof course.state !== 'string') course.goTo(untilMs);
        const rules = rulesOf(config);
        const rebuilt = rebuild('alice', 'account', [...moments.values()].reverse(), { rules, untilMs });
        expect(rebuilt).toEqual(typeof course.state === 'string' ? null : course.state);
      }),
      { numRuns: 200 },
    );
  });
});

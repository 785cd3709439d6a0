/**
 * What Arbiter's own test-suite holds true of graduated penalties (chpc-uofu/arbiter, testing/test_arbiter.py), played
 * here on our rules, and what Arbiter2, cgroupsd and the MySQL Governor are known for. One scenario each, in our words.
 */
import { describe, expect, it } from 'vitest';
import { at, Course, FIRST_DAY_MS, rulesFor } from './course.ts';

const MINUTE_MS = 60_000;
const HARSH = { runMs: 10, stopMs: 200 };
const MEDIUM = { runMs: 20, stopMs: 80 };
const SOFT = { runMs: 50, stopMs: 50 };
const window = { rolling: '5m' };

/** A policy of Arbiter's: a limit on the last minutes with a ladder of its own. */
interface ArbiterPolicy {
  used?: number;
  levels: object[];
  grace?: string;
  lookback?: string;
}
const policies = (byName: Record<string, ArbiterPolicy>) => ({
  dwell: '1s',
  limits: Object.fromEntries(
    Object.entries(byName).map(([name, { used = 100 }]) => [name, { used, window, ladder: name }]),
  ),
  ladders: Object.fromEntries(
    Object.entries(byName).map(([name, { levels, grace = '0s', lookback = '0s' }]) => [
      name,
      { levels, grace, lookback, forgive: '90d' },
    ]),
  ),
});

/** Reads a total every minute that grows by this much, from one minute of the first day to another. */
function busy(course: Course, from: number, to: number, perMinute: number): void {
  const last = course.state === 'none' || course.state === 'unreadable' ? undefined : course.state.totals['cpu\ts'];
  let total = last?.samples.at(-1)?.[1] ?? 0;
  for (let minute = from; minute <= to; minute++) {
    total += perMinute;
    course.read(FIRST_DAY_MS + minute * MINUTE_MS, { total });
  }
}
/** Quiet for so long that the window of five minutes is empty. */
const quiet = (course: Course, from: number, to: number) => busy(course, from, to, 0);

describe('penalties', () => {
  it('one target, one policy: limits are set at the violation and removed when it expires', () => {
    const course = new Course(policies({ harsh: { levels: [{ ...HARSH, for: '5m' }] } }));
    busy(course, 0, 4, 30);
    expect(course.changes).toEqual(['00:04 10/200']);
    quiet(course, 5, 20);
    expect(course.changes).toEqual(['00:04 10/200', '00:09 free']);
  });

  it('overlapping policies: the harshest limits apply, and all are removed when both have expired', () => {
    const course = new Course(
      policies({ medium: { levels: [{ ...MEDIUM, for: '5m' }] }, harsh: { levels: [{ ...HARSH, for: '5m' }] } }),
    );
    busy(course, 0, 4, 30);
    quiet(course, 5, 20);
    expect(course.changes).toEqual(['00:04 10/200', '00:09 free']);
  });

  it('distinct policies: when the harsh one has expired, the soft one that lasts longer still holds', () => {
    const course = new Course(
      policies({
        harsh: { levels: [{ ...HARSH, for: '5m' }] },
        soft: { used: 110, levels: [{ ...SOFT, for: '10m' }] },
      }),
    );
    busy(course, 0, 4, 30);
    quiet(course, 5, 30);
    expect(course.changes).toEqual(['00:04 10/200', '00:09 50/50', '00:14 free']);
  });

  it('two targets, one policy: each is judged by what it used itself', () => {
    const config = policies({ harsh: { levels: [{ ...HARSH, for: '5m' }] } });
    const [one, other, calm] = ['alice', 'bob', 'carol'].map((name) => new Course(config, name)) as [
      Course,
      Course,
      Course,
    ];
    busy(one, 0, 4, 30);
    busy(other, 2, 6, 30);
    busy(calm, 0, 6, 3);
    for (const course of [one, other, calm]) quiet(course, 7, 30);
    expect(one.changes).toEqual(['00:04 10/200', '00:09 free']);
    expect(other.changes).toEqual(['00:06 10/200', '00:11 free']);
    expect(calm.changes).toEqual([]);
  });

  it('no second violation while the first one lasts', () => {
    const course = new Course(policies({ unset: { levels: [{ ...HARSH, for: '10m' }], lookback: '1d' } }));
    busy(course, 0, 11, 60);
    expect(course.ledger.limits.unset?.penalty).toMatchObject({ sinceMs: at('00:02') });
    expect(course.ledger.limits.unset?.endedAtMs).toEqual([]);
  });
});

describe('grace', () => {
  const graced = { levels: [{ ...HARSH, for: '10m' }], grace: '7m' };

  it('no violation while in grace, and one once it is over and the behaviour goes on', () => {
    const course = new Course(policies({ graced }));
    busy(course, 0, 30, 60);
    expect(course.changes).toEqual(['00:02 10/200', '00:12 free', '00:19 10/200', '00:29 free']);
  });

  it('no violation after grace when the behaviour has ended', () => {
    const course = new Course(policies({ graced }));
    busy(course, 0, 12, 60);
    quiet(course, 13, 60);
    expect(course.changes).toEqual(['00:02 10/200', '00:12 free']);
  });

  it('in one policy does not keep another from being violated', () => {
    const course = new Course(policies({ graced, soft: { used: 200, levels: [{ ...SOFT, for: '3m' }] } }));
    busy(course, 0, 2, 60);
    quiet(course, 3, 11);
    expect(course.goTo('00:12')).toBe('free');
    busy(course, 12, 16, 60);
    expect(course.changes).toEqual(['00:02 10/200', '00:12 free', '00:15 50/50']);
    expect(course.ledger.limits.graced?.penalty).toBeNull();
  });

  it('of one target does not keep another from violating the same policy', () => {
    const config = policies({ graced });
    const [one, other] = [new Course(config, 'alice'), new Course(config, 'bob')];
    busy(one, 0, 14, 60);
    busy(other, 12, 14, 60);
    expect(one.standing).toBe('free');
    expect(other.standing).toBe('10/200');
  });
});

describe('repeated offences', () => {
  /** Durations that scale as Arbiter's do with a scalar of 1: base × (1 + recent offences). */
  const scaling = ['10m', '20m', '30m', '40m'].map((length) => ({ ...HARSH, for: length }));
  const minutesOf = (course: Course, name: string) => {
    const penalty = course.ledger.limits[name]?.penalty;
    return penalty ? (penalty.endsAtMs! - penalty.sinceMs) / MINUTE_MS : null;
  };

  it('right after the first has expired, the second lasts longer', () => {
    const course = new Course(policies({ long: { levels: scaling, lookback: '1h' } }));
    busy(course, 0, 3, 60);
    expect(minutesOf(course, 'long')).toBe(10);
    busy(course, 4, 12, 60);
    expect(minutesOf(course, 'long')).toBe(20);
    expect(course.ledger.limits.long?.penalty?.level).toBe(2);
  });

  it('of one target do not make those of another longer', () => {
    const config = policies({ long: { levels: scaling, lookback: '1h' } });
    const [one, other] = [new Course(config, 'alice'), new Course(config, 'bob')];
    busy(one, 0, 12, 60);
    busy(other, 10, 12, 60);
    expect(minutesOf(one, 'long')).toBe(20);
    expect(minutesOf(other, 'long')).toBe(10);
  });

  it('of one policy do not make those of another longer', () => {
    const course = new Course(
      policies({ long: { levels: scaling, lookback: '1h' }, short: { used: 500, levels: scaling, lookback: '12m' } }),
    );
    busy(course, 0, 10, 60);
    busy(course, 11, 12, 400);
    expect(minutesOf(course, 'long')).toBe(20);
    expect(minutesOf(course, 'short')).toBe(10);
  });

  it('that have left the lookback are forgotten', () => {
    const course = new Course(policies({ short: { levels: scaling, lookback: '15m' } }));
    busy(course, 0, 2, 60);
    busy(course, 3, 13, 60);
    expect(minutesOf(course, 'short')).toBe(20);
    quiet(course, 14, 31);
    busy(course, 32, 35, 60);
    // The first ended 22 minutes ago, the second two or three.
    expect(course.ledger.limits.short?.penalty?.level).toBe(2);
    expect(minutesOf(course, 'short')).toBe(20);
  });

  it('with grace: no violation in it, and the one after it is the second', () => {
    const course = new Course(policies({ both: { levels: scaling, lookback: '1h', grace: '5m' } }));
    busy(course, 0, 16, 60);
    expect(course.changes).toEqual(['00:02 10/200', '00:12 free']);
    busy(course, 17, 18, 60);
    expect(course.changes).toEqual(['00:02 10/200', '00:12 free', '00:17 10/200']);
    expect(minutesOf(course, 'both')).toBe(20);
  });

  it('raise the tier of the penalty', () => {
    const tiers = [SOFT, MEDIUM, HARSH].map((tier) => ({ ...tier, for: '5m' }));
    const course = new Course(policies({ tiered: { levels: tiers, lookback: '1h' } }));
    busy(course, 0, 20, 60);
    expect(course.changes).toEqual(['00:02 50/50', '00:07 20/80', '00:12 10/200']);
  });
});

describe('a base policy (here: an operator who keeps the account in)', () => {
  const keep = { v: 1, kind: 'keep', setAtMs: 0, untilMs: at('23:00'), by: 'operator:ann', why: 'base' } as const;

  it('holds without any use', () => {
    const course = new Course(policies({}));
    course.pin = { ...keep, hobble: { ...SOFT, mechanism: 'auto' } };
    expect(course.goTo('00:01')).toBe('50/50');
    expect(course.goTo('12:00')).toBe('50/50');
  });

  it('that is milder than a usage policy yields to it and holds again after it', () => {
    const course = new Course(policies({ medium: { levels: [{ ...MEDIUM, for: '5m' }] } }));
    course.pin = { ...keep, hobble: { ...SOFT, mechanism: 'auto' } };
    busy(course, 0, 4, 30);
    quiet(course, 5, 20);
    expect(course.changes).toEqual(['00:00 50/50', '00:04 20/80', '00:09 50/50']);
  });

  it('that is harsher than a usage policy wins', () => {
    const course = new Course(policies({ soft: { levels: [{ ...SOFT, for: '5m' }] } }));
    course.pin = { ...keep, hobble: { ...MEDIUM, mechanism: 'auto' } };
    busy(course, 0, 4, 30);
    quiet(course, 5, 20);
    expect(course.changes).toEqual(['00:00 20/80']);
  });
});

describe('whitelists and policies that are switched', () => {
  it('who is on the whitelist has no violation, others do', () => {
    const config = { ...policies({ harsh: { levels: [{ ...HARSH, for: '5m' }] } }), exempt: ['alice'] };
    const [exempt, other] = [new Course(config, 'alice'), new Course(config, 'bob')];
    busy(exempt, 0, 4, 30);
    busy(other, 0, 4, 30);
    expect(exempt.standing).toBe('free');
    expect(exempt.ledger.limits.harsh?.penalty ?? null).toBeNull();
    expect(other.standing).toBe('10/200');
  });

  it('a policy that is deactivated holds nobody, and reactivated in time holds again', () => {
    const config = policies({ harsh: { levels: [{ ...HARSH, for: '30m' }] } });
    const course = new Course(config);
    busy(course, 0, 4, 30);
    course.rules = rulesFor(policies({}));
    expect(course.goTo('00:10')).toBe('free');
    course.rules = rulesFor(config);
    expect(course.goTo('00:15')).toBe('10/200');
    expect(course.goTo('00:34')).toBe('free');
  });
});

describe('others', () => {
  it('Arbiter2: 30, 60 and 120 minutes, one occurrence forgiven after three clean hours', () => {
    const tiers = [SOFT, MEDIUM, HARSH].map((tier, index) => ({ ...tier, for: `${30 * 2 ** index}m` }));
    const config = {
      limits: { badness: { used: 100, window } },
      ladders: { standard: { levels: tiers, lookback: '90d', forgive: '3h', grace: '0s' } },
    };
    const offendAt = (course: Course, time: string) => {
      course.read(time, { used: 100, limitName: 'badness' });
      return course.ledger.limits.badness?.penalty?.level;
    };
    const course = new Course(config);
    expect(offendAt(course, '00:00')).toBe(1);
    expect(offendAt(course, '01:00')).toBe(2);
    expect(offendAt(course, '03:00')).toBe(3);
    // That one ends at 05:00, with three occurrences; six clean hours leave one.
    expect(offendAt(course, '11:30')).toBe(2);
    // It ends at 12:30, with two; nine clean hours leave none.
    expect(offendAt(course, '21:30')).toBe(1);
  });

  it('cgroupsd: in at 200 CPU seconds of the last 300, out far lower, then quiet for a minute', () => {
    const course = new Course({
      dwell: '1s',
      limits: { burst: { used: 200, leaveRatio: 0.25, window: { rolling: '5m' } } },
      ladders: { standard: { levels: [HARSH], grace: '1m' } },
    });
    for (const [time, used, standing] of [
      ['00:00', 199, 'free'],
      ['00:01', 200, '10/200'],
      ['00:02', 100, '10/200'],
      ['00:03', 50, '10/200'],
      ['00:04', 49, 'free'],
      ['00:04:30', 300, 'free'],
      ['00:05', 300, '10/200'],
    ] as const) {
      expect(course.read(time, { used }), time).toBe(standing);
    }
  });

  it('MySQL Governor: 60 s, 15 min, 1 h, 1 day, one further on a repeat within an hour', () => {
    const levels = ['1m', '15m', '1h', '1d'].map((length) => ({ ...HARSH, for: length }));
    const course = new Course({
      dwell: '1s',
      limits: { cpu: { used: 100, window } },
      // What counts is the clean hour since the last one, and not how long ago the first was.
      ladders: { standard: { levels, lookback: '90d', forgive: '1h', grace: '1m' } },
    });
    const lengths: number[] = [];
    for (const time of ['00:00', '00:30', '01:30', '03:20', '+2 06:00']) {
      course.read(time, { used: 100 });
      const { sinceMs, endsAtMs } = course.ledger.limits.cpu!.penalty!;
      lengths.push((endsAtMs! - sinceMs) / MINUTE_MS);
      course.goTo(endsAtMs!);
    }
    expect(lengths).toEqual([1, 15, 60, 1_440, 1]);
  });
});

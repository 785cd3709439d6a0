/** The ladder of one limit: levels, lengths, repeats, forgiveness, grace; as tables of readings and what follows. */
import { describe, expect, it } from 'vitest';
import { countingAt } from '../../../../producer/policy/ladder.ts';
import { Course, FIRST_DAY_MS } from './course.ts';

/** Three levels of growing length on a rolling hour. */
const LEVELS = [
  { runMs: 50, stopMs: 50, for: '30m' },
  { runMs: 20, stopMs: 80, for: '1h' },
  { runMs: 10, stopMs: 200, for: '2h' },
];
const rolling = (ladder: object = {}) => ({
  dwell: '1m',
  limits: { hour: { used: 600, window: { rolling: '1h' } } },
  ladders: { standard: { levels: LEVELS, lookback: '1d', forgive: '3h', grace: '0s', ...ladder } },
});
const daily = (limit: object = {}, ladder?: object) => ({
  dwell: '1m',
  limits: { day: { used: 2000, ...limit } },
  ...(ladder ? { ladders: { standard: { grace: '0s', ...ladder } } } : {}),
});

describe('a level with a length', () => {
  it('lasts so long, whatever is used meanwhile, and no longer', () => {
    const course = new Course(rolling());
    expect(course.read('09:00', { used: 599 })).toBe('free');
    expect(course.read('09:10', { used: 600 })).toBe('50/50');
    expect(course.untilTime).toBe('09:40');
    expect(course.read('09:20', { used: 100 })).toBe('50/50');
    expect(course.read('09:30', { used: 0 })).toBe('50/50');
    expect(course.goTo('09:39:59')).toBe('50/50');
    expect(course.goTo('09:40')).toBe('free');
  });

  it('is not cut short by a reset of the window: served is served', () => {
    const course = new Course(daily({}, { levels: [{ runMs: 10, stopMs: 200, for: '2h' }] }));
    expect(course.read('23:00', { used: 2000 })).toBe('10/200');
    expect(course.goTo('+1 00:30')).toBe('10/200');
    expect(course.goTo('+1 01:00')).toBe('free');
  });

  it('is cut short by a limit that is raised above the use: it was paid for', () => {
    const course = new Course(daily({}, { levels: [{ runMs: 10, stopMs: 200, for: '2h' }] }));
    expect(course.read('09:00', { used: 2100 })).toBe('10/200');
    expect(course.read('09:30', { used: 2100, limit: 2050 })).toBe('10/200');
    expect(course.read('10:00', { used: 2100, limit: 3000 })).toBe('free');
  });
});

describe('a level without a length', () => {
  it.each([
    ['falls below the leave ratio', { used: 1799 }, '12:00', 'free'],
    ['stays at the leave ratio', { used: 1800 }, '12:00', '10/200'],
    ['stays over', { used: 2500 }, '12:00', '10/200'],
  ])('an account that %s', (_title, reading, time, expected) => {
    const course = new Course(daily());
    expect(course.read('09:00', { used: 2104, window: 'monday' })).toBe('10/200');
    expect(course.read(time, { ...reading, window: 'monday' })).toBe(expected);
  });

  it('ends at the reset and not a moment before, without a reading', () => {
    const course = new Course(daily());
    expect(course.read('09:00', { used: 2104 })).toBe('10/200');
    expect(course.untilTime).toBe('+1 00:00');
    expect(course.goTo('23:59:59')).toBe('10/200');
    expect(course.goTo('+1 00:00')).toBe('free');
  });

  it('ends as a rolling window moves on, without a reading, as soon as what is known is little enough', () => {
    const course = new Course({ limits: { hour: { used: 600, window: { rolling: '1h' } } } });
    for (const [time, total] of [
      ['09:00', 0],
      ['09:10', 200],
      ['09:20', 400],
      ['09:30', 600],
    ] as const) {
      course.read(time, { total });
    }
    expect(course.standing).toBe('10/200');
    // Below 540 once the reading of 09:00 has left the hour.
    expect(course.untilTime).toBe('10:00');
    expect(course.goTo('09:59:59')).toBe('10/200');
    expect(course.goTo('10:00')).toBe('free');
  });
});

describe('entering', () => {
  it('is at the enter ratio, leaving below the leave ratio, both of the config', () => {
    const course = new Course(daily({ enterRatio: 1.2, leaveRatio: 0.5 }));
    expect(course.read('09:00', { used: 2399, window: 'w' })).toBe('free');
    expect(course.read('09:05', { used: 2400, window: 'w' })).toBe('10/200');
    expect(course.read('09:10', { used: 1000, window: 'w' })).toBe('10/200');
    expect(course.read('09:15', { used: 999, window: 'w' })).toBe('free');
  });

  it('is left be when the window resets before the shortest stay would be over', () => {
    const course = new Course(daily());
    expect(course.read('23:59:01', { used: 2104 })).toBe('free');
    expect(course.goTo('+1 00:10')).toBe('free');
    expect(course.changes).toEqual([]);
    const punctual = new Course(daily());
    expect(punctual.read('23:59', { used: 2104 })).toBe('10/200');
    expect(punctual.goTo('+1 00:00')).toBe('free');
  });
});

describe('repeat offences', () => {
  it('climb, and stay on the last level', () => {
    const course = new Course(rolling({ grace: '10m' }));
    for (let minute = 60; minute < 480; minute += 5) course.read(FIRST_DAY_MS + minute * 60_000, { used: 700 });
    expect(course.changes).toEqual([
      '01:00 50/50',
      '01:30 free',
      '01:40 20/80',
      '02:40 free',
      '02:50 10/200',
      '04:50 free',
      '05:00 10/200',
      '07:00 free',
      '07:10 10/200',
    ]);
  });

  it('follow at once where there is no grace and the account is known to be over still', () => {
    const course = new Course(rolling());
    for (let minute = 30; minute <= 90; minute += 10)
      course.read(FIRST_DAY_MS + minute * 60_000, { total: minute * 20 });
    expect(course.changes).toEqual(['01:00 50/50', '01:30 20/80']);
  });

  it('after clean time begin lower, one level for each', () => {
    const clean = (hours: number) => {
      const course = new Course(rolling({ grace: '10m' }));
      course.read('00:00', { used: 700 });
      course.read('00:30', { used: 700 });
      course.read('00:45', { used: 700 });
      course.read('01:50', { used: 0 });
      return course.read(Date.parse('2025-11-24T01:45:00Z') + hours * 3_600_000, { used: 700 });
    };
    expect(clean(2.9)).toBe('10/200');
    expect(clean(3)).toBe('20/80');
    expect(clean(5.9)).toBe('20/80');
    expect(clean(6)).toBe('50/50');
    expect(clean(100)).toBe('50/50');
  });

  it('do not count what is longer ago than the lookback', () => {
    const course = new Course(rolling({ lookback: '1h', forgive: '90d', grace: '0s' }));
    course.read('00:00', { used: 700 });
    course.read('00:10', { used: 0 });
    expect(course.read('01:29', { used: 700 })).toBe('20/80');
    const late = new Course(rolling({ lookback: '1h', forgive: '90d', grace: '0s' }));
    late.read('00:00', { used: 700 });
    late.read('00:10', { used: 0 });
    expect(late.read('01:30', { used: 700 })).toBe('50/50');
  });

  it.each([
    ['none', [], 0],
    ['one, just now', [100], 1],
    ['one, forgiven', [40], 0],
    ['two, one of them forgiven', [30, 40], 1],
    ['two, too long ago', [-900, -950], 0],
    ['three, one of them too long ago', [-950, 80, 90], 2],
  ])('counting: %s', (_title, endedAtMs, counting) => {
    const ladder = { name: 'l', levels: [], lookbackMs: 1_000, forgiveMs: 60, graceMs: 0 };
    expect(countingAt(ladder, endedAtMs, 100)).toBe(counting);
  });
});

describe('grace', () => {
  it('leaves the account alone after a release, then looks again by itself', () => {
    const course = new Course(rolling({ grace: '10m' }));
    for (let minute = 30; minute <= 90; minute += 10)
      course.read(FIRST_DAY_MS + minute * 60_000, { total: minute * 20 });
    expect(course.goTo('01:39:59')).toBe('free');
    expect(course.goTo('01:40')).toBe('20/80');
  });

  it('waits for a new figure where the accounting system measures a rolling window: an old one says nothing of now', () => {
    const course = new Course(rolling({ grace: '10m' }));
    course.read('09:00', { used: 700 });
    course.read('09:35', { used: 700 });
    expect(course.goTo('09:50')).toBe('free');
    expect(course.explain().explanation.details[0]).toMatch(/over, and yet not in: waits for a newer figure$/);
    expect(course.read('09:51', { used: 650 })).toBe('20/80');
  });

  it('is of one limit: another may put it in', () => {
    const course = new Course({
      ...rolling({ grace: '10m' }),
      limits: {
        hour: { used: 600, window: { rolling: '1h' } },
        memory: { used: 8, resource: 'memory', unit: 'GB', window: { rolling: '1h' } },
      },
    });
    course.read('09:00', { used: 700, limitName: 'hour' });
    expect(course.goTo('09:30')).toBe('free');
    expect(course.read('09:32', { used: 9, limitName: 'memory' })).toBe('50/50');
  });
});

describe('what was served in a window that only grows', () => {
  const course = () => new Course(daily({}, { levels: LEVELS, grace: '5m' }));

  it('is paid for: without further use there is no second offence', () => {
    const account = course();
    expect(account.read('09:00', { used: 2000 })).toBe('50/50');
    expect(account.read('09:10', { used: 2050 })).toBe('50/50');
    expect(account.read('09:40', { used: 2060 })).toBe('free');
    expect(account.read('12:00', { used: 2249 })).toBe('free');
    expect(account.changes).toHaveLength(2);
  });

  it('and more of it, by the distance of the ratios, is the second offence', () => {
    const account = course();
    account.read('09:00', { used: 2000 });
    account.read('09:10', { used: 2050 });
    account.read('09:40', { used: 2060 });
    expect(account.read('12:00', { used: 2250 })).toBe('20/80');
  });

  it('counts for nothing in the next window', () => {
    const account = course();
    account.read('09:00', { used: 4000 });
    account.goTo('10:00');
    expect(account.read('+1 20:00', { used: 4050 })).not.toBe('free');
  });
});

describe('nothing heard', () => {
  it('for long lets go, as the accounting may be dead, and what is known then puts nobody in again', () => {
    const course = new Course({ ...daily({ window: { every: '31d' } }), forgetAfter: '2h' });
    expect(course.read('09:00', { used: 2104 })).toBe('10/200');
    expect(course.goTo('10:59:59')).toBe('10/200');
    expect(course.goTo('+3 00:00')).toBe('free');
    expect(course.changes).toEqual(['09:00 10/200', '11:00 free']);
    expect(course.read('+3 01:00', { used: 2104 })).toBe('10/200');
  });
});

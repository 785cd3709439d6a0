/** Why an account is where it is and when it gets out, as its owner reads it. */
import { describe, expect, it } from 'vitest';
import { Course } from './course.ts';

const LADDER = {
  standard: {
    levels: [
      { runMs: 50, stopMs: 50, for: '30m' },
      { runMs: 10, stopMs: 200, for: '2h' },
    ],
    lookback: '1d',
    forgive: '3h',
    grace: '5m',
  },
};
const HOUR = { dwell: '1m', limits: { hour: { used: 600, window: { rolling: '1h' } } }, ladders: LADDER };
const DAY = { dwell: '1m', limits: { day: { used: 2000 } } };
const said = (course: Course) => course.explain().explanation;

describe('of an account that is in', () => {
  it('at a level with a length: which one, why, the how-many-eth time, and when it gets out', () => {
    const course = new Course(HOUR);
    course.read('09:00', { used: 640 });
    course.goTo('09:30');
    course.read('09:40', { used: 700 });
    expect(said(course)).toEqual({
      isSlowed: true,
      summary:
        'alice is slowed down to 10 ms of every 210 ms since 09:40 UTC: cpu 700 s of 600 s in the last 1h, level 2 of 2, until 11:40 UTC. It gets out at 11:40 UTC if it uses no more.',
      details: [
        'hour: cpu 700 s of 600 s in the last 1h; read at 09:40 UTC; in at level 2 of 2 since 09:40 UTC, the 2nd time within 1d; out at 11:40 UTC, whatever is used',
      ],
      reason: 'cpu 700 s of 600 s in the last 1h, level 2 of 2, until 11:40 UTC',
      freeAtMs: Date.parse('2025-11-24T11:40:00Z'),
    });
  });

  it('until its window resets: in its own time zone, and below what it gets out before', () => {
    const course = new Course({ ...DAY, zone: 'America/New_York' });
    course.read('09:00', { used: 2104 });
    expect(said(course)).toMatchObject({
      summary:
        'alice is slowed down to 10 ms of every 210 ms since 04:00 America/New_York: cpu 2104 s of 2000 s, until 00:00 America/New_York. It gets out at 00:00 America/New_York if it uses no more.',
      details: [
        'day: cpu 2104 s of 2000 s; resets at 00:00 America/New_York; read at 04:00 America/New_York; in since 04:00 America/New_York; out below 1800 s, or at 00:00 America/New_York if nothing more is used',
      ],
    });
  });

  it('by one of several limits: a line on each', () => {
    const course = new Course({
      dwell: '1m',
      limits: {
        day: { used: 2000 },
        week: { used: 9, unit: 'GB', resource: 'disk', window: { every: '7d' } },
        gpu: { used: 5, unit: 'h', resource: 'gpu' },
      },
    });
    course.read('09:00', { used: 2104, resource: 'cpu' }, { used: 1.239, resource: 'disk' });
    expect(said(course).details).toEqual([
      'day: cpu 2104 s of 2000 s; resets at 00:00 UTC; read at 09:00 UTC; in since 09:00 UTC; out below 1800 s, or at 00:00 UTC if nothing more is used',
      'week: disk 1.23 GB of 9 GB; resets at 2025-11-27 00:00 UTC; read at 09:00 UTC',
      'gpu: nothing heard yet of gpu, of which 5 h may be used',
    ]);
  });

  it('of which no end is known: nothing is promised but what letting go takes', () => {
    const course = new Course({ ...DAY, forgetAfter: '31d' });
    course.read('09:00', { used: 2104, window: 'november' });
    expect(said(course).reason).toBe('cpu 2104 s of 2000 s');
    expect(said(course).summary).toMatch(/since 09:00 UTC: cpu 2104 s of 2000 s\.$/);
    expect(said(course).freeAtMs).toBeNull();
    expect(said(course).details).toEqual([
      'day: cpu 2104 s of 2000 s; read at 09:00 UTC; in since 09:00 UTC; out below 1800 s',
    ]);
  });
});

describe('of an account that is over and yet not in', () => {
  it.each([
    [
      'in grace',
      () => {
        const course = new Course(HOUR);
        for (const [time, total] of [
          ['08:35', 0],
          ['09:00', 640],
          ['09:29', 700],
        ] as const)
          course.read(time, { total });
        course.goTo('09:30');
        return course;
      },
      'hour: cpu 700 s of 600 s in the last 1h; read at 09:29 UTC; over, and yet not in: grace until 09:35 UTC',
    ],
    [
      'with what it has served',
      () => {
        const course = new Course({ ...DAY, ladders: LADDER });
        course.read('09:00', { used: 2104 });
        course.goTo('10:00');
        return course;
      },
      'day: cpu 2104 s of 2000 s; resets at 00:00 UTC; read at 09:00 UTC; over, and yet not in: that is paid for; in again at 2304 s',
    ],
    [
      'just before the reset',
      () => {
        const course = new Course(DAY);
        course.read('23:59:30', { used: 2104 });
        return course;
      },
      'day: cpu 2104 s of 2000 s; resets at 00:00 UTC; read at 23:59:30 UTC; over, and yet not in: the window resets at 00:00 UTC already',
    ],
    [
      'within the shortest stay',
      () => {
        const course = new Course({ ...DAY, dwell: '10m' });
        course.read('09:00', { used: 2104, window: 'a' });
        course.read('09:10', { used: 1, window: 'b' });
        course.read('09:11', { used: 2104, window: 'b' });
        return course;
      },
      'day: cpu 2104 s of 2000 s; read at 09:11 UTC; over, and yet not in: its state changed only just; in at 09:20 UTC',
    ],
    [
      'while the brake holds',
      () => {
        const course = new Course(DAY);
        course.mayEnter = false;
        course.read('09:00', { used: 2104 });
        return course;
      },
      'the brake holds: nobody is put in until an operator lets go of it',
    ],
    [
      'and not heard of any more',
      () => {
        const course = new Course({ ...DAY, forgetAfter: '1h' });
        course.read('09:00', { used: 2104 });
        course.goTo('11:00');
        return course;
      },
      'day: cpu 2104 s of 2000 s; resets at 00:00 UTC; read at 09:00 UTC; over, and yet not in: no reading since 09:00 UTC',
    ],
  ])('%s', (_title, play, line) => {
    const course = play();
    expect(course.standing).toBe('free');
    expect(said(course).details[0]).toBe(line);
  });
});

describe('of an account that is out', () => {
  it.each([
    [
      'served',
      HOUR,
      [
        ['09:00', { used: 640 }],
        ['09:31', { used: 10 }],
      ],
      'the penalty is served: cpu 640 s of 600 s in the last 1h',
    ],
    [
      'below',
      DAY,
      [
        ['09:00', { used: 2104 }],
        ['10:00', { used: 1700 }],
      ],
      'below 90 % of the limit: cpu 1700 s of 2000 s',
    ],
    [
      'reset',
      DAY,
      [
        ['09:00', { used: 2104 }],
        ['+1 00:00:05', { used: 0 }],
      ],
      'the window reset at 00:00 UTC',
    ],
    [
      'raised',
      DAY,
      [
        ['09:00', { used: 2104 }],
        ['10:00', { used: 2104, limit: 3000 }],
      ],
      'limit raised: cpu 2104 s of 3000 s',
    ],
    ['never in', DAY, [['09:00', { used: 5 }]], ''],
  ] as [string, object, [string, object][], string][])('because: %s', (_title, config, readings, reason) => {
    const course = new Course(config);
    for (const [time, reading] of readings) course.read(time, reading);
    expect(course.standing).toBe('free');
    expect(said(course)).toMatchObject({
      isSlowed: false,
      reason,
      summary:
        reason === ''
          ? 'alice is not slowed down.'
          : expect.stringMatching(/^alice is not slowed down since \d\d:\d\d UTC: /),
      freeAtMs: null,
    });
  });

  it('because nothing was heard of it', () => {
    const course = new Course({ ...DAY, forgetAfter: '1h' });
    course.read('09:00', { used: 2104 });
    course.goTo('10:30');
    expect(said(course).reason).toBe('no reading since 09:00 UTC');
  });

  it('and what its next offence would cost, and when that is forgiven', () => {
    const course = new Course(HOUR);
    course.read('09:00', { used: 640 });
    course.read('09:31', { used: 10 });
    expect(said(course).details).toEqual([
      'hour: cpu 10 s of 600 s in the last 1h; read at 09:31 UTC; the next offence is level 2 of 2; all forgiven by 12:30 UTC',
    ]);
    expect(course.goTo('12:30')).toBe('free');
    expect(said(course).details[0]).not.toMatch(/offence/);
  });
});

it('control characters of an operator or an accounting system reach nobody', () => {
  const course = new Course({});
  course.pin = { v: 1, kind: 'release', setAtMs: 0, untilMs: null, by: 'operator:\u001b[31m', why: 'a\nb' };
  course.read('09:00', { used: 50, limit: 10, resource: 'd\tisk' });
  for (const text of [said(course).reason, said(course).summary, ...said(course).details])
    expect(text).toMatch(/^\P{Cc}*$/u);
});

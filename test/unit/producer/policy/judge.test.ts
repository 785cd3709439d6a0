/** The judge: one limit as accounting systems report it, several at once, and readings that are not what they should be. */
import { describe, expect, it } from 'vitest';
import { decide, judge } from '../../../../producer/policy/judge.ts';
import { at, Course, rulesFor, timeOf } from './course.ts';

const DAY = { dwell: '1m', limits: { day: { used: 2000 } } };
const WITH_HOUR = {
  dwell: '1m',
  limits: {
    day: { used: 2000, ladder: 'mild' },
    hour: { used: 600, window: { rolling: '1h' }, ladder: 'harsh' },
  },
  ladders: {
    mild: { levels: [{ runMs: 50, stopMs: 50 }], grace: '0s' },
    harsh: { levels: [{ runMs: 10, stopMs: 200, for: '30m' }], grace: '0s' },
  },
};

describe('one reading', () => {
  const inSince = { time: '09:00', used: 2104 };
  const freeBefore = { time: '09:00', used: 100 };
  it.each([
    ['below the limit, nothing known', null, { used: 1999 }, 'free', ''],
    ['at the limit', null, { used: 2000 }, '10/200', 'cpu 2000 s of 2000 s, until 00:00 UTC'],
    ['over the limit', freeBefore, { used: 2104 }, '10/200', 'cpu 2104 s of 2000 s, until 00:00 UTC'],
    [
      'over, of a window without a known end',
      freeBefore,
      { used: 2104, window: 'w' },
      '10/200',
      'cpu 2104 s of 2000 s',
    ],
    ['still over', inSince, { used: 2300 }, '10/200', 'cpu 2300 s of 2000 s, until 00:00 UTC'],
    [
      'a little below the limit while in',
      inSince,
      { used: 1900 },
      '10/200',
      'cpu 1900 s of 2000 s, was over; let go below 1800 s, or at 00:00 UTC',
    ],
    ['below the leave ratio', inSince, { used: 1799 }, 'free', 'below 90 % of the limit: cpu 1799 s of 2000 s'],
    [
      'the limit was raised above the use',
      inSince,
      { used: 2104, limit: 2200 },
      'free',
      'limit raised: cpu 2104 s of 2200 s',
    ],
    [
      'the limit was lowered below the use',
      freeBefore,
      { used: 150, limit: 120 },
      '10/200',
      'cpu 150 s of 120 s, until 00:00 UTC',
    ],
    [
      'with a unit of its own stands for itself',
      null,
      { used: 12, limit: 10, unit: 'GB' },
      '10/200',
      'used 12 GB of 10 GB',
    ],
    [
      'with a reset time of its own',
      null,
      { used: 2104, resetsAt: at('18:00') },
      '10/200',
      'cpu 2104 s of 2000 s, until 18:00 UTC',
    ],
  ])('%s', (_title, before, reading, standing, reason) => {
    const course = new Course(DAY);
    if (before) course.read(before.time, { used: before.used });
    expect(course.read('12:00', reading)).toBe(standing);
    expect(course.explain().explanation.reason).toBe(reason);
  });

  it('of which the reset was put off stays the same offence', () => {
    const course = new Course({
      ...DAY,
      ladders: {
        standard: {
          levels: [
            { runMs: 50, stopMs: 50 },
            { runMs: 10, stopMs: 200 },
          ],
          grace: '0s',
        },
      },
    });
    course.read('09:00', { used: 2104, resetsAt: at('12:00') });
    course.read('11:00', { used: 2200, resetsAt: at('14:00') });
    expect(course.read('12:30', { used: 2300, resetsAt: at('14:00') })).toBe('50/50');
    expect(course.changes).toEqual(['09:00 50/50']);
    expect(course.goTo('14:00')).toBe('free');
  });

  it.each([
    ['below the limit of the new one', { used: 1900, window: 'tuesday' }, 'free', 'new window: cpu 1900 s of 2000 s'],
    ['over that as well', { used: 2100, window: 'tuesday' }, '10/200', 'cpu 2100 s of 2000 s'],
    [
      'of the same window, corrected',
      { used: 1900, window: 'monday' },
      '10/200',
      'cpu 1900 s of 2000 s, was over; let go below 1800 s',
    ],
  ])('of a window by another name, %s', (_title, reading, standing, reason) => {
    const course = new Course(DAY);
    course.read('09:00', { used: 2104, window: 'monday' });
    expect(course.read('12:00', reading)).toBe(standing);
    expect(course.explain().explanation.reason).toBe(reason);
  });

  it('of which the window is over when it comes changes nothing, and says so', () => {
    const course = new Course(DAY);
    expect(course.read('12:00', { used: 9999, resetsAt: at('11:00') })).toBe('free');
    expect(course.last?.notes).toEqual([{ index: 0, kind: 'late', text: 'late: its window was over at 11:00 UTC' }]);
  });

  it('judged upon what cannot be read lets go rather than leave, as it may have been a penalty', () => {
    const it = {
      account: 'alice',
      subject: 'account',
      rules: rulesFor(DAY),
      pin: null,
      readings: [],
      nowMs: at('12:00'),
    };
    expect(decide({ ...it, prior: 'unreadable' }).verdict).toEqual({ verdict: 'untarpit' });
    expect(decide({ ...it, prior: 'none' }).verdict).toEqual({ verdict: 'leave' });
  });
});

describe('a counter that goes backwards', () => {
  it('is a new window where nobody says that it is the old one, and that is said', () => {
    const course = new Course(DAY);
    course.read('09:00', { used: 2104 });
    expect(course.read('12:00', { used: 12 })).toBe('free');
    expect(course.last?.notes).toEqual([
      { index: 0, kind: 'reset', text: 'the counter went backwards from 2104 s, taken as a new window' },
    ]);
  });

  it('by a little is no way out', () => {
    const course = new Course(DAY);
    course.read('09:00', { used: 2104 });
    expect(course.read('12:00', { used: 1950 })).toBe('10/200');
  });

  it('is none where our own window has reset in between', () => {
    const course = new Course(DAY);
    course.read('23:00', { used: 1000 });
    course.read('+1 01:00', { used: 12 });
    expect(course.last?.notes).toEqual([]);
  });

  it('is none where the accounting system names the window, or where the window rolls', () => {
    const named = new Course(DAY);
    named.read('09:00', { used: 2104, window: 'w' });
    named.read('12:00', { used: 12, window: 'w' });
    expect(named.last?.notes).toEqual([]);
    const rolling = new Course({ limits: { hour: { used: 2000, window: { rolling: '1h' } } } });
    rolling.read('09:00', { used: 2104 });
    rolling.read('09:30', { used: 12 });
    expect(rolling.last?.notes).toEqual([]);
  });

  it('of a running total began at zero in between: what it shows is what was used since', () => {
    const course = new Course(DAY);
    course.read('09:00', { total: 10_000 });
    course.read('10:00', { total: 11_500 });
    expect(course.read('11:00', { total: 499 })).toBe('free');
    expect(course.last?.notes).toEqual([
      { index: 0, kind: 'reset', text: 'the counter went backwards from 11500 s to 499 s, taken as a reset' },
    ]);
    expect(course.read('12:00', { total: 500 })).toBe('10/200');
  });
});

describe('readings that come twice, late, or in another order', () => {
  it('are known by their id, whatever the second one says', () => {
    const course = new Course(DAY);
    course.read('09:00', { id: 'r1', used: 100 });
    course.read('10:00', { id: 'r2', used: 200 });
    const { state } = course;
    expect(course.read('11:00', { id: 'r1', used: 9999 })).toBe('free');
    expect(course.last?.notes).toEqual([{ index: 0, kind: 'repeated', text: 'a reading of this id is known' }]);
    expect(course.state).toBe(state);
  });

  it('are known by their id within one batch as well', () => {
    const course = new Course(DAY);
    course.read(
      '09:00',
      { id: 'r1', total: 0 },
      { id: 'r2', total: 300, at: at('08:59') },
      { id: 'r2', total: 5, at: at('08:59:30') },
    );
    expect(course.last?.notes.map(({ index, kind }) => [index, kind])).toEqual([
      [2, 'repeated'],
      [0, 'reset'],
    ]);
  });

  it('without a newer figure in between are taken: the newest figure counts', () => {
    const course = new Course(DAY);
    course.read('12:00', { used: 2104, at: at('11:00') });
    expect(course.read('12:01', { used: 100, at: at('10:00') })).toBe('10/200');
    expect(course.last?.notes).toEqual([
      { index: 0, kind: 'late', text: 'late: a newer reading of 11:00 UTC is known' },
    ]);
  });

  it('are put in order of time within a batch', () => {
    const course = new Course(DAY);
    const batch = [
      { used: 2104, at: at('11:00') },
      { used: 100, at: at('09:00') },
      { used: 1700, at: at('10:00') },
    ];
    expect(course.read('12:00', ...batch)).toBe('10/200');
    expect(course.last?.notes).toEqual([]);
  });

  it('of one moment count in the order in which they came', () => {
    const course = new Course(DAY);
    expect(course.read('12:00', { used: 2104 }, { used: 1900 }, { used: 10 })).toBe('free');
  });

  it('of a running total tell later what was used earlier', () => {
    const course = new Course({ limits: { hour: { used: 600, window: { rolling: '1h' } } } });
    course.read('09:00', { total: 0 });
    course.read('09:20', { total: 100 });
    // The host restarted in between; the reading before that was held up.
    expect(course.read('09:30', { total: 590, at: at('09:10') })).toBe('10/200');
    expect(course.last?.notes).toEqual([
      { index: 0, kind: 'placed', text: 'late: newer readings are known; placed before them' },
    ]);
    expect(course.explain().explanation.reason).toMatch(/^cpu 690 s of 600 s in the last 1h/);
  });
});

describe('several limits at once', () => {
  it('the harshest counts, and when it ends the milder one stays', () => {
    const course = new Course(WITH_HOUR);
    course.read('09:00', { total: 0 });
    course.read('09:20', { total: 500 });
    expect(course.read('09:30', { total: 1000 })).toBe('10/200');
    expect(course.read('09:40', { total: 2000 })).toBe('10/200');
    expect(course.goTo('10:00')).toBe('10/200');
    // At the end of its half hour, 1000 s of the last hour are still over.
    expect(course.goTo('10:29:59')).toBe('10/200');
    expect(course.goTo('11:00')).toBe('50/50');
    expect(course.goTo('23:59:59')).toBe('50/50');
    expect(course.goTo('+1 00:00')).toBe('free');
  });

  it('one that is milder than what stands changes nothing, and is waited for', () => {
    const course = new Course(WITH_HOUR);
    course.read('09:00', { total: 0 });
    expect(course.read('09:30', { total: 1999 })).toBe('10/200');
    expect(course.untilTime).toBe('10:00');
    expect(course.read('09:40', { total: 2000 })).toBe('10/200');
    expect(course.untilTime).toBe('+1 00:00');
  });

  it('each counts its own resource', () => {
    const course = new Course({ limits: { cpu: { used: 100 }, memory: { used: 8, unit: 'GB', resource: 'memory' } } });
    expect(course.read('09:00', { used: 9, resource: 'memory' })).toBe('10/200');
    expect(course.explain().explanation.reason).toBe('memory 9 GB of 8 GB, until 00:00 UTC');
    expect(course.read('09:05', { used: 50, resource: 'cpu' })).toBe('10/200');
    expect(course.read('09:10', { used: 1, resource: 'memory' })).toBe('free');
  });

  it('one that a reading brought is not measured by a running total of the same resource', () => {
    const course = new Course(DAY);
    expect(course.read('09:00', { used: 12, limit: 10, unit: 's', resource: 'gpu' })).toBe('10/200');
    course.rules = rulesFor({ dwell: '1m', limits: { gpu: { used: 500, resource: 'gpu' } } });
    course.read('09:10', { total: 1, resource: 'gpu' });
    expect(course.read('09:20', { total: 2, resource: 'gpu' })).toBe('10/200');
  });

  it('one that is taken out of the config lets go, and put back again holds as before', () => {
    const course = new Course(DAY);
    course.read('09:00', { used: 2104 });
    course.rules = rulesFor({ dwell: '1m' });
    expect(course.goTo('10:00')).toBe('free');
    course.rules = rulesFor(DAY);
    expect(course.goTo('10:05')).toBe('10/200');
    expect(course.untilTime).toBe('+1 00:00');
  });

  it('a config with another ladder keeps the penalty, at the duty cycle of now', () => {
    const levels = [
      { runMs: 50, stopMs: 50, for: '1h' },
      { runMs: 10, stopMs: 200, for: '1h' },
    ];
    const config = (levels: object[]) => ({ ...DAY, ladders: { standard: { levels, grace: '0s' } } });
    const course = new Course(config(levels));
    course.read('09:00', { used: 2104 });
    course.rules = rulesFor(config([{ runMs: 30, stopMs: 70, for: '2h' }]));
    expect(course.goTo('09:30')).toBe('30/70');
    expect(course.untilTime).toBe('10:00');
  });
});

describe('the shortest stay', () => {
  it('is kept on the way out, on the way in, and on the way from level to level', () => {
    const course = new Course({ ...DAY, dwell: '10m' });
    expect(course.read('09:00', { used: 2104, window: 'a' })).toBe('10/200');
    expect(course.read('09:01', { used: 5, window: 'b' })).toBe('10/200');
    expect(course.explain().explanation.reason).toBe(
      'new window: cpu 5 s of 2000 s; let go at 09:10 UTC, after the shortest stay',
    );
    expect(course.read('09:10', { used: 6, window: 'b' })).toBe('free');
    expect(course.read('09:11', { used: 2200, window: 'b' })).toBe('free');
    expect(course.goTo('09:19:59')).toBe('free');
    expect(course.goTo('09:20')).toBe('10/200');
    expect(course.changes).toEqual(['09:00 10/200', '09:10 free', '09:20 10/200']);
  });

  it('never makes a reset late: what would not last so long is not begun', () => {
    const { limits } = WITH_HOUR;
    const config = { ...WITH_HOUR, limits: { ...limits, hour: { ...limits.hour, window: { rolling: '30m' } } } };
    const changesWith = (dwell: string) => {
      const course = new Course({ ...config, dwell });
      course.read('23:00', { total: 0 });
      course.read('23:28', { total: 2000 });
      course.goTo('+1 01:00');
      return course.changes;
    };
    expect(changesWith('1m')).toEqual(['23:28 10/200', '23:58 50/50', '+1 00:00 free']);
    // Two minutes of the milder level are left, and with five to stay it would still hold at 00:03.
    expect(changesWith('5m')).toEqual(['23:28 10/200', '23:58 free']);
  });
});

describe('a wall clock', () => {
  it('that is set back keeps nobody in longer than was meant', () => {
    const course = new Course({ ...DAY, ladders: { standard: { levels: [{ runMs: 10, stopMs: 200, for: '1h' }] } } });
    course.read('+3 09:00', { used: 2104 });
    expect(course.goTo('09:00')).toBe('10/200');
    expect(course.untilTime).toBe('10:00');
    expect(course.goTo('10:00')).toBe('free');
  });

  it('that is set back does not make every reading late', () => {
    const course = new Course(DAY);
    course.read('+3 09:00', { used: 5 });
    expect(course.read('09:00', { used: 2104 })).toBe('10/200');
    expect(course.last?.notes).toEqual([]);
  });
});

describe('what is remembered', () => {
  it('is the same object when nothing has changed, so that nothing need be written', () => {
    const course = new Course(DAY);
    course.read('09:00', { used: 2104 });
    const { state } = course;
    course.goTo('15:00');
    expect(course.state).toBe(state);
  });

  it('is not changed by judging: what was given stays as it was', () => {
    const course = new Course(DAY);
    course.read('09:00', { used: 2104, id: 'a' });
    const before = structuredClone(course.state);
    const given = course.state;
    course.read('12:00', { used: 5, id: 'b' }, { total: 9, id: 'c' });
    expect(given).toEqual(before);
    expect(course.state).not.toBe(given);
  });

  it('tells when to look again', () => {
    const course = new Course(WITH_HOUR);
    course.read('09:00', { total: 0 });
    expect(course.last?.wakeAtMs).toBeNull();
    course.read('09:30', { total: 1999 });
    expect(timeOf(course.last!.wakeAtMs)).toBe('10:00');
  });
});

it('judging gives the same as deciding, with words', () => {
  const it = {
    account: 'alice',
    subject: 'account',
    rules: rulesFor(DAY),
    pin: null,
    nowMs: at('12:00'),
    prior: 'none' as const,
    readings: [],
  };
  const { explanation, ...decision } = judge(it);
  expect(decision).toEqual(decide(it));
  expect(explanation.summary).toBe('alice is not slowed down.');
});

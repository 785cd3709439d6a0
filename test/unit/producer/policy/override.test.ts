/** Exemptions and pins: which of them holds, when it ends, and what becomes of the account then. */
import { describe, expect, it } from 'vitest';
import type { Exemption } from '../../../../producer/policy/config.ts';
import { overrideAt } from '../../../../producer/policy/override.ts';
import { type Pin, pinSchema } from '../../../../shared/redis/pins.ts';
import { at, Course, rulesFor } from './course.ts';

const DAY = { dwell: '1m', limits: { day: { used: 2000 } } };
const release = (until: string | null, why = 'a demo for the board'): Pin => ({
  v: 1,
  kind: 'release',
  setAtMs: at('10:00'),
  untilMs: until === null ? null : at(until),
  by: 'operator:ann',
  why,
});
const keep = (until: string): Pin => ({
  ...release(until, 'mining coins'),
  kind: 'keep',
  untilMs: at(until),
  hobble: { runMs: 5, stopMs: 200, mechanism: 'auto' },
});

describe('a release by an operator', () => {
  it('beats the policy until its time, says who and why, and then the policy holds again', () => {
    const course = new Course(DAY);
    course.read('09:00', { used: 2104 });
    course.pin = release('+1 12:00');
    expect(course.goTo('10:00')).toBe('free');
    expect(course.explain().explanation).toMatchObject({
      summary:
        'alice is not slowed down since 10:00 UTC: released by operator:ann until 2025-11-25 12:00 UTC: a demo for the board.',
      details: [
        'released by operator:ann until 2025-11-25 12:00 UTC: a demo for the board',
        expect.stringMatching(/^day: cpu 2104 s of 2000 s; .*; in since 09:00 UTC; out below 1800 s, or at 00:00 UTC/),
      ],
    });
    expect(course.read('12:00', { used: 9000 })).toBe('free');
    expect(course.goTo('+1 00:00')).toBe('free');
    expect(course.read('+1 08:00', { used: 2500 })).toBe('free');
    expect(course.goTo('+1 11:59:59')).toBe('free');
    expect(course.goTo('+1 12:00')).toBe('10/200');
  });

  it('counts no offence while it lasts', () => {
    const levels = [
      { runMs: 50, stopMs: 50 },
      { runMs: 10, stopMs: 200 },
    ];
    const course = new Course({ ...DAY, ladders: { standard: { levels, grace: '0s' } } });
    course.pin = release('+5 00:00');
    for (const day of [0, 1, 2, 3]) course.read(`+${day} 12:00`, { used: 3000 });
    expect(course.changes).toEqual([]);
    course.pin = null;
    expect(course.read('+4 12:00', { used: 3000 })).toBe('50/50');
  });

  it('for good lasts until another pin', () => {
    const course = new Course(DAY);
    course.pin = release(null);
    expect(course.read('12:00', { used: 9000 })).toBe('free');
    expect(course.goTo('23:00')).toBe('free');
    course.pin = null;
    expect(course.goTo('23:01')).toBe('10/200');
  });
});

describe('an operator who keeps an account in', () => {
  it('does so until the time said, whatever it used, and says who and why', () => {
    const course = new Course(DAY, 'bob');
    course.pin = keep('18:00');
    expect(course.read('12:00', { used: 1 })).toBe('5/200');
    expect(course.untilTime).toBe('18:00');
    expect(course.explain().explanation.summary).toBe(
      'bob is slowed down to 5 ms of every 205 ms since 12:00 UTC: kept in by operator:ann until 18:00 UTC: mining coins. It gets out at 18:00 UTC if it uses no more.',
    );
    expect(course.goTo('17:59:59')).toBe('5/200');
    expect(course.goTo('18:00')).toBe('free');
  });

  it('and what the policy had against it meanwhile still stands after it', () => {
    const course = new Course(DAY);
    course.pin = keep('18:00');
    course.read('12:00', { used: 3000 });
    expect(course.standing).toBe('5/200');
    expect(course.untilTime).toBe('+1 00:00');
    expect(course.goTo('18:00')).toBe('10/200');
    expect(course.goTo('+1 00:00')).toBe('free');
  });

  it('cannot do so for good: a pin that keeps in has an end', () => {
    expect(pinSchema.safeParse(keep('18:00')).success).toBe(true);
    expect(pinSchema.safeParse({ ...keep('18:00'), untilMs: null }).success).toBe(false);
    expect(pinSchema.safeParse(release(null)).success).toBe(true);
  });
});

describe('an exemption', () => {
  it.each([
    ['by name, for good', ['alice'], '+20 00:00', 'free', 'exempt'],
    [
      'until a time, before it',
      [{ account: 'alice', until: '2025-11-24T12:00:00Z', by: 'ann', why: 'moving' }],
      '11:59',
      'free',
      'exempt by ann until 12:00 UTC: moving',
    ],
    ['until a time, after it', [{ account: 'alice', until: '2025-11-24T12:00:00Z' }], '12:00', '10/200', ''],
    ['by group', [{ group: 'staff' }], '+20 00:00', 'free', 'exempt'],
    ['of somebody else', ['bob'], '11:00', '10/200', ''],
    [
      'of two, the longer one counts',
      [{ account: 'alice', until: '2025-11-24T10:00:00Z' }, { group: 'staff' }],
      '23:00',
      'free',
      'exempt',
    ],
  ])('%s', (_title, exempt, time, standing, reason) => {
    const course = new Course({
      dwell: '1m',
      limits: { ever: { used: 2000, window: { every: '31d' } } },
      groups: { staff: { members: ['al*'] } },
      forgetAfter: '31d',
      exempt,
    });
    course.read('09:00', { used: 2104 });
    expect(course.goTo(time)).toBe(standing);
    if (reason !== '') expect(course.explain().explanation.reason).toBe(reason);
  });

  it('lets go at once who becomes exempt, and beats a pin', () => {
    const course = new Course(DAY);
    course.read('09:00', { used: 2104 });
    course.rules = rulesFor({ ...DAY, exempt: ['alice'] });
    expect(course.goTo('09:00:01')).toBe('free');
    course.pin = keep('18:00');
    expect(course.goTo('12:00')).toBe('free');
  });

  it('that lasts longest is the one that is named', () => {
    const until = (untilMs: number | null): Exemption => ({
      account: 'a',
      group: null,
      untilMs,
      by: 'config',
      why: '',
    });
    const of = (...exemptions: Exemption[]) => overrideAt(exemptions, null, 100);
    expect(of(until(100))).toBeNull();
    expect(of(until(101), until(200), until(150))).toMatchObject({ exemption: { untilMs: 200 } });
    expect(of(until(200), until(null))).toMatchObject({ exemption: { untilMs: null } });
  });
});

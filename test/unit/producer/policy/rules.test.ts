/** What an account ends up with: defaults, groups in the order of the file, then its own. */
import { describe, expect, it } from 'vitest';
import { policySchema } from '../../../../producer/policy/config.ts';
import { Membership } from '../../../../producer/policy/membership.ts';
import { Rules } from '../../../../producer/policy/rules.ts';
import { rulesFor } from './course.ts';

const CONFIG = {
  zone: 'Europe/London',
  limits: {
    day: { used: 2000 },
    fixed: { used: 10, window: { daily: '03:00', zone: 'Asia/Tokyo' } },
    hour: { used: 600, window: { rolling: '1h' } },
  },
  ladders: { harsh: { levels: [{ runMs: 1, stopMs: 100, for: '1h' }] } },
  groups: {
    students: { members: ['s-*', 'bob'], zone: 'America/New_York', daily: '06:00', limits: { day: { used: 100 } } },
    night: {
      members: ['bob'],
      daily: '22:00',
      limits: { day: { ladder: 'harsh' }, hour: 'none', gpu: { used: 5, unit: 'h', resource: 'gpu' } },
    },
  },
  accounts: {
    bob: { limits: { day: { leaveRatio: 0.5 } } },
    's-eve': { zone: 'UTC', limits: { day: { window: { daily: '12:00' } } } },
  },
  exempt: [{ group: 'night', until: '2026-01-01T00:00:00Z' }, 'carol'],
};
const limitsOf = (account: string) =>
  Object.fromEntries(rulesFor(CONFIG, account).limits.map((limit) => [limit.name, limit]));

describe('the limits', () => {
  it('of an account that nobody names are those for all, in the zone of all', () => {
    expect(limitsOf('alice')).toMatchObject({
      day: {
        used: 2000,
        unit: 's',
        resource: 'cpu',
        from: 'limits',
        enterRatio: 1,
        leaveRatio: 0.9,
        window: { kind: 'daily', minuteOfDay: 0, zone: 'Europe/London' },
        ladder: { name: 'standard', graceMs: 0 },
      },
      fixed: { window: { kind: 'daily', minuteOfDay: 180, zone: 'Asia/Tokyo' } },
      hour: { window: { kind: 'rolling', lengthMs: 3_600_000 } },
    });
  });

  it("of a group's member are what the group says over that, zone and reset time of every day included", () => {
    expect(limitsOf('s-al')).toMatchObject({
      day: { used: 100, from: 'group students', window: { minuteOfDay: 360, zone: 'America/New_York' } },
      fixed: { used: 10, from: 'limits', window: { minuteOfDay: 360, zone: 'America/New_York' } },
      hour: { window: { kind: 'rolling' } },
    });
  });

  it('of a member of several are what the later group says, and in the end the account', () => {
    const limits = limitsOf('bob');
    expect(Object.keys(limits)).toEqual(['day', 'fixed', 'gpu']);
    expect(limits).toMatchObject({
      day: {
        used: 100,
        from: 'account bob',
        leaveRatio: 0.5,
        ladder: { name: 'harsh', graceMs: 300_000 },
        window: { minuteOfDay: 1_320, zone: 'America/New_York' },
      },
      gpu: {
        used: 5,
        unit: 'h',
        from: 'group night',
        window: { kind: 'daily', minuteOfDay: 0, zone: 'America/New_York' },
      },
    });
  });

  it('a window that an account sets itself wins over a reset time of its group', () => {
    expect(limitsOf('s-eve').day?.window).toEqual({ kind: 'daily', minuteOfDay: 720, zone: 'UTC' });
  });

  it('may have a ladder by the name of the standard one, which then is the standard', () => {
    const { limits } = rulesFor({
      ...CONFIG,
      ladders: { standard: { levels: [{ runMs: 3, stopMs: 3 }] }, harsh: CONFIG.ladders.harsh },
    });
    expect(limits[0]?.ladder).toMatchObject({ levels: [{ hobble: { runMs: 3 }, lengthMs: null }], graceMs: 300_000 });
  });
});

describe('groups that do not go together', () => {
  const config = {
    limits: { day: { used: 2000 }, hour: { used: 5 } },
    groups: {
      one: { members: ['*'], limits: { day: 'none', hour: { enterRatio: 0.95 } } },
      two: { members: ['*'], limits: { day: { ladder: 'standard' }, hour: { leaveRatio: 0.97 } } },
    },
  };

  it('leave out what one takes away and another would only alter', () => {
    expect(rulesFor(config).limits.map(({ name }) => name)).toEqual(['hour']);
  });

  it('never let go above where they put in', () => {
    expect(
      rulesFor({
        ...config,
        groups: { ...config.groups, two: { members: ['*'], limits: { hour: { leaveRatio: 0.9 } } } },
      }).limits[0],
    ).toMatchObject({ leaveRatio: 0.9 });
    expect(rulesFor(config).limits[0]).toMatchObject({ enterRatio: 0.95, leaveRatio: 0.95 });
  });
});

describe('rules', () => {
  const rules = new Rules(policySchema.parse(CONFIG));

  it('are one and the same for all who have nothing of their own', () => {
    expect(rules.of('alice')).toBe(rules.of('dave'));
    expect(rules.of('s-al')).toBe(rules.of('s-ben'));
    expect(rules.of('alice')).not.toBe(rules.of('s-al'));
    expect(rules.of('carol')).not.toBe(rules.of('dave'));
  });

  it('carry the exemptions of the account and of its groups', () => {
    expect(rules.of('alice').exemptions).toEqual([]);
    expect(rules.of('carol').exemptions).toMatchObject([{ account: 'carol', untilMs: null }]);
    expect(rules.of('bob').exemptions).toMatchObject([{ group: 'night', untilMs: Date.parse('2026-01-01T00:00:00Z') }]);
  });

  it.each(['__proto__', 'constructor', 'toString'])('of an account called %s are those of anybody', (account) => {
    expect(rules.of(account)).toBe(rules.of('alice'));
  });
});

describe('membership', () => {
  const membership = new Membership([
    ['one', ['a', 'b*']],
    ['two', ['*']],
    ['three', ['bob', 'a', 'a']],
  ]);
  it.each([
    ['a', ['one', 'two', 'three']],
    ['bob', ['one', 'two', 'three']],
    ['ben', ['one', 'two']],
    ['zoe', ['two']],
  ])('of %s', (account, groups) => {
    expect(membership.groupsOf(account)).toEqual(groups);
  });

  it('by name alone is in the order of the config too', () => {
    expect(
      new Membership([
        ['one', ['b']],
        ['two', ['a', 'b']],
      ]).groupsOf('b'),
    ).toEqual(['one', 'two']);
    expect(new Membership([['one', ['b']]]).groupsOf('a')).toEqual([]);
  });
});

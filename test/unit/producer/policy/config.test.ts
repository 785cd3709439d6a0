/** The policy's config: defaults, and every fault at once, each with its line. */
import { describe, expect, it } from 'vitest';
import { policySchema } from '../../../../producer/policy/config.ts';
import { parseSection } from '../../../../shared/config.ts';

const parse = (yaml: string) => parseSection(yaml, 'hobbler.yaml', 'producer', policySchema);
const faultsOf = (yaml: string): string[] => {
  try {
    parse(yaml);
    return [];
  } catch (error) {
    return (error as Error).message.split('\n').sort((a, b) => lineOf(a) - lineOf(b));
  }
};
const lineOf = (fault: string) => Number(/^hobbler\.yaml:(\d+):/.exec(fault)?.[1]);

it('may be left out: then there is no limit but those that readings bring', () => {
  expect(parse('')).toEqual({
    zone: 'UTC',
    limits: {},
    ladders: {},
    groups: {},
    accounts: {},
    exempt: [{ account: 'root', group: null, untilMs: null, by: 'config', why: '' }],
    dwell: 60_000,
    forgetAfter: 86_400_000,
    brake: { share: 0.2, atLeast: 10, within: 600_000 },
  });
});

it('takes all of it', () => {
  const config = parse(`
producer:
  zone: Europe/London
  dwell: 2m
  forgetAfter: 2d
  limits:
    day: { used: 2000 }
    hour: { used: 600, unit: s, resource: cpu, window: { rolling: 1h }, enterRatio: 1, leaveRatio: 0.8, ladder: burst }
  ladders:
    burst:
      levels: [ { runMs: 50, stopMs: 50, for: 30m }, { runMs: 10, stopMs: 200, mechanism: quota, every: true, for: 2h } ]
      lookback: 1d
      forgive: 3h
      grace: 5m
  groups:
    students: { members: [alice, 's-*'], zone: America/New_York, daily: '06:00', limits: { day: { used: 500 }, hour: none } }
  accounts:
    acme: { daily: '14:37', limits: { day: { used: 8000 } }, targets: [ { host: web-1, target: 'uid:1001' } ] }
  exempt:
    - root
    - { group: students, until: 2026-01-01T00:00:00Z, by: ann, why: exam week }
    - { account: carol }
  brake: { share: 0.1, atLeast: 5, within: 1h }
`);
  expect(config.ladders.burst).toEqual({
    levels: [
      { runMs: 50, stopMs: 50, mechanism: 'auto', for: 1_800_000 },
      { runMs: 10, stopMs: 200, mechanism: 'quota', every: true, for: 7_200_000 },
    ],
    lookback: 86_400_000,
    forgive: 10_800_000,
    grace: 300_000,
  });
  expect(config.exempt[1]).toEqual({
    account: null,
    group: 'students',
    untilMs: Date.parse('2026-01-01T00:00:00Z'),
    by: 'ann',
    why: 'exam week',
  });
  expect(config.accounts.acme).toMatchObject({ daily: 877, targets: [{ host: 'web-1', target: 'uid:1001' }] });
  expect(parse('producer: { brake: off }').brake).toBe('off');
});

it('reports every fault at once, with its line and path, also what one setting says of another', () => {
  expect(
    faultsOf(`producer:
  zone: Mars/Base
  dwell: 2m
  limits:
    day: { used: 0, window: { daily: 25:00 }, leaveRatio: 1, ladder: nope }
    hour: { used: 600, window: { rolling: 1s } }
    bad name: { used: 1 }
  ladders:
    burst:
      levels:
        - { runMs: 10, stopMs: 200, for: 1m }
        - { runMs: 10, stopMs: 20 }
      grce: 5m
  groups:
    students: { members: ['a*b'], limits: { hour: none, week: none, gpu: { unit: h } } }
  accounts:
    acme: { daily: '6:00', limits: { day: { enterRatio: 0.5, ladder: brst } }, targets: [ { target: nobody } ] }
  exempt: [ root, { group: staff }, { account: bob, until: tomorrow, whi: x }, 7 ]
  brake: { share: 2, most: 1 }
  forgetAfter: 31s
  color: red
`),
  ).toEqual([
    'hobbler.yaml:2: producer.zone: expected a time zone such as UTC or Europe/London; got "Mars/Base"',
    'hobbler.yaml:5: producer.limits.day.used: expected more than 0; got 0',
    'hobbler.yaml:5: producer.limits.day.window.daily: expected a time of day such as \'00:00\', in quotes; got "25:00"',
    'hobbler.yaml:5: producer.limits.day.ladder: there is no ladder of that name; got "nope"',
    'hobbler.yaml:5: producer.limits.day.leaveRatio: expected leaveRatio (1) below enterRatio (1); got 1',
    'hobbler.yaml:6: producer.limits.hour.window.rolling: expected 10s to 31d; got "1s"',
    'hobbler.yaml:7: producer.limits.bad name: expected a name of letters, digits, - and _, at most 32',
    'hobbler.yaml:11: producer.ladders.burst.levels.0.for: expected no less than dwell; got "1m"',
    'hobbler.yaml:12: producer.ladders.burst.levels.1.runMs: expected a level no milder than the one before; got 10',
    'hobbler.yaml:13: producer.ladders.burst.grce: unknown setting',
    'hobbler.yaml:15: producer.groups.students.members.0: expected an account, or the beginning of its name and *; got "a*b"',
    'hobbler.yaml:15: producer.groups.students.limits.week: there is no limit of that name to leave out; got "none"',
    'hobbler.yaml:15: producer.groups.students.limits.gpu.used: expected how much may be used, as limits has none of that name; got nothing',
    'hobbler.yaml:17: producer.accounts.acme.daily: expected a time of day such as \'00:00\', in quotes; got "6:00"',
    'hobbler.yaml:17: producer.accounts.acme.targets.0.target: expected user:NAME, uid:NUMBER, pid:PID@START or cgroup:/PATH; got "nobody"',
    'hobbler.yaml:17: producer.accounts.acme.limits.day.ladder: there is no ladder of that name; got "brst"',
    'hobbler.yaml:17: producer.accounts.acme.limits.day.enterRatio: expected leaveRatio (1) below enterRatio (0.5); got 0.5',
    'hobbler.yaml:18: producer.exempt.2.until: expected a time such as 2025-11-24T00:00:00Z; got "tomorrow"',
    'hobbler.yaml:18: producer.exempt.2.whi: unknown setting; got "x"',
    'hobbler.yaml:18: producer.exempt.3: expected an account, or { account or group, until, by, why }; got 7',
    'hobbler.yaml:18: producer.exempt.1.group: there is no group of that name; got "staff"',
    'hobbler.yaml:19: producer.brake.share: Too big: expected number to be <=1; got 2',
    'hobbler.yaml:19: producer.brake.most: unknown setting; got 1',
    'hobbler.yaml:20: producer.forgetAfter: expected no less than dwell; got "31s"',
    'hobbler.yaml:21: producer.color: unknown setting',
  ]);
});

describe('a fault', () => {
  it.each([
    [
      'a limit without an amount',
      '{ limits: { d: { unit: h } } }',
      'limits.d.used: expected how much may be used; got nothing',
    ],
    ['no levels', '{ ladders: { l: { levels: [] } } }', 'ladders.l.levels'],
    [
      'a level of no length',
      '{ ladders: { l: { levels: [ { runMs: 1, stopMs: 1, for: 0s } ] } } }',
      'levels.0.for: expected 1s to 31d',
    ],
    [
      'a limit that a group has taken away and an account builds upon',
      '{ limits: { d: { used: 1 } }, groups: { g: { members: [a], limits: { d: none } } }, accounts: { a: { limits: { d: { unit: h } } } } }',
      'accounts.a.limits.d.used: expected how much',
    ],
    [
      'ratios that are in order in each place and not together',
      '{ limits: { d: { used: 1, enterRatio: 2, leaveRatio: 1.5 } }, accounts: { a: { limits: { d: { enterRatio: 1.2 } } } } }',
      'accounts.a.limits.d.enterRatio: expected leaveRatio (1.5) below enterRatio (1.2)',
    ],
    [
      'a limit that is neither settings nor none',
      '{ accounts: { a: { limits: { d: 5 } } } }',
      'accounts.a.limits.d: expected what differs from the limit of that name, or none; got 5',
    ],
    [
      'a setting of a limit that is misspelt',
      '{ accounts: { a: { limits: { d: { usd: 5 } } } } }',
      'accounts.a.limits.d.usd: unknown setting',
    ],
    [
      'more limits than are looked at',
      `{ limits: { ${Array.from({ length: 33 }, (_, n) => `l${n}: { used: 1 }`).join(', ')} } }`,
      'limits: expected at most 32 limits',
    ],
    ['an account with a line break', '{ accounts: { "a\\nb": {} } }', 'expected a name of 1 to 256 characters'],
    ['a brake that is no brake', '{ brake: on }', 'brake: expected { share, atLeast, within } or off; got "on"'],
  ])('%s', (_title, section, fault) => {
    expect(faultsOf(`producer: ${section}`).join('\n')).toContain(fault);
  });

  it('in one part does not hide those of another that build upon it', () => {
    const faults = faultsOf(
      'producer: { ladders: 5, limits: { d: { used: x, ladder: nope } }, exempt: 5, groups: { g: 5 } }',
    );
    expect(faults).toHaveLength(5);
    expect(faults.join('\n')).toContain('limits.d.ladder: there is no ladder of that name');
  });
});

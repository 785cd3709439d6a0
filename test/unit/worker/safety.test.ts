/** Invariant 5, rule by rule: who is never stopped, and that no user can make himself one of them. */
import { describe, expect, it } from 'vitest';
import { uidsOf, workerConfigSchema } from '../../../worker/config.ts';
import type { ProcessEntry } from '../../../worker/process/table.ts';
import { type SafetyRules, whyExempt } from '../../../worker/safety.ts';

const process = (parts: Partial<ProcessEntry> = {}): ProcessEntry => ({
  pid: 500,
  ppid: 400,
  startTicks: 9,
  isKernelThread: false,
  comm: 'sh',
  pgrp: 500,
  session: 500,
  tty: 0,
  realUid: 1_001,
  effectiveUid: 1_001,
  gids: [1_001],
  ownTicks: 0,
  reapedTicks: 0,
  state: 'S',
  isAlive: true,
  pass: 1,
  inode: undefined,
  ...parts,
});

const RULES: SafetyRules = {
  protectedPids: () => new Set([1, 77, 78]),
  redis: () => ({ pid: 88, startTicks: 880 }),
  minUid: 1_000,
  exemptUids: new Set([1_500]),
  exemptGids: new Set([27]),
  exemptCgroups: ['/system.slice', '/exempt/this'],
  onlyUid: null,
};
interface World {
  parent?: Partial<ProcessEntry> | undefined;
  cgroups?: string[];
  rules?: Partial<SafetyRules>;
}
const why = (one: Partial<ProcessEntry>, { parent, cgroups = ['/user.slice'], rules = {} }: World = {}) =>
  whyExempt(
    process(one),
    { ...RULES, ...rules },
    {
      parentOf: () => parent && process({ pid: 400, ...parent }),
      cgroupsOf: () => cgroups,
    },
  );
const ROOT_SSHD = { comm: 'sshd', realUid: 0, effectiveUid: 0 };

it('whoever has the pid of a Redis that has ended is no Redis', () => {
  expect(why({ pid: 88, startTicks: 881 })).toBeUndefined();
});

describe('never stopped', () => {
  it.each<[string, Partial<ProcessEntry>, World, RegExp]>([
    ['pid 1', { pid: 1 }, {}, /pid 1/],
    ['a kernel thread', { isKernelThread: true, realUid: null, effectiveUid: null }, {}, /kernel thread/],
    ['the worker, its guard and their ancestors', { pid: 77 }, {}, /hobbler itself/],
    ['the Redis that orders come from', { pid: 88, startTicks: 880 }, {}, /Redis/],
    ['one whose owner cannot be read', { realUid: null }, {}, /owner cannot be read/],
    ['one whose effective owner cannot be read', { effectiveUid: null }, {}, /owner cannot be read/],
    ['root', { realUid: 0, effectiveUid: 0 }, {}, /below minUid/],
    ['a system user', { realUid: 999, effectiveUid: 999 }, {}, /uid 999 is below minUid 1000/],
    ['a program of a user that became root (setuid)', { effectiveUid: 0 }, {}, /uid 0 is below/],
    ['a program of root that acts as a user', { realUid: 0 }, {}, /uid 0 is below/],
    ['an exempt user', { realUid: 1_500, effectiveUid: 1_500 }, {}, /exempt/],
    ['one that acts as an exempt user', { effectiveUid: 1_500 }, {}, /exempt/],
    ['a member of an exempt group', { gids: [1_001, 5, 27] }, {}, /group 27 is exempt/],
    ['an exempt cgroup', {}, { cgroups: ['/exempt/this'] }, /cgroup \/exempt\/this/],
    [
      'what lies below an exempt cgroup',
      {},
      { cgroups: ['/user.slice', '/system.slice/a/b'] },
      /cgroup \/system.slice/,
    ],
    ['the sshd of a session', { comm: 'sshd' }, { parent: ROOT_SSHD }, /sshd of a session/],
    [
      'the newer sshd of a session',
      { comm: 'sshd-session' },
      { parent: { ...ROOT_SSHD, comm: 'sshd-session' } },
      /sshd/,
    ],
    ['for an ordinary user: who belongs to somebody else', {}, { rules: { onlyUid: 1_002 } }, /not to you/],
    [
      'for an ordinary user: what runs as somebody else',
      { effectiveUid: 1_002 },
      { rules: { onlyUid: 1_001 } },
      /not to you/,
    ],
    ['one whose cgroups cannot be read, where some are exempt', {}, { cgroups: [] }, /cgroup.*cannot be read/],
  ])('%s', (_, one, world, expected) => {
    expect(why(one, world)).toMatch(expected);
  });
});

describe('no shelter', () => {
  it.each<[string, Partial<ProcessEntry>, World]>([
    ['an ordinary process', {}, {}],
    ['the lowest uid of users', { realUid: 1_000, effectiveUid: 1_000 }, {}],
    ['one that calls itself sshd', { comm: 'sshd' }, { parent: { comm: 'bash' } }],
    ['an sshd whose parent calls himself sshd too', { comm: 'sshd' }, { parent: { comm: 'sshd' } }],
    [
      'an sshd whose parent is a setuid program under that name',
      { comm: 'sshd' },
      { parent: { comm: 'sshd', effectiveUid: 0 } },
    ],
    ['an sshd that was handed to init', { comm: 'sshd' }, { parent: { ...ROOT_SSHD, comm: 'systemd' } }],
    ['an sshd whose parent is gone', { comm: 'sshd' }, { parent: undefined }],
    ['a name that only begins like sshd', { comm: 'sshd-keygen' }, { parent: ROOT_SSHD }],
    ['a shell under the session', { comm: 'bash' }, { parent: ROOT_SSHD }],
    ['a name of hobbler or a kernel thread', { comm: 'kworker/0:1' }, {}],
    ['a cgroup whose name only begins like an exempt one', {}, { cgroups: ['/system.slice-mine', '/exempt/thisnot'] }],
    ['a parent of an exempt cgroup', {}, { cgroups: ['/exempt'] }],
    ['unreadable cgroups where none are exempt', {}, { cgroups: [], rules: { exemptCgroups: [] } }],
    ['pid 2 in a container', { pid: 2 }, {}],
  ])('%s', (_, one, world) => {
    expect(why(one, world)).toBeUndefined();
  });
});

describe('exempt uids in a config', () => {
  const uids = (given?: unknown) =>
    uidsOf(workerConfigSchema.parse(given === undefined ? {} : { exempt: { uids: given } }).exempt.uids);

  it('are those of system services and nobody, unless it says otherwise', () => {
    expect(uids()).toHaveLength(65_519 - 61_184 + 2);
    expect(uids()).toEqual(expect.arrayContaining([61_184, 65_519, 65_534]));
    expect(uids([])).toEqual([]);
  });

  it('are numbers and ranges with both ends', () => {
    expect(uids([7, '1001', '2000-2002'])).toEqual([7, 1_001, 2_000, 2_001, 2_002]);
  });

  it.each([[-1], [1.5], ['5-4'], ['a'], ['1-'], ['1-2-3'], [4_294_967_295], ['0-100000'], [''], ['1_000']])(
    '%j is refused',
    (bad) => expect(() => uids([bad])).toThrow(/expected a uid|expected int|Invalid/),
  );
});

describe('exempt cgroups in a config', () => {
  const exempt = (path: string) => workerConfigSchema.parse({ exempt: { cgroups: [path] } }).exempt.cgroups;

  it('mean the same with a slash at their end', () => {
    expect(
      why({}, { cgroups: ['/system.slice/ssh.service'], rules: { exemptCgroups: exempt('/system.slice/') } }),
    ).toMatch(/exempt/);
  });

  it('can be all of them', () => {
    expect(why({}, { cgroups: ['/user.slice'], rules: { exemptCgroups: exempt('/') } })).toMatch(/exempt/);
  });
});

/** What only the quota has to show: whose cgroup it limits, what others set there, and that it costs no wake-ups. */
import { cpus } from 'node:os';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createCgroup, MOUNTS, removeTestCgroups, type TestCgroup } from '../../support/cgroups.ts';
import { startHost, type TestHost } from '../../support/host.ts';
import { liveLines } from '../../support/journal.ts';
import { expectNothingLeft, readState, spawnSleepers, spawnSpinner, until } from '../../support/processes.ts';

const CYCLE = { runMs: 10, stopMs: 90 };
/** A tenth of the machine, per 100 ms. */
const OURS = String(10_000 * cpus().length);

let host: TestHost;
let group: TestCgroup;
beforeEach(async ({ skip }) => {
  if (MOUNTS.cpu === undefined) return skip('no v1 cpu hierarchy on this machine');
  host = await startHost();
  group = createCgroup('cpu');
});
afterEach(async () => {
  host?.stop();
  await expectNothingLeft().finally(removeTestCgroups);
});

const inside = async () => {
  const [one] = await spawnSleepers(1);
  group.enter(one!.pid);
  return one!;
};
const quota = () => group.read('cpu.cfs_quota_us');
const limit = (one: { pid: number; startTicks: number }, cycle = CYCLE) => host.tarpit(one, cycle, true, 'quota');

test('a lower limit that stands already stays; a higher one is put back afterwards', async () => {
  const one = await inside();
  group.write('cpu.cfs_quota_us', '5000');
  limit(one);
  expect(quota()).toBe('5000');
  expect(host.loop(one)!.inForce.why).toContain('has a lower limit already: 5 ms of CPU in 100');
  host.host.engine.untarpit(host.loop(one)!.key);
  expect(quota()).toBe('5000');
  group.write('cpu.cfs_quota_us', '90000');
  limit(one);
  expect(quota()).toBe(OURS);
  host.host.engine.untarpit(host.loop(one)!.key);
  expect([quota(), liveLines(host)]).toEqual(['90000', []]);
});

test('what others set meanwhile is what is put back; a lower limit of theirs stays in force', async () => {
  const one = await inside();
  limit(one);
  expect(quota()).toBe(OURS);
  group.write('cpu.cfs_quota_us', '70000');
  await until(() => quota() === OURS, { deadlineMs: 3_000, what: 'ours to be set again' });
  group.write('cpu.cfs_quota_us', '3000');
  await until(() => host.loop(one)!.inForce.why.includes('lower limit already'), {
    deadlineMs: 3_000,
    what: 'theirs to be seen',
  });
  expect(quota()).toBe('3000');
  group.write('cpu.cfs_quota_us', '70000');
  await until(() => quota() === OURS, { deadlineMs: 3_000, what: 'ours to be set again' });
  host.host.engine.untarpit(host.loop(one)!.key);
  expect(quota()).toBe('70000');
  limit(one);
  group.write('cpu.cfs_quota_us', '60000');
  host.host.engine.untarpit(host.loop(one)!.key); // before we have seen it
  expect([quota(), liveLines(host)]).toEqual(['60000', []]);
});

test('a stranger in the cgroup lifts the limit, which is said, until he has left', async () => {
  const one = await inside();
  limit(one);
  expect(quota()).toBe(OURS);
  const [stranger] = await spawnSleepers(1);
  group.enter(stranger!.pid);
  await until(() => quota() === '-1', { deadlineMs: 3_000, what: 'the limit to be lifted' });
  expect(host.loop(one)!).toMatchObject({
    state: 'held',
    why: `no quota: ${group.path} holds sleep (pid ${stranger!.pid}) too`,
  });
  expect(liveLines(host)).toEqual([]);
  createCgroup('cpu').enter(stranger!.pid);
  await until(() => quota() === OURS, { deadlineMs: 3_000, what: 'the limit to be set again' });
  expect(host.loop(one)!.state).toBe('hobbling');
});

test('a target in no cgroup of its own, or in two, is unsupported, with the reason', async () => {
  const [outside] = await spawnSleepers(1);
  expect(limit(outside!)).toEqual({
    status: 'unsupported',
    why: expect.stringMatching(/^no quota: (sleep \(pid \d+\) is in no cgroup but the root|\/.* holds .* too)$/),
  });
  const [one, two] = await spawnSleepers(2, { uid: 20_031, gid: 20_031, cwd: '/' });
  group.enter(one!.pid);
  createCgroup('cpu').enter(two!.pid);
  expect(host.tarpit('uid:20031', CYCLE, true, 'quota')).toEqual({
    status: 'unsupported',
    why: 'no quota: its processes are in 2 cgroups',
  });
  expect([quota(), liveLines(host), host.host.engine.loops.size]).toEqual(['-1', [], 0]);
});

test('a share that is less than 1 ms in 100 gets a longer period, which is put back too', async () => {
  const one = await inside();
  limit(one, { runMs: 1, stopMs: 999 });
  const [quotaUs, periodUs] = [Number(quota()), Number(group.read('cpu.cfs_period_us'))];
  expect(quotaUs).toBeGreaterThanOrEqual(1_000);
  expect(quotaUs / periodUs).toBeCloseTo(cpus().length / 1_000, 4);
  host.host.engine.untarpit(host.loop(one)!.key);
  expect([quota(), group.read('cpu.cfs_period_us'), liveLines(host)]).toEqual(['-1', '100000', []]);
  expect(limit(one, { runMs: 1, stopMs: 10_000 })).toMatchObject({
    status: cpus().length < 10 ? 'unsupported' : 'applied',
  });
});

test('a group that the kernel lets have no such limit is unsupported, and nothing is left half set', async () => {
  const one = await inside();
  const below = createCgroup('cpu', 'below', group);
  below.write('cpu.cfs_quota_us', '80000'); // v1: a child's share may not be larger than its parent's
  expect(limit(one)).toEqual({
    status: 'unsupported',
    why: expect.stringMatching(/^no quota: .*cpu.cfs_quota_us does not take \d+ \(EINVAL\)$/),
  });
  expect([quota(), liveLines(host)]).toEqual(['-1', []]);
});

test('it has no phases: no stop is counted but the one that set it, and nobody is signalled', async () => {
  const spinner = await spawnSpinner();
  group.enter(spinner.pid);
  limit(spinner);
  const from = performance.now();
  await until(
    () => {
      expect(readState(spinner.pid)).not.toBe('T');
      return performance.now() - from > 2_500;
    },
    { deadlineMs: 4_000, what: '2.5 s' },
  );
  expect(host.loop(spinner)!.stops).toBe(1);
  expect(host.host.engine.lateness()).toEqual({ p50Ms: null, p99Ms: null });
});

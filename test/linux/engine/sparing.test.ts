/** Sparing the idle: who is idle by himself gets no signals, and nobody gets around the cap by it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createCgroup, MOUNTS, removeTestCgroups, type TestCgroup } from '../../support/cgroups.ts';
import { startHost, type TestHost } from '../../support/host.ts';
import {
  cpuSeconds,
  expectNothingLeft,
  spawnSleepers,
  spawnSpinner,
  startProcess,
  type TestProcess,
  until,
} from '../../support/processes.ts';

const CYCLE = { runMs: 10, stopMs: 200 };
const CAP = 10 / 210;

let host: TestHost;
beforeEach(async () => {
  host = await startHost();
});
afterEach(async () => {
  host.stop();
  await expectNothingLeft().finally(removeTestCgroups);
});

async function shareOver(one: TestProcess, ms: number): Promise<number> {
  const [before, from] = [cpuSeconds(one.pid)!, performance.now()];
  await until(() => performance.now() - from >= ms, { deadlineMs: ms + 5_000, what: 'time to pass' });
  return (cpuSeconds(one.pid)! - before) / ((performance.now() - from) / 1_000);
}
const spared = (one: TestProcess, deadlineMs: number) =>
  until(() => host.loop(one)!.state === 'spared', { deadlineMs, what: `${one.pid} to be spared` });

test('a sleeping target is spared after two samples and gets no more signals', async () => {
  const [sleeper] = await spawnSleepers(1);
  host.tarpit(sleeper!, CYCLE, false);
  await spared(sleeper!, 6_000);
  const stops = host.loop(sleeper!)!.stops;
  await shareOver(sleeper!, 1_500);
  expect(host.loop(sleeper!)!.stops).toBe(stops);
});

test('a spinner is never spared, and gets its share', { timeout: 30_000 }, async () => {
  const spinner = await spawnSpinner();
  host.tarpit(spinner, CYCLE, false);
  await shareOver(spinner, 1_000);
  expect(await shareOver(spinner, 8_000)).toBeLessThan(CAP * 1.6);
  expect(host.loop(spinner)!.state).toBe('hobbling');
});

test('sixty spinners that fight for the cores are not taken for idle', { timeout: 60_000 }, async () => {
  const spinners = await Promise.all(Array.from({ length: 60 }, () => spawnSpinner()));
  for (const spinner of spinners) host.tarpit(spinner, CYCLE, false);
  await until(() => spinners.every((spinner) => host.loop(spinner)!.stops > 20), {
    deadlineMs: 30_000,
    what: 'twenty stops of each',
  });
  expect(spinners.filter((spinner) => host.loop(spinner)!.state === 'spared')).toEqual([]);
});

describe.skipIf(MOUNTS.v2 === undefined)('by the account of its cgroup', () => {
  const freeze = (group: TestCgroup) => host.tarpit(`cgroup:${group.path}`, CYCLE, false, 'freezer');
  const loopOf = (group: TestCgroup) => host.loop(`cgroup:${group.path}`)!;

  test('a group of sleepers is spared, and cycled again when one of them spins', { timeout: 40_000 }, async () => {
    const group = createCgroup('v2');
    for (const { pid } of await spawnSleepers(5)) group.enter(pid);
    const late = await startProcess('sh', ['-c', 'read -r _; while :; do :; done'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    group.enter(late.pid);
    freeze(group);
    expect(host.host.engine.probes.freezer.why).toMatch(/; their CPU as cgroups of v2.* count it$/);
    await until(() => loopOf(group).state === 'spared', { deadlineMs: 10_000, what: 'it to be spared' });
    late.child.stdin!.write('\n');
    await until(() => loopOf(group).state === 'hobbling', { deadlineMs: 10_000, what: 'it to be cycled again' });
    await until(() => loopOf(group).gotRatio! > 0.01, { deadlineMs: 10_000, what: 'its share to be known' });
  });

  test('groups with a spinner each that fight for the cores are not taken for idle', { timeout: 60_000 }, async () => {
    const groups = await Promise.all(
      Array.from({ length: 60 }, async () => {
        const group = createCgroup('v2');
        group.enter((await spawnSpinner()).pid);
        group.enter((await spawnSleepers(1))[0]!.pid);
        return group;
      }),
    );
    for (const group of groups) freeze(group);
    await until(() => groups.every((group) => loopOf(group).stops > 20), {
      deadlineMs: 30_000,
      what: 'twenty stops of each',
    });
    expect(groups.filter((group) => loopOf(group).state === 'spared')).toEqual([]);
  });

  test('what lives on short children that nobody waits for is counted', { timeout: 40_000 }, async () => {
    const group = createCgroup('v2');
    // Orphans of a millisecond each: no process that is there at a look has used anything to speak of.
    const orphans =
      'while :; do ( /bin/sh -c "i=0; while [ \\$i -lt 1000 ]; do i=\\$((i+1)); done" & ); sleep 0.05; done';
    const parent = await startProcess('sh', ['-c', orphans]);
    group.enter(parent.pid);
    host.tarpit(`cgroup:${group.path}`, CYCLE, true, 'freezer');
    await until(() => (loopOf(group).gotRatio ?? 0) > 0.005, { deadlineMs: 20_000, what: 'its share to be known' });
    expect(loopOf(group).inForce.mechanism).toBe('freezer');
  });
});

test('a shell that lives on short children is cycled like any other', { timeout: 40_000 }, async () => {
  // Each child burns a few milliseconds and ends: a sampler of living processes sees nothing of it.
  const shell = await startProcess('bash', [
    '-c',
    'while :; do /bin/sh -c "i=0; while [ \\$i -lt 3000 ]; do i=\\$((i+1)); done"; done',
  ]);
  expect(await shareOver(shell, 2_000)).toBeGreaterThan(0.2);
  host.tarpit(shell, CYCLE, false);
  await shareOver(shell, 2_000);
  expect(await shareOver(shell, 8_000)).toBeLessThan(0.2);
});

test('a target that wakes up while spared is cycled again within a sample, and must then be idle for longer', {
  timeout: 60_000,
}, async () => {
  // Idle for 4 s, busy from then on.
  const late = await startProcess('sh', ['-c', 'sleep 4; while :; do :; done']);
  host.tarpit(late, CYCLE, false);
  await spared(late, 6_000);
  await until(() => host.loop(late)!.state === 'hobbling', { deadlineMs: 8_000, what: 'it to be cycled again' });
  expect(cpuSeconds(late.pid)!).toBeLessThan(2.5);
  expect(await shareOver(late, 6_000)).toBeLessThan(CAP * 1.6);
});

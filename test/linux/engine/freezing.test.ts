/** What only the freezer has to show: whom it may freeze, what others froze, adoption, and the choice of `auto`. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createCgroup,
  freezeFile,
  isFrozen,
  MOUNTS,
  ownCgroups,
  pathOf,
  removeTestCgroups,
} from '../../support/cgroups.ts';
import { startHost, type TestHost } from '../../support/host.ts';
import { liveLines } from '../../support/journal.ts';
import {
  cpuSeconds,
  descendantsOf,
  expectNothingLeft,
  isAlive,
  readState,
  register,
  signalExactly,
  spawnSleepers,
  startProcess,
  type TestProcess,
  until,
} from '../../support/processes.ts';

const CYCLE = { runMs: 20, stopMs: 80 };
const ALICE = 20_021;
const BOB = 20_022;

let host: TestHost;
let dir: string | undefined;
afterEach(async () => {
  host?.stop();
  await expectNothingLeft().finally(removeTestCgroups);
  if (dir !== undefined) rmSync(dir, { recursive: true });
  dir = undefined;
});

const sleeper = async (uid?: number) =>
  (await spawnSleepers(1, uid === undefined ? {} : { uid, gid: uid, cwd: '/' }))[0]!;
const freeze = (one: TestProcess | string, cycle = CYCLE) => host.tarpit(one, cycle, true, 'freezer');
const pass = (ms: number) => {
  const from = performance.now();
  return until(() => performance.now() - from >= ms, { deadlineMs: ms + 3_000, what: `${ms} ms` });
};
const stopped = (pid: number) => until(() => readState(pid) === 'T', { deadlineMs: 4_000, what: `${pid} in state T` });

describe.each(['v2', 'freezer'] as const)('in place, %s', (hierarchy) => {
  const frozen = (pid: number, deadlineMs = 3_000) =>
    until(() => isFrozen(pid, hierarchy), { deadlineMs, what: `the cgroup of ${pid} to be frozen` });

  beforeEach(async ({ skip }) => {
    if (MOUNTS[hierarchy] === undefined) skip(`no ${hierarchy} hierarchy on this machine`);
    host = await startHost({ minUid: 0, exemptUids: new Set([BOB]) });
  });

  test('a stranger who comes in is let go within a second, and the members go over to signals', async () => {
    const group = createCgroup(hierarchy);
    const [one, stranger] = [await sleeper(), await sleeper()];
    if (hierarchy === 'v2' && MOUNTS.freezer !== undefined) {
      // So that the other hierarchy has no way out: neither a cover nor the root to adopt from.
      const shared = createCgroup('freezer');
      for (const { pid } of [one, stranger]) shared.enter(pid);
    }
    group.enter(one.pid);
    freeze(one);
    await frozen(one.pid);
    group.enter(stranger.pid);
    await until(() => host.loop(one)!.inForce.mechanism === 'signal', {
      deadlineMs: 3_000,
      what: 'the freezer to let go',
    });
    expect(host.loop(one)!.inForce.why).toContain(`holds sleep (pid ${stranger.pid}) too`);
    expect(isFrozen(stranger.pid, hierarchy)).toBe(false);
    await stopped(one.pid);
    expect(readState(stranger.pid)).not.toBe('T');
    expect(liveLines(host).filter((line) => line.startsWith('freeze'))).toEqual([]);
    // And back, when he has left again.
    writeFileSync(join(MOUNTS[hierarchy]!, 'cgroup.procs'), String(stranger.pid));
    await frozen(one.pid, 10_000);
    expect(host.loop(one)!.inForce.mechanism).toBe('freezer');
  });

  test('never a cgroup with an exempt member, a protected one, or one of another loop', async () => {
    const group = createCgroup(hierarchy);
    const [one, exempt] = [await sleeper(ALICE), await sleeper(BOB)];
    for (const { pid } of [one, exempt]) group.enter(pid);
    // Nothing can be frozen in place: in v1 that is all there is, in v2 the other hierarchy can adopt.
    expect(freeze(`cgroup:${group.path}`).status).toBe(
      hierarchy === 'v2' && MOUNTS.freezer !== undefined ? 'applied' : 'unsupported',
    );
    host.tarpit(`cgroup:${group.path}`, CYCLE, true, 'auto');
    await stopped(one.pid);
    expect(isFrozen(exempt.pid, hierarchy)).toBe(false);
    expect(host.loop(`cgroup:${group.path}`)!.inForce).toMatchObject({ mechanism: 'signal' });
    host.host.engine.untarpit(`cgroup:${group.path}`);
    const other = await sleeper(ALICE);
    writeFileSync(join(MOUNTS[hierarchy]!, 'cgroup.procs'), String(exempt.pid));
    group.enter(other.pid);
    host.tarpit(other, { runMs: 5, stopMs: 95 }, true, 'signal');
    host.tarpit(one, CYCLE, true, 'auto');
    await stopped(other.pid);
    expect(host.loop(one)!.inForce).toMatchObject({ mechanism: 'signal' });
  });

  test('never the cgroup of hobbler itself, nor one above it', async () => {
    const above = createCgroup(hierarchy);
    const own = createCgroup(hierarchy, 'own', above);
    const one = await sleeper();
    own.enter(one.pid);
    const back = pathOf(process.pid, hierarchy)!;
    own.enter(process.pid);
    try {
      const outcome = host.host.engine.tarpit(
        { kind: 'cgroup', path: above.path },
        { cycle: CYCLE, every: true, mechanism: 'freezer' },
      );
      await pass(500);
      expect([isFrozen(one.pid, hierarchy), above.read(freezeFile(hierarchy)) === 'FROZEN']).toEqual([false, false]);
      expect(JSON.stringify(outcome)).not.toContain('freezes');
      host.host.engine.releaseAll();
    } finally {
      writeFileSync(join(MOUNTS[hierarchy]!, back, 'cgroup.procs'), String(process.pid));
    }
  });

  test('the highest cgroup that holds nobody else is frozen, with all below it; newcomers in new ones too', async () => {
    const top = createCgroup(hierarchy);
    const [left, right] = [createCgroup(hierarchy, 'left', top), createCgroup(hierarchy, 'right', top)];
    const [one, two] = [await sleeper(ALICE), await sleeper(ALICE)];
    left.enter(one.pid);
    right.enter(two.pid);
    freeze(`uid:${ALICE}`);
    expect(host.loop(`uid:${ALICE}`)!.inForce).toEqual({
      mechanism: 'freezer',
      why: `freezes ${top.path} (${hierarchy === 'v2' ? 'v2' : 'v1'})`,
    });
    await until(() => top.read(freezeFile(hierarchy)) !== (hierarchy === 'v2' ? '0' : 'THAWED'), {
      deadlineMs: 2_000,
      what: 'the top to be frozen',
    });
    const third = createCgroup(hierarchy, 'third', top);
    const later = await sleeper(ALICE);
    third.enter(later.pid);
    await until(() => host.loop(`uid:${ALICE}`)!.processes === 3, { deadlineMs: 4_000, what: 'the newcomer' });
    await pass(1_500);
    expect(host.loop(`uid:${ALICE}`)!.inForce.why).toContain(`freezes ${top.path}`);
  });

  test('what somebody else froze before is left alone, and said; and frozen again when he thaws it', async () => {
    const group = createCgroup(hierarchy);
    const one = await sleeper();
    group.enter(one.pid);
    group.write(freezeFile(hierarchy), hierarchy === 'v2' ? '1' : 'FROZEN');
    freeze(one);
    await until(() => host.loop(one)!.inForce.why.includes('frozen by somebody else: left alone'), {
      deadlineMs: 2_000,
      what: 'it to be seen',
    });
    await pass(300);
    expect(isFrozen(one.pid, hierarchy)).toBe(true);
    expect(host.loop(one)!.stoppedByOthers).toBe(1);
    expect(liveLines(host)).toEqual([]);
    group.write(freezeFile(hierarchy), hierarchy === 'v2' ? '0' : 'THAWED');
    await frozen(one.pid);
    host.host.engine.untarpit(host.loop(one)!.key);
    expect(isFrozen(one.pid, hierarchy)).toBe(false);
  });

  test('what somebody else freezes while it runs stays frozen, whatever we do then', async () => {
    const group = createCgroup(hierarchy);
    const one = await sleeper();
    group.enter(one.pid);
    freeze(one, { runMs: 400, stopMs: 100 });
    await frozen(one.pid);
    await until(() => !isFrozen(one.pid, hierarchy), { deadlineMs: 2_000, what: 'the run phase' });
    group.write(freezeFile(hierarchy), hierarchy === 'v2' ? '1' : 'FROZEN');
    await pass(1_200);
    expect(isFrozen(one.pid, hierarchy)).toBe(true);
    host.host.engine.untarpit(host.loop(one)!.key);
    await pass(300);
    expect(isFrozen(one.pid, hierarchy)).toBe(true);
    group.write(freezeFile(hierarchy), hierarchy === 'v2' ? '0' : 'THAWED');
  });

  test('auto freezes a target that is covered whole, and uses signals for one that is not', async () => {
    const group = createCgroup(hierarchy);
    const [one, two] = [await sleeper(), await sleeper()];
    group.enter(one.pid);
    host.tarpit(one, CYCLE, true, 'auto');
    host.tarpit(two, CYCLE, true, 'auto');
    expect(host.loop(one)!.inForce.why).toBe(`auto: freezes ${group.path} (${hierarchy === 'v2' ? 'v2' : 'v1'})`);
    // Because it is in the root, or shares its cgroup with others.
    expect(host.loop(two)!.inForce).toEqual({
      mechanism: 'signal',
      why: expect.stringMatching(/^auto: signals, since ./),
    });
    await frozen(one.pid);
    await stopped(two.pid);
  });
});

test('a threaded cgroup is not frozen', async ({ skip }) => {
  if (MOUNTS.v2 === undefined) return skip('no cgroup v2 on this machine');
  host = await startHost();
  const group = createCgroup('v2');
  const threaded = createCgroup('v2', 'threads', group);
  threaded.write('cgroup.type', 'threaded');
  const one = await sleeper();
  group.enter(one.pid);
  host.tarpit(one, CYCLE, true, 'auto');
  expect(host.loop(one)!.inForce).toMatchObject({ mechanism: 'signal' });
  await stopped(one.pid);
});

describe('adopted', () => {
  beforeEach(async ({ skip }) => {
    if (MOUNTS.freezer === undefined) skip('no v1 freezer on this machine');
    host = await startHost({ exemptUids: new Set([BOB]) });
  });
  const inOurs = (pid: number) => pathOf(pid, 'freezer')!.startsWith('/hobbler-');

  test('each process sits in one cgroup of ours per loop, and is put back when it leaves or all is over', async () => {
    const [one, two] = [await sleeper(ALICE), await sleeper(ALICE)];
    freeze(`uid:${ALICE}`);
    freeze(one, { runMs: 5, stopMs: 95 });
    // The stricter loop owns the first; each has a cgroup of its own.
    await until(() => inOurs(one.pid) && inOurs(two.pid), { deadlineMs: 8_000, what: 'both to be adopted' });
    expect(pathOf(one.pid, 'freezer')).not.toBe(pathOf(two.pid, 'freezer'));
    host.host.engine.untarpit(host.loop(one)!.key);
    await until(() => pathOf(one.pid, 'freezer') === pathOf(two.pid, 'freezer'), {
      deadlineMs: 8_000,
      what: 'it to go over',
    });
    host.host.engine.untarpit(`uid:${ALICE}`);
    expect([pathOf(one.pid, 'freezer'), pathOf(two.pid, 'freezer')]).toEqual(['/', '/']);
    expect([ownCgroups(), liveLines(host)]).toEqual([[], []]);
  });

  test('a child that is exempt is born inside and put back at the next look', async () => {
    dir = mkdtempSync(join(tmpdir(), 'hobbler-freeze-'));
    chmodSync(dir, 0o755);
    // Forks a child that becomes an exempt user: only root can, so the parent is root's.
    const parent = await startProcess(
      'python3',
      [
        '-c',
        `import os,sys,time
sys.stdin.readline()
if os.fork()==0:
  os.setgid(${BOB}); os.setuid(${BOB})
time.sleep(632)`,
      ],
      { stdio: ['pipe', 'ignore', 'ignore'] },
    );
    freeze(parent);
    await until(() => inOurs(parent.pid), { deadlineMs: 2_000, what: 'the parent to be adopted' });
    parent.child.stdin!.write('\n');
    const child = await until(
      () =>
        descendantsOf(parent.pid).find(({ pid }) =>
          readFileSync(`/proc/${pid}/status`, 'latin1').includes(`Uid:\t${BOB}\t`),
        ),
      { deadlineMs: 3_000, what: 'the child' },
    );
    // Born before it was exempt; the pass that finds out who it has become puts it back.
    await until(() => !inOurs(child!.pid), { deadlineMs: 10_000, what: 'it to be put back' });
    expect(inOurs(parent.pid)).toBe(true);
  });

  test('who sits in a cgroup of somebody else is not adopted: unsupported, with the reason', async () => {
    const group = createCgroup('freezer');
    const [one, stranger] = [await sleeper(), await sleeper()];
    for (const { pid } of [one, stranger]) group.enter(pid);
    expect(freeze(one)).toEqual({
      status: 'unsupported',
      why: `nothing can be frozen: ${group.path} holds sleep (pid ${stranger.pid}) too`,
    });
    expect(host.loop(one)).toBeUndefined();
    expect(pathOf(one.pid, 'freezer')).toBe(group.path);
  });

  test('a process that the kernel continues by a timer of its own does not get away', { timeout: 30_000 }, async () => {
    // It gets away from signals (test/linux/worker/escapes.test.ts): timer_create with SIGCONT, and a handler for it.
    const one = await startProcess('python3', [
      '-c',
      `import ctypes,resource,signal
resource.setrlimit(resource.RLIMIT_CPU,(60,60))
signal.signal(signal.SIGCONT,lambda *_: None)
libc=ctypes.CDLL(None)
event=(ctypes.c_int*16)(0,0,18,0)
timer=ctypes.c_void_p()
assert libc.timer_create(1,event,ctypes.byref(timer))==0
spec=(ctypes.c_long*4)(0,1000000,0,1000000)
assert libc.timer_settime(timer,0,spec,None)==0
while True: pass`,
    ]);
    await until(() => cpuSeconds(one.pid) > 0.3, { deadlineMs: 10_000, what: 'it to work' });
    freeze(one, { runMs: 10, stopMs: 190 });
    await pass(500);
    const [before, from] = [cpuSeconds(one.pid), performance.now()];
    await pass(3_000);
    expect((cpuSeconds(one.pid) - before) / ((performance.now() - from) / 1_000)).toBeLessThan(0.15);
  });

  test('SIGKILL on a frozen process waits for the run phase, and no longer', async () => {
    const one = await sleeper();
    freeze(one, { runMs: 50, stopMs: 950 });
    // The first one may be met in the middle; the second is seen from its beginning.
    await until(() => readState(one.pid) !== 'D', { deadlineMs: 3_000, what: 'a run phase' });
    await until(() => readState(one.pid) === 'D', { deadlineMs: 3_000, what: 'it to be frozen' });
    signalExactly(one, 'SIGKILL');
    await pass(100);
    expect(isAlive(one)).toBe(true);
    await until(() => !isAlive(one), { deadlineMs: 1_200, what: 'its end' });
  });

  test.each(['su', 'runuser'])('auto goes over to it where %s would stop with its child', async (program) => {
    const parent = await startProcess(program, ['-s', '/bin/sh', 'nobody', '-c', 'sleep 633 & wait'], {
      detached: true,
    });
    const shell = await until(() => descendantsOf(parent.pid).find(({ name }) => name === 'sh'), {
      deadlineMs: 5_000,
      what: `the shell under ${program}`,
    });
    register(shell!.pid);
    const key = `pid:${shell!.pid}@${shell!.startTicks}`;
    host.tarpit(key, CYCLE, true, 'auto');
    await until(() => host.loop(key)!.inForce.mechanism === 'freezer', { deadlineMs: 4_000, what: 'the freezer' });
    expect(host.loop(key)!.inForce.why).toMatch(
      new RegExp(`^auto: freezer, since ${program} \\(pid \\d+\\) stops with its child; 2 adopted`),
    );
    await until(() => isFrozen(shell!.pid, 'freezer'), { deadlineMs: 2_000, what: 'it to be frozen' });
    for (let look = 0; look < 50; look++) {
      expect(readState(parent.pid)).not.toBe('T');
      expect(readState(shell!.pid)).not.toBe('T');
      await pass(10);
    }
    expect(host.loop(key)!.state).toBe('hobbling');
    host.host.engine.untarpit(key);
    expect(pathOf(shell!.pid, 'freezer')).toBe('/');
  });

  test.each(['su', 'runuser'])('%s inside or outside a frozen target notices nothing', async (program) => {
    const parent = await startProcess(program, ['-s', '/bin/sh', 'nobody', '-c', 'sleep 634 & wait'], {
      detached: true,
    });
    const shell = await until(() => descendantsOf(parent.pid).find(({ name }) => name === 'sh'), {
      deadlineMs: 5_000,
      what: `the shell under ${program}`,
    });
    register(shell!.pid);
    for (const target of [parent, shell!]) {
      const key = `pid:${target.pid}@${target.startTicks}`;
      freeze(key);
      for (let look = 0; look < 60; look++) {
        expect([readState(parent.pid), readState(shell!.pid)]).not.toContain('T');
        await pass(10);
      }
      expect(host.loop(key)!.state).toBe('hobbling');
      expect(host.loop(key)!.stops).toBeGreaterThan(3);
      host.host.engine.untarpit(key);
    }
  });
});

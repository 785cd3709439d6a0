/** Which real processes a target stands for, and invariant 5 on real ones: users, groups, cgroups, names that lie. */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { startHost, type TestHost } from '../../support/host.ts';
import {
  descendantsOf,
  expectNothingLeft,
  isAlive,
  readState,
  signalExactly,
  spawnSleepers,
  spawnSpinner,
  startProcess,
  until,
} from '../../support/processes.ts';

/** Uids that no user of this machine has. */
const ALICE = 20_001;
const BOB = 20_002;
const GROUP = 20_100;

let host: TestHost;
const removals: (() => void)[] = [];
afterEach(async () => {
  host?.stop();
  await expectNothingLeft();
  for (const remove of removals.splice(0)) remove();
});

const as = (uid: number, gid = uid) => ({ uid, gid, cwd: '/' });
const sleepAs = async (uid: number, gid = uid) => (await spawnSleepers(1, as(uid, gid)))[0]!;
const seenStopped = (pid: number, deadlineMs = 8_000) =>
  until(() => readState(pid) === 'T', { deadlineMs, what: `${pid} to be stopped` });
/** Waits for some stops of others, in which this one must never be seen stopped. */
async function staysRunning(pids: number[], key: string, stops = 10): Promise<void> {
  const from = host.host.engine.totalStops;
  await until(
    () => {
      for (const pid of pids) expect(readState(pid)).not.toBe('T');
      return host.host.engine.totalStops >= from + stops;
    },
    { deadlineMs: 15_000, what: `${stops} stops of ${key}` },
  );
}
const tarpit = (key: string, cycle = { runMs: 10, stopMs: 200 }) => host.tarpit(key, cycle);
/** A copy of sleep(1) under any name, that everybody may run. */
function programNamed(name: string, mode = 0o755): string {
  const dir = mkdtempSync(join(tmpdir(), 'hobbler-names-'));
  removals.push(() => rmSync(dir, { recursive: true }));
  const path = join(dir, name);
  copyFileSync('/bin/sleep', path);
  execute('chmod', '755', dir);
  execute('chmod', mode.toString(8), path);
  return path;
}
function execute(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}

test('a user is all his processes, new ones and new sessions too, and nobody else’s', async () => {
  host = await startHost({ minUid: 1_000 });
  const [first, bob] = [await sleepAs(ALICE), await sleepAs(BOB)];
  expect(tarpit(`uid:${ALICE}`).status).toBe('applied');
  await seenStopped(first.pid);
  const later = await sleepAs(ALICE);
  await seenStopped(later.pid);
  const daemon = await startProcess('setsid', ['-f', 'sleep', '618'], as(ALICE));
  await until(() => !isAlive(daemon), { deadlineMs: 3_000, what: 'setsid to fork away' });
  await until(() => host.loop(`uid:${ALICE}`)!.processes === 3, { deadlineMs: 3_000, what: 'the daemon to be found' });
  await staysRunning([bob.pid], `uid:${ALICE}`);
});

test('what he starts under another uid is not his (setuid)', async () => {
  host = await startHost({ minUid: 1_000 });
  const setuid = programNamed('likesu', 0o4755);
  const root = await startProcess(setuid, ['619'], as(ALICE));
  const own = await sleepAs(ALICE);
  tarpit(`uid:${ALICE}`);
  await seenStopped(own.pid);
  await staysRunning([root.pid], `uid:${ALICE}`);
  expect(readFileSync(`/proc/${root.pid}/status`, 'latin1')).toMatch(new RegExp(`^Uid:\t${ALICE}\t0\t`, 'm'));
});

test('a tree leaves out members that are exempt: a setuid child, an exempt user, an exempt group', async () => {
  host = await startHost({ minUid: 1_000, exemptUids: new Set([BOB]), exemptGids: new Set([GROUP]) });
  const setuid = programNamed('likesu', 0o4755);
  // The root of the tree must be able to change uids, so it becomes Alice only after it has started the others.
  const root = await startProcess('python3', [
    '-c',
    `import os,time
def child(gid,uid,path=None):
 if os.fork()==0:
  os.setgroups([]); os.setgid(gid); os.setuid(uid)
  if path: os.execv(path,[path,'620'])
  time.sleep(620)
child(${BOB},${BOB}); child(${GROUP},${ALICE}); child(${ALICE},${ALICE}); child(${ALICE},${ALICE},'${setuid}')
os.setgid(${ALICE}); os.setuid(${ALICE}); time.sleep(620)`,
  ]);
  const children = await until(
    () => {
      const found = descendantsOf(root.pid);
      const ready = found.map(({ pid }) =>
        /^Uid:\t(\d+)\t(\d+).*\nGid:\t(\d+)/m
          .exec(readFileSync(`/proc/${pid}/status`, 'latin1'))!
          .slice(1)
          .join(),
      );
      const own = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${root.pid}/status`, 'latin1'))![1];
      return (
        found.length === 4 && own === String(ALICE) && ready.includes(`${ALICE},0,${ALICE}`) && ready.join() && found
      );
    },
    { deadlineMs: 5_000, what: 'four children' },
  );
  const [bob, group, alice, setuidChild] = (children as { pid: number }[]).map(({ pid }) => pid) as [
    number,
    number,
    number,
    number,
  ];
  expect(host.tarpit(root).status).toBe('applied');
  await until(() => readState(root.pid) === 'T' && readState(alice) === 'T', {
    deadlineMs: 5_000,
    what: 'root and child stopped',
  });
  await staysRunning([bob, group, setuidChild], 'the tree');
  expect(host.loop(root)!.exempted).toBe(3);
});

test('whole users below the floor, or exempt ones, are denied by their number', async () => {
  host = await startHost({ minUid: 1_000, exemptUids: new Set([BOB]) });
  expect(tarpit('uid:999')).toMatchObject({ status: 'denied', why: expect.stringContaining('below minUid') });
  expect(tarpit('uid:0')).toMatchObject({ status: 'denied' });
  expect(tarpit(`uid:${BOB}`)).toMatchObject({ status: 'denied', why: expect.stringContaining('exempt') });
  expect(host.host.engine.loops.size).toBe(0);
});

test('as pids: pid 1, a kernel thread, hobbler itself, its ancestors and its guard are denied', async () => {
  host = await startHost();
  const { proc, guard } = host.host;
  const kernelThread = proc.listPids().find((pid) => proc.readStat(pid)?.isKernelThread);
  for (const pid of [1, process.pid, process.ppid, guard.pid!, ...(kernelThread === undefined ? [] : [kernelThread])])
    expect(host.tarpit(proc.identify(pid)!), String(pid)).toMatchObject({ status: 'denied' });
  expect(host.host.engine.loops.size).toBe(0);
});

test('a user who calls his process sshd is stopped; the sshd of a session, whose parent is root’s, is not', async () => {
  host = await startHost({ minUid: 1_000 });
  const sshd = programNamed('sshd');
  const liar = await startProcess(sshd, ['621'], as(ALICE));
  // A root-owned sshd that forks a child which becomes the user: made of Python under that name.
  const server = await startProcess('python3', [
    '-c',
    `import os,time
def name(): open('/proc/self/comm','w').write('sshd')
name()
if os.fork()==0:
 os.setgid(${ALICE}); os.setuid(${ALICE})
 if os.fork()==0: time.sleep(622)
 time.sleep(622)
time.sleep(622)`,
  ]);
  const [session, below] = (await until(
    () => {
      const found = descendantsOf(server.pid);
      return (
        found.length === 2 &&
        found.every(({ pid }) => readFileSync(`/proc/${pid}/status`, 'latin1').includes(`Uid:\t${ALICE}\t${ALICE}`)) &&
        found
      );
    },
    { deadlineMs: 5_000, what: 'the session' },
  )) as { pid: number }[];
  tarpit(`uid:${ALICE}`);
  await seenStopped(liar.pid);
  // What is below the session’s sshd calls itself sshd too (it forked), and has a user’s process for a parent.
  await seenStopped(below!.pid);
  await staysRunning([session!.pid, server.pid], `uid:${ALICE}`);
});

/** A cgroup of this test alone, in a v1 hierarchy that this machine has. */
function createCgroup(...parts: string[]): { path: string; enter(pid: number): void } | undefined {
  const mount = ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/pids'].find((path) => existsSync(join(path, 'cgroup.procs')));
  if (mount === undefined) return undefined;
  const path = `/${[`hobbler-test-${process.pid}`, ...parts].join('/')}`;
  const directory = join(mount, path);
  const isNew = !existsSync(directory);
  mkdirSync(directory, { recursive: true });
  if (isNew) removals.unshift(() => rmdirSync(directory));
  return { path, enter: (pid) => writeFileSync(join(directory, 'cgroup.procs'), String(pid)) };
}

test('a cgroup is what it holds, groups below and newcomers included, but not what is exempt', async ({ skip }) => {
  const group = createCgroup();
  if (!group) return skip('no v1 hierarchy on this machine');
  const below = createCgroup('below')!;
  const exempt = createCgroup('exempt')!;
  host = await startHost({ exemptCgroups: [exempt.path] });
  const [one, two, spared, outside] = await spawnSleepers(4);
  group.enter(one!.pid);
  below.enter(two!.pid);
  exempt.enter(spared!.pid);
  expect(tarpit(`cgroup:${group.path}`).status).toBe('applied');
  await seenStopped(one!.pid);
  await seenStopped(two!.pid);
  await staysRunning([spared!.pid, outside!.pid], group.path);
  expect(host.loop(`cgroup:${group.path}`)!.exempted).toBe(1);
  // A shell in the group that lives on short children: they are caught as they are born.
  const shell = await startProcess('sh', ['-c', 'read -r _; sleep 623 & wait'], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  group.enter(shell.pid);
  await until(() => host.loop(`cgroup:${group.path}`)!.processes === 3, {
    deadlineMs: 20_000,
    what: 'the pass that finds it',
  });
  shell.child.stdin!.write('\n');
  const child = await until(() => descendantsOf(shell.pid)[0], { deadlineMs: 5_000, what: 'its child' });
  await seenStopped(child!.pid, 2_000);
  expect(tarpit('cgroup:/hobbler-test-nowhere')).toMatchObject({ status: 'gone' });
  host.host.engine.untarpit(`cgroup:${group.path}`);
});

test('a process that a debugger holds is left alone, and hobbled again when it is let go', {
  timeout: 60_000,
}, async () => {
  host = await startHost();
  const [held, other] = [await spawnSpinner(), await spawnSpinner()];
  const gdb = await startProcess('gdb', ['-q', '-nx', '-p', String(held.pid)], { stdio: ['pipe', 'pipe', 'pipe'] });
  await until(() => readState(held.pid) === 't', { deadlineMs: 20_000, what: 'gdb to hold it' });
  host.tarpit(held);
  host.tarpit(other);
  await until(() => host.loop(other)!.stops > 20, { deadlineMs: 20_000, what: '20 stops of the other' });
  expect(readState(held.pid)).toBe('t');
  expect(host.loop(held)!.stoppedByOthers).toBe(1);
  expect(host.loop(held)!.stops).toBe(0);
  gdb.child.stdin!.write('detach\nquit\n');
  await seenStopped(held.pid);
  host.host.engine.untarpit(host.loop(held)!.key);
  await until(() => readState(held.pid) === 'R', { deadlineMs: 3_000, what: 'it to run' });
});

test('a process of the user’s that strace traces is hobbled like any other', async () => {
  host = await startHost();
  const traced = await startProcess('sh', ['-c', 'while :; do sleep 0.01; done']);
  const strace = await startProcess('strace', ['-qq', '-o', '/dev/null', '-p', String(traced.pid)]);
  await until(() => readFileSync(`/proc/${traced.pid}/status`, 'latin1').includes(`TracerPid:\t${strace.pid}`), {
    deadlineMs: 5_000,
    what: 'strace to attach',
  });
  host.tarpit(traced);
  await until(() => host.loop(traced)!.stops > 20, { deadlineMs: 20_000, what: '20 stops' });
  host.host.engine.untarpit(host.loop(traced)!.key);
  signalExactly(strace, 'SIGINT');
  await until(() => readState(traced.pid) === 'S', { deadlineMs: 5_000, what: 'it to run' });
});

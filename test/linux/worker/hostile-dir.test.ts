/**
 * What may lie in the state directory that does not belong there, and what may become of the journal while a hobbler
 * runs (invariant 1): what an earlier one left is released, nothing new is stopped while it cannot be written down, it
 * is no reason to end, and it goes on when all is well again.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readBootId } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import { startHost, type TestHost } from '../../support/host.ts';
import { liveLines } from '../../support/journal.ts';
import {
  expectNothingLeft,
  readState,
  signalExactly,
  spawnSleepers,
  type TestProcess,
  until,
} from '../../support/processes.ts';

let host: TestHost | undefined;
let victim: string;
let left: TestProcess;
let target: TestProcess;
beforeEach(async () => {
  victim = join(mkdtempSync(join(tmpdir(), 'hobbler-victim-')), 'file');
  writeFileSync(victim, 'precious\n');
  [left, target] = (await spawnSleepers(2)) as [TestProcess, TestProcess];
  signalExactly(left, 'SIGSTOP');
  await until(() => readState(left.pid) === 'T', { deadlineMs: 5_000, what: 'state T' });
});
afterEach(async () => {
  host?.stop();
  host = undefined;
  await expectNothingLeft();
  expect(readFileSync(victim, 'utf8')).toBe('precious\n');
  rmSync(join(victim, '..'), { recursive: true });
});

const journalOf = ({ pid, startTicks }: TestProcess) => `boot ${readBootId()}\nstop ${pid} ${startTicks}\n`;
const stopped = () =>
  until(() => readState(target.pid) === 'T', { deadlineMs: 15_000, what: 'the target to be stopped' });
const runs = ({ pid }: TestProcess) =>
  until(() => readState(pid) !== 'T', { deadlineMs: 15_000, what: `${pid} to run` });
/** A while in which a target that may be stopped would have been, several times. */
async function staysRunning(): Promise<void> {
  const from = performance.now();
  while (performance.now() - from < 1_500) {
    expect(readState(target.pid)).not.toBe('T');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
const LONG = { runMs: 10, stopMs: 1_000 };

const HOSTILE: [what: string, put: (path: string) => void][] = [
  ['a FIFO that nobody reads', (path) => void execFileSync('mkfifo', [path])],
  ['a link to a file of somebody', (path) => symlinkSync(victim, path)],
  ['a link to nowhere', (path) => symlinkSync('/nowhere/at/all', path)],
  ['a file that nobody may touch', (path) => writeFileSync(path, 'noise\n', { mode: 0 })],
];
const FILES = [
  'journal.new',
  'orders.json',
  'orders.json.new',
  'owner',
  'owner.new',
  'guard.fifo',
  'guard.seen',
].concat(['guard.pid', 'guard.lock', 'lock']);

describe.each(HOSTILE)('%s', (_, put) => {
  test('under every name but the journal: what was left is released, and it works', async () => {
    host = await startHost({}, (dir) => {
      writeFileSync(join(dir, 'journal'), journalOf(left), { mode: 0o600 });
      for (const name of FILES) put(join(dir, name));
    });
    await runs(left);
    expect(host.tarpit(target, LONG).status).toBe('applied');
    await stopped();
    expect(liveLines(host)).toEqual([`stop ${target.pid} ${target.startTicks}`]);
  });

  test('in place of the journal: it is replaced', async () => {
    host = await startHost({}, (dir) => put(join(dir, 'journal')));
    host.tarpit(target, LONG);
    await stopped();
    expect(lstatSync(host.host.paths.journal).isFile()).toBe(true);
    signalExactly(left, 'SIGCONT');
  });
});

test('a directory in place of the journal: nothing is stopped, and it goes on when it is away', async () => {
  host = await startHost({}, (dir) => mkdirSync(join(dir, 'journal')));
  signalExactly(left, 'SIGCONT');
  host.tarpit(target, LONG);
  expect(host.host.engine.closedGate).toMatchObject({ gate: 'journal' });
  await staysRunning();
  rmSync(host.host.paths.journal, { recursive: true });
  await stopped();
});

test('a journal that is removed, replaced or led elsewhere while a target is stopped is written anew, with all that is in it', async () => {
  host = await startHost();
  signalExactly(left, 'SIGCONT');
  const { journal } = host.host.paths;
  host.tarpit(target, LONG);
  const line = `stop ${target.pid} ${target.startTicks}`;
  const isThere = () => until(() => liveLines(host!).includes(line), { deadlineMs: 5_000, what: 'its line' });
  await stopped();
  rmSync(journal);
  await until(() => existsSync(journal), { deadlineMs: 5_000, what: 'the journal' });
  await isThere();
  rmSync(journal);
  writeFileSync(journal, 'another\n');
  await isThere();
  rmSync(journal);
  symlinkSync(victim, journal);
  await until(() => lstatSync(journal).isFile(), { deadlineMs: 5_000, what: 'a plain file' });
  await isThere();
  await stopped();
});

test('with the directory itself gone everything runs, and nothing more is stopped', async () => {
  host = await startHost();
  signalExactly(left, 'SIGCONT');
  host.tarpit(target, LONG);
  await stopped();
  rmSync(host.host.paths.dir, { recursive: true });
  await until(() => host!.host.engine.closedGate !== undefined, { deadlineMs: 5_000, what: 'a gate to close' });
  await runs(target);
  await staysRunning();
});

test.each<[string, (dir: string) => void]>([
  ['that others may write to', (dir) => chmodSync(dir, 0o777)],
  ['of somebody else', (dir) => chownSync(dir, 20_061, 20_061)],
])('a directory %s is refused, after what was left in it has been released', async (_, change) => {
  let dir = '';
  await expect(
    startHost({}, (made) => {
      dir = made;
      writeFileSync(join(dir, 'journal'), journalOf(left), { mode: 0o600 });
      change(dir);
    }),
  ).rejects.toThrow('not safe to use');
  await runs(left);
  rmSync(dir, { recursive: true });
});

test('a journal of somebody else has processes continued, and no cgroup touched', async () => {
  const frozen = join(victim, '..', 'cgroup.freeze');
  writeFileSync(frozen, '1\n');
  await expect(
    startHost({}, (dir) => {
      const journal = join(dir, 'journal');
      writeFileSync(journal, `${journalOf(left)}freeze ${frozen}\n`);
      chownSync(journal, 20_061, 20_061);
      chmodSync(dir, 0o777);
    }),
  ).rejects.toThrow('not safe to use');
  await runs(left);
  expect(readFileSync(frozen, 'utf8')).toBe('1\n');
});

/** A hobbler whose state directory is a small file system of its own, which `prepare` fills or shuts. */
async function onSmallDisk(prepare: (dir: string) => void, body: (dir: string) => Promise<void>): Promise<void> {
  let dir = '';
  try {
    host = await startHost({}, (made) => {
      dir = made;
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k,mode=700', 'none', dir]);
      writeFileSync(join(dir, 'journal'), journalOf(left));
      prepare(dir);
    });
    await body(dir);
  } finally {
    host?.host.stop(silentLogger());
    if (dir !== '') execFileSync('umount', ['-l', dir]);
  }
}

test('on a full disk it starts, releases, stops nothing, and goes on when there is room', async () => {
  const fill = (dir: string) =>
    execFileSync('sh', ['-c', `head -c 1000000 /dev/zero > ${dir}/filler 2> /dev/null || true`]);
  await onSmallDisk(fill, async (dir) => {
    await runs(left);
    host!.tarpit(target, LONG);
    expect(host!.host.engine.isClosed('journal')).toBe(true);
    await staysRunning();
    rmSync(join(dir, 'filler'));
    await stopped();
  });
});

test('on a read-only disk it starts, releases, stops nothing, and goes on when it may be written', async () => {
  const shut = (dir: string) => void execFileSync('mount', ['-o', 'remount,ro', dir]);
  await onSmallDisk(shut, async (dir) => {
    await runs(left);
    host!.tarpit(target, LONG);
    expect(host!.host.engine.isClosed('journal')).toBe(true);
    await staysRunning();
    execFileSync('mount', ['-o', 'remount,rw', dir]);
    await stopped();
  });
});

/** Invariant 1 for every mechanism: whatever dies or hangs, everything runs as before, and nothing is left lying about. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { releaseOnce } from '../../../worker/guard/guard.ts';
import { MOUNTS, ownCgroups, pathOf, removeTestCgroups } from '../../support/cgroups.ts';
import { liveLinesOf } from '../../support/journal.ts';
import {
  descendantsOf,
  expectNothingLeft,
  isAlive,
  register,
  signalExactly,
  spawnSleepers,
  startProcess,
  type TestProcess,
  until,
} from '../../support/processes.ts';
import { SUBJECTS, type Subject } from './mechanisms-fixture.ts';

const PROGRAM = fileURLToPath(new URL('./mechanisms-program.ts', import.meta.url));

interface Target {
  subject: Subject;
  one: TestProcess;
}

let dir: string;
let targets: Target[];
let worker: TestProcess;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-death-'));
  targets = [];
  for (const subject of SUBJECTS.filter(({ missing }) => missing === undefined)) {
    const [one] = await spawnSleepers(1);
    subject.createPlace().enter(one!.pid);
    targets.push({ subject, one: one! });
  }
  const orders = targets.map(({ subject, one }) =>
    // Held for nearly all the time, so that the moment of death is one of them.
    JSON.stringify([`pid:${one.pid}@${one.startTicks}`, subject.asked, 10, 900]),
  );
  worker = await startProcess(process.execPath, [PROGRAM, dir, ...orders], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  worker.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await until(() => said.includes('ready'), { deadlineMs: 10_000, what: 'the worker to be ready' });
  await until(() => heldNow().length === targets.length, {
    deadlineMs: 10_000,
    what: () => `all held, not only ${heldNow()}`,
  });
});
afterEach(async () => {
  await expectNothingLeft().finally(removeTestCgroups);
  rmSync(dir, { recursive: true });
});

const heldNow = () => targets.filter(({ subject, one }) => subject.holds(one.pid)).map(({ subject }) => subject.name);
const guard = () => {
  const found = descendantsOf(worker.pid).find(({ name }) => name === 'bash')!;
  return register(found.pid, 'the guard');
};
async function expectNothing(): Promise<void> {
  await until(() => ownCgroups(worker.pid).length === 0, {
    deadlineMs: 2_000,
    what: () => `no ${ownCgroups(worker.pid)}`,
  });
  for (const { one } of targets) expect(pathOf(one.pid, 'freezer')).not.toMatch(/^\/hobbler-\d+@/);
  expect(heldNow()).toEqual([]);
  expect(targets.filter(({ one }) => !isAlive(one))).toEqual([]);
}

test('the worker killed: all is undone within a second', async () => {
  signalExactly(worker, 'SIGKILL');
  await until(() => heldNow().length === 0, { deadlineMs: 1_000, what: () => `free: ${heldNow()}` });
  await expectNothing();
});

test('the worker hung: all is undone within 3 s of its last beat; it comes back, and holds again', {
  timeout: 60_000,
}, async () => {
  signalExactly(worker, 'SIGSTOP');
  await until(() => heldNow().length === 0, { deadlineMs: 4_000, what: () => `free: ${heldNow()}` });
  await expectNothing();
  signalExactly(worker, 'SIGCONT');
  await until(() => heldNow().length === targets.length, {
    deadlineMs: 15_000,
    what: () => `all held, not only ${heldNow()}`,
  });
  signalExactly(worker, 'SIGKILL');
  await until(() => heldNow().length === 0, { deadlineMs: 1_000, what: () => `free: ${heldNow()}` });
  await expectNothing();
});

test('worker and guard killed: the next release undoes all of it', async () => {
  const lost = guard();
  signalExactly(lost, 'SIGKILL');
  signalExactly(worker, 'SIGKILL');
  await until(() => !isAlive(worker) && !isAlive(lost), { deadlineMs: 2_000, what: 'both to be gone' });
  // Nobody is there who could: the quota and the frozen stay.
  const still = heldNow();
  expect(still.length).toBeGreaterThan(0);
  expect(liveLinesOf(join(dir, 'journal')).length).toBeGreaterThanOrEqual(targets.length);
  expect(releaseOnce(dir)).toBeGreaterThanOrEqual(still.length);
  await expectNothing();
});

test('a quota that somebody has changed since is left as it is', async ({ skip }) => {
  if (MOUNTS.cpu === undefined) return skip('no v1 cpu hierarchy on this machine');
  const { one } = targets.find(({ subject }) => subject.name === 'quota v1')!;
  const lost = guard();
  signalExactly(lost, 'SIGKILL');
  signalExactly(worker, 'SIGKILL');
  await until(() => !isAlive(worker) && !isAlive(lost), { deadlineMs: 2_000, what: 'both to be gone' });
  const file = join(MOUNTS.cpu!, pathOf(one.pid, 'cpu')!, 'cpu.cfs_quota_us');
  writeFileSync(file, '77000');
  releaseOnce(dir);
  expect(readFileSync(file, 'utf8')).toBe('77000\n');
  writeFileSync(file, '-1');
  await expectNothing();
});

/** Holding a process where descriptors are short: what is given up first, and that nothing is kept for good. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HeldProcess } from '../../../worker/process/held.ts';
import { Proc } from '../../../worker/process/proc.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

let kernel: FakeKernel;
beforeEach(() => {
  kernel = new FakeKernel();
  for (let pid = 10; pid < 20; pid++) kernel.add({ pid });
});
afterEach(() => kernel.end());

/** A /proc whose reader may open so many files; half of them may be kept. */
function procWith(openFiles: number): Proc {
  mkdirSync(join(kernel.root, 'self'), { recursive: true });
  writeFileSync(
    join(kernel.root, 'self', 'limits'),
    `Limit    Soft Limit  Hard Limit  Units\nMax open files    ${openFiles}    ${openFiles}    files\n`,
  );
  return new Proc(kernel.root, () => kernel.pidfds);
}

const hold = (proc: Proc, pid: number, startTicks = 1_000 + pid) => {
  const held = new HeldProcess(proc, pid, startTicks);
  return { held, now: held.read() };
};

it('a process is held by its stat and a pidfd, and by nothing once it is closed', () => {
  const proc = procWith(100);
  const { held, now } = hold(proc, 10);
  expect(now).toMatchObject({ pid: 10, startTicks: 1_010 });
  expect([proc.kept, kernel.openPidfds.size]).toEqual([2, 1]);
  held.read();
  expect([proc.kept, kernel.openPidfds.size]).toEqual([2, 1]);
  held.close();
  held.close();
  expect([proc.kept, kernel.openPidfds.size]).toEqual([0, 0]);
});

it('another process under that pid is not held, and no pidfd of it stays open', () => {
  const proc = procWith(100);
  const { held, now } = hold(proc, 10, 999);
  expect(now).toBeUndefined();
  expect(kernel.openPidfds.size).toBe(0);
  held.close();
  expect(proc.kept).toBe(0);
});

it('where descriptors are short a pidfd takes the place of the oldest stat, and reads are still right', () => {
  const proc = procWith(12);
  const all = [10, 11, 12, 13, 14].map((pid) => hold(proc, pid));
  expect(proc.kept).toBe(6);
  expect([...kernel.openPidfds.values()].map(({ pid }) => pid)).toEqual([10, 11, 12, 13, 14]);
  kernel.change(10, { state: 'T' });
  expect(all[0]!.held.read()?.state).toBe('T');
  expect(proc.kept).toBe(6);
  for (const { held } of all) held.close();
  expect([proc.kept, kernel.openPidfds.size]).toEqual([0, 0]);
});

it('past that the last ones go by pid and start time, and get a pidfd as soon as there is room', () => {
  const proc = procWith(6);
  const all = [10, 11, 12, 13].map((pid) => hold(proc, pid));
  expect(all.map(({ now }) => now?.pid)).toEqual([10, 11, 12, 13]);
  expect(kernel.openPidfds.size).toBe(3);
  expect(all[3]!.held.stop()).toBe('sent');
  expect(kernel.signals).toEqual([{ pid: 13, signal: 'SIGSTOP' }]);
  all[0]!.held.close();
  all[3]!.held.read();
  expect([...kernel.openPidfds.values()].map(({ pid }) => pid)).toEqual([11, 12, 13]);
  for (const { held } of all) held.close();
  expect([proc.kept, kernel.openPidfds.size]).toEqual([0, 0]);
});

it('a stat that had to go is kept again when there is room', () => {
  const proc = procWith(4);
  const [first, second] = [hold(proc, 10), hold(proc, 11)];
  expect(proc.kept).toBe(2);
  expect(proc.keptStats.size).toBe(0);
  second.held.close();
  first.held.read();
  expect([proc.keptStats.size, proc.kept]).toEqual([1, 2]);
  first.held.close();
});

it('who gets no signals for a while is looked at without a pidfd, and has one again before the next stop', () => {
  const proc = procWith(100);
  const { held } = hold(proc, 10);
  held.rest();
  expect(held.look()?.pid).toBe(10);
  expect([proc.kept, kernel.openPidfds.size]).toEqual([1, 0]);
  expect(held.stop()).toBe('sent');
  expect([proc.kept, kernel.openPidfds.size]).toEqual([2, 1]);
  held.continue();
  held.close();
  expect([proc.kept, kernel.openPidfds.size]).toEqual([0, 0]);
});

it('another process that has the pid since then is not stopped', () => {
  const proc = procWith(100);
  const { held } = hold(proc, 10);
  held.rest();
  kernel.remove(10);
  kernel.add({ pid: 10, startTicks: 7 });
  expect(held.stop()).toBe('gone');
  expect(kernel.signals).toEqual([]);
  held.close();
});

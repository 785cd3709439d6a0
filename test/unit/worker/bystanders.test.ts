/** A parent outside of several targets at once: one watch, which ends with the last of them, and never earlier (invariant 1). */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Journal } from '../../../worker/journal.ts';
import { Bystanders } from '../../../worker/mechanisms/bystanders.ts';
import { SignalGroup } from '../../../worker/mechanisms/signal.ts';
import { type ProcessEntry, ProcessTable } from '../../../worker/process/table.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

const SU = 10;
let kernel: FakeKernel;
let table: ProcessTable;
let journalled: Set<number>;
let owned: Set<number>;
let bystanders: Bystanders;
let groups: SignalGroup[];
const journal = {
  willStop: (all: { pid: number }[]) => {
    for (const { pid } of all) journalled.add(pid);
    return true;
  },
  left: (all: { pid: number }[]) => {
    for (const { pid } of all) journalled.delete(pid);
  },
} as unknown as Journal;

beforeEach(() => {
  kernel = new FakeKernel({ pidfds: true });
  table = new ProcessTable(kernel.proc);
  [journalled, owned, groups] = [new Set(), new Set(), []];
  const isOwned = ({ pid }: ProcessEntry) => owned.has(pid);
  bystanders = new Bystanders({ proc: kernel.proc, journal, isOwned });
  kernel.add({ pid: SU, uid: 0, comm: 'su' });
});
afterEach(() => {
  for (const group of groups) group.release();
  expect([bystanders.size, kernel.proc.kept, kernel.openPidfds.size]).toEqual([0, 0, 0]);
  kernel.end();
});

/** A target of one child of su. */
function childOfSu(pid: number, onStop = () => {}): SignalGroup {
  kernel.add({
    pid,
    ppid: SU,
    onStop: (child) => {
      child.state = 'T';
      onStop();
    },
  });
  table.sweep();
  const group = new SignalGroup({
    proc: kernel.proc,
    table,
    journal,
    clock: new FakeClock(),
    isProtected: () => false,
    isOwned: ({ pid: other }) => owned.has(other),
    bystanders,
  });
  group.setMembers([table.get(pid)!]);
  groups.push(group);
  return group;
}
const suStops = () => kernel.change(SU, { state: 'T' });

it('stays journalled until the last target has had its first stop', () => {
  const [one, other] = [childOfSu(11), childOfSu(12)];
  one.stop();
  other.stop();
  expect(one.checkBystanders()).toBeUndefined();
  expect([...journalled].toSorted()).toEqual([SU, 11, 12]);
  suStops();
  expect(other.checkBystanders()?.pid).toBe(SU);
  expect(kernel.stopped()).not.toContain(SU);
  expect([...journalled].toSorted()).toEqual([11, 12]);
});

it('who stands still already when a second target comes is continued on account of the first', () => {
  const [one, other] = [childOfSu(11, suStops), childOfSu(12)];
  one.stop();
  other.stop();
  expect(other.checkBystanders()).toBeUndefined();
  expect(kernel.stopped()).toContain(SU);
  expect(one.checkBystanders()?.pid).toBe(SU);
  expect(kernel.stopped()).not.toContain(SU);
});

it('runs again when one target is let go in that very phase, while the other goes on watching', () => {
  const [one, other] = [childOfSu(11, suStops), childOfSu(12)];
  other.stop();
  one.stop();
  one.release();
  expect(kernel.stopped()).not.toContain(SU);
  expect(journalled).toContain(SU);
  expect(other.checkBystanders()).toBeUndefined();
  expect(journalled).not.toContain(SU);
});

it('who became a member of a loop meanwhile is neither continued nor struck out', () => {
  const one = childOfSu(11, suStops);
  one.stop();
  owned.add(SU);
  expect(one.checkBystanders()).toBeUndefined();
  expect(kernel.stopped()).toContain(SU);
  expect(journalled).toContain(SU);
});

it('is not whoever has his pid by then (invariant 4)', () => {
  const one = childOfSu(11);
  one.stop();
  kernel.change(SU, { startTicks: 77, state: 'T' });
  expect(one.checkBystanders()).toBeUndefined();
  expect(kernel.stopped()).toContain(SU);
});

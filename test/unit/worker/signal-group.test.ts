/** The signal mechanism on a machine of plain files: who gets which signal, in which order, and who is left alone. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Journal } from '../../../worker/journal.ts';
import { Bystanders } from '../../../worker/mechanisms/bystanders.ts';
import { SignalGroup } from '../../../worker/mechanisms/signal.ts';
import { ProcessTable } from '../../../worker/process/table.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

let kernel: FakeKernel;
let table: ProcessTable;
/** Processes that the journal says are ours. */
let journalled: Set<number>;
let isJournalFull: boolean;
let waitedMs: number;

describe.each([{ identity: 'pidfd' }, { identity: 'start time' }])('with identity by $identity:', ({ identity }) => {
  const hasPidfds = identity === 'pidfd';
  beforeEach(() => {
    kernel = new FakeKernel({ pidfds: hasPidfds });
    table = new ProcessTable(kernel.proc);
    journalled = new Set();
    isJournalFull = false;
    waitedMs = 0;
  });
  afterEach(() => {
    expect(kernel.openPidfds.size, 'pidfds of those who are members still').toBeLessThanOrEqual(kernel.processes.size);
    kernel.end();
  });

  function createGroup(isProtected: (pid: number) => boolean = () => false) {
    const clock = new FakeClock();
    const journal = {
      willStop: (all: { pid: number }[]) => {
        if (!isJournalFull) for (const { pid } of all) journalled.add(pid);
        return !isJournalFull;
      },
      left: (all: { pid: number }[]) => {
        for (const { pid } of all) journalled.delete(pid);
      },
    } as unknown as Journal;
    // A look at the time takes time, as a wait that looks again and again must notice.
    const ticking = Object.assign(Object.create(clock) as FakeClock, {
      monotonicMs: () => {
        clock.stall(0.05);
        waitedMs += 0.05;
        return clock.monotonicMs();
      },
      nap: (forMs: number) => {
        clock.nap(forMs);
        waitedMs += forMs;
      },
    });
    return new SignalGroup({
      proc: kernel.proc,
      table,
      journal,
      clock: ticking,
      isProtected: ({ pid }) => isProtected(pid),
      isOwned: () => false,
      bystanders: new Bystanders({ proc: kernel.proc, journal, isOwned: () => false }),
    });
  }

  /** A group of these pids, as the table has them. */
  function groupOf(...pids: number[]) {
    table.sweep();
    const group = createGroup();
    group.setMembers(pids.map((pid) => table.get(pid)!));
    return group;
  }

  /** A shell with job control: a parent, and children with process groups of their own in its session. */
  function addShell(pid: number, ...children: number[]): void {
    kernel.add({ pid, session: pid, tty: 34816 });
    for (const child of children) kernel.add({ pid: child, ppid: pid, session: pid, pgrp: child, tty: 34816 });
  }

  describe('the order of signals', () => {
    it('stops parents before children and continues them after', () => {
      addShell(10, 11);
      kernel.add({ pid: 12, ppid: 11 });
      const group = groupOf(12, 10, 11);
      group.stop();
      group.run();
      expect(kernel.pidsSent('SIGSTOP')).toEqual([10, 11, 12]);
      expect(kernel.pidsSent('SIGCONT')).toEqual([12, 11, 10]);
    });

    it('also continues children first when members leave in a stop phase', () => {
      addShell(10, 11);
      kernel.add({ pid: 12, ppid: 11 });
      const group = groupOf(12, 10, 11);
      group.stop();
      group.setMembers([]);
      expect(kernel.pidsSent('SIGCONT')).toEqual([12, 11, 10]);
      expect(journalled.size).toBe(0);
    });

    it('does not stop a child whose parent has not been seen stopped', () => {
      addShell(10, 11);
      kernel.change(10, {
        onStop: (shell) => {
          shell.state = 'R';
        },
      });
      const group = groupOf(10, 11);
      group.stop();
      expect(kernel.pidsSent('SIGSTOP')).toEqual([10]);
      group.run();
    });
  });

  describe('a user cannot use that care', () => {
    it('a parent that is never seen stopped shelters its child for a few phases only', () => {
      addShell(10, 11);
      // It continues itself by a timer of its own (timer_create with SIGCONT).
      kernel.change(10, {
        onStop: (shell) => {
          shell.state = 'R';
        },
      });
      const group = groupOf(10, 11);
      for (let phase = 0; phase < 6; phase++) {
        group.stop();
        group.run();
      }
      expect(kernel.pidsSent('SIGSTOP')).toContain(11);
    });

    it('a parent that waits in vfork (state D) does not shelter its child: it sees nothing before it stops itself', () => {
      kernel.add({ pid: 10 });
      kernel.add({ pid: 11, ppid: 10 });
      kernel.change(10, { state: 'D', onStop: () => {} });
      const group = groupOf(10, 11);
      group.stop();
      expect(kernel.pidsSent('SIGSTOP')).toEqual([10, 11]);
      group.run();
    });

    it('however many such parents there are, a stop waits for no more than one bound', () => {
      for (let pid = 10; pid < 210; pid += 2) {
        kernel.add({
          pid,
          onStop: (parent) => {
            parent.state = 'R';
          },
        });
        kernel.add({ pid: pid + 1, ppid: pid });
      }
      const group = groupOf(...[...kernel.processes.keys()].filter((pid) => pid >= 10));
      waitedMs = 0;
      group.stop();
      expect(waitedMs).toBeLessThan(50);
      group.run();
    });

    it('a process whose first thread has ended is stopped in its others', () => {
      kernel.add({ pid: 10, state: 'Z', threads: 3 });
      const group = groupOf(10);
      group.stop();
      expect(kernel.pidsSent('SIGSTOP')).toEqual([10]);
      group.run();
      expect(kernel.pidsSent('SIGCONT')).toEqual([10]);
      expect(group.inspect().alive).toHaveLength(1);
    });

    it('nor do its children escape', () => {
      kernel.add({ pid: 10, state: 'Z', threads: 3, onStop: () => {} });
      kernel.add({ pid: 11, ppid: 10 });
      const group = groupOf(10, 11);
      group.stop();
      expect(kernel.pidsSent('SIGSTOP')).toEqual([10, 11]);
      group.run();
    });
  });

  describe('what others stopped', () => {
    it.each(['T', 't'])('in state %s when it is first seen is not signalled, and not journalled', (state) => {
      kernel.add({ pid: 10, state });
      const group = groupOf(10);
      group.stop();
      group.run();
      expect(kernel.signals).toEqual([]);
      expect(journalled.has(10)).toBe(false);
      expect(group.foreign).toBe(1);
    });

    it('is stopped again with the others once it runs', () => {
      kernel.add({ pid: 10, state: 'T' });
      const group = groupOf(10);
      group.stop();
      group.run();
      kernel.change(10, { state: 'R' });
      group.stop();
      expect(kernel.pidsSent('SIGSTOP')).toEqual([10]);
      expect(journalled.has(10)).toBe(true);
      expect(group.foreign).toBe(0);
      group.run();
    });

    it('is in no journal, however many phases go by: a release must not continue it', () => {
      kernel.add({ pid: 10, state: 'T' });
      const group = groupOf(10);
      for (let phase = 0; phase < 3; phase++) {
        group.stop();
        expect([...journalled]).toEqual([]);
        group.run();
      }
    });

    it('is first stopped with all the care for newcomers: a su outside is watched', () => {
      kernel.add({ pid: 9, uid: 0, comm: 'su' });
      kernel.add({ pid: 10, ppid: 9, state: 'T' });
      const group = groupOf(10);
      group.stop();
      group.checkBystanders();
      group.run();
      kernel.change(10, {
        state: 'R',
        onStop: (child) => {
          child.state = 'T';
          kernel.change(9, { state: 'T' });
        },
      });
      group.stop();
      expect(group.checkBystanders()?.pid).toBe(9);
      expect(kernel.stopped()).toEqual([]);
    });

    it('between two phases at a terminal (Ctrl-Z) stays stopped', () => {
      kernel.add({ pid: 10, tty: 34816 });
      const group = groupOf(10);
      group.stop();
      group.run();
      kernel.change(10, { state: 'T' });
      group.stop();
      group.run();
      group.release();
      expect(kernel.stopped()).toEqual([10]);
      expect(kernel.pidsSent('SIGCONT')).toHaveLength(1);
      expect(journalled.size).toBe(0);
    });

    it('without a terminal is left alone from the next inspection on', () => {
      kernel.add({ pid: 10 });
      const group = groupOf(10);
      group.stop();
      group.run();
      kernel.change(10, { state: 'T' });
      group.inspect();
      group.stop();
      group.run();
      group.release();
      expect(kernel.stopped()).toEqual([10]);
    });
  });

  describe('a member', () => {
    it('that has ended is forgotten, by the table and the journal too', () => {
      kernel.add({ pid: 10 });
      kernel.add({ pid: 11 });
      const group = groupOf(10, 11);
      group.stop();
      kernel.remove(10);
      group.run();
      expect(group.size).toBe(1);
      expect(table.get(10)).toBeUndefined();
      expect([...journalled]).toEqual([11]);
    });

    it('whose pid another process has is never signalled under it', () => {
      kernel.add({ pid: 10 });
      const group = groupOf(10);
      group.stop();
      group.run();
      kernel.remove(10);
      kernel.add({ pid: 10, startTicks: 999_999 });
      group.inspect();
      group.stop();
      expect(kernel.pidsSent('SIGSTOP')).toHaveLength(1);
      expect(group.size).toBe(0);
    });

    it('that died between two looks: with a pidfd a stranger under its pid is never signalled, else until the next look', () => {
      kernel.add({ pid: 10 });
      const group = groupOf(10);
      group.stop();
      kernel.remove(10);
      const stranger = kernel.add({ pid: 10, startTicks: 999_999, state: 'T' });
      group.run();
      expect(stranger.state).toBe(hasPidfds ? 'T' : 'S');
      expect(group.size).toBe(hasPidfds ? 0 : 1);
      group.stop();
      expect(kernel.pidsSent('SIGSTOP')).toHaveLength(hasPidfds ? 1 : 2);
      group.run();
      group.inspect();
      kernel.signals.length = 0;
      group.stop();
      group.run();
      expect(group.size).toBe(0);
      expect(kernel.signals).toEqual([]);
      expect(journalled.size).toBe(0);
    });

    it('that leaves, or dies, costs no descriptor any more', () => {
      for (const pid of [10, 11, 12]) kernel.add({ pid });
      const group = groupOf(10, 11, 12);
      group.stop();
      expect(kernel.proc.kept).toBe(hasPidfds ? 6 : 3);
      expect(kernel.openPidfds.size).toBe(hasPidfds ? 3 : 0);
      group.setMembers([table.get(10)!, table.get(11)!]);
      kernel.remove(11);
      group.inspect();
      expect(kernel.proc.kept).toBe(hasPidfds ? 2 : 1);
      group.release();
      expect(kernel.proc.kept).toBe(0);
      expect(kernel.openPidfds.size).toBe(0);
    });

    it('that may not be signalled is counted, and hinders nobody', () => {
      kernel.add({ pid: 10 });
      kernel.add({ pid: 11 });
      kernel.refuses.set(10, 'EPERM');
      const group = groupOf(10, 11);
      group.stop();
      expect(group.notPermitted).toBe(1);
      expect(kernel.stopped()).toEqual([11]);
      group.run();
      expect(kernel.stopped()).toEqual([]);
    });

    it('is not stopped when the journal cannot be written', () => {
      kernel.add({ pid: 10 });
      isJournalFull = true;
      const group = groupOf(10);
      expect(group.stop().status).toBe('journal-broken');
      expect(kernel.signals).toEqual([]);
    });
  });

  describe('a parent outside that stops with its child', () => {
    const su = () => {
      kernel.add({ pid: 10, uid: 0, comm: 'su' });
      kernel.add({
        pid: 11,
        ppid: 10,
        onStop: (child) => {
          child.state = 'T';
          kernel.change(10, { state: 'T' });
        },
      });
      return groupOf(11);
    };

    it('is journalled before, noticed after, and both run', () => {
      const group = su();
      group.stop();
      expect([...journalled].toSorted()).toEqual([10, 11]);
      expect(group.checkBystanders()?.pid).toBe(10);
      expect(kernel.stopped()).toEqual([]);
      expect([...journalled]).toEqual([11]);
    });

    it('runs too when the target is let go in that very phase', () => {
      const group = su();
      group.stop();
      group.release();
      expect(kernel.stopped()).toEqual([]);
      expect(journalled.size).toBe(0);
    });

    it('that was stopped before by somebody else stays so', () => {
      kernel.add({ pid: 10, uid: 0, comm: 'su', state: 'T' });
      kernel.add({ pid: 11, ppid: 10 });
      const group = groupOf(11);
      group.stop();
      expect(group.checkBystanders()).toBeUndefined();
      group.release();
      expect(kernel.stopped()).toEqual([10]);
    });
  });
});

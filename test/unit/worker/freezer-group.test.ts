/**
 * The freezer group on a machine of plain files (cgroup v2) and a kill(2) that only writes them: nothing is frozen before
 * it is written down, parents stand still before their children are signalled, and what cannot be frozen is signalled.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Hierarchy } from '../../../worker/cgroups/hierarchies.ts';
import type { Journal } from '../../../worker/journal.ts';
import { AutoGroup } from '../../../worker/mechanisms/auto.ts';
import { Bystanders } from '../../../worker/mechanisms/bystanders.ts';
import { CoverFinder } from '../../../worker/mechanisms/cover.ts';
import { FreezerGroup, type FreezerParts } from '../../../worker/mechanisms/freezer.ts';
import { QuotaGroup } from '../../../worker/mechanisms/quota.ts';
import { type ProcessEntry, ProcessTable } from '../../../worker/process/table.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

let kernel: FakeKernel;
let table: ProcessTable;
let clock: FakeClock;
let mount: string;
let hierarchy: Hierarchy;
let journalled: Set<string>;
let isJournalFull: boolean;
beforeEach(() => {
  kernel = new FakeKernel();
  table = new ProcessTable(kernel.proc);
  clock = new FakeClock();
  mount = mkdtempSync(join(tmpdir(), 'hobbler-freezer-'));
  hierarchy = { version: 2, mount, controllers: [] };
  journalled = new Set();
  isJournalFull = false;
});
afterEach(() => {
  kernel.end();
  rmSync(mount, { recursive: true });
});

const idOf = ({ pid, startTicks }: { pid: number; startTicks: number }) => `${pid} ${startTicks}`;
const note = (names: string[]) => {
  if (!isJournalFull) for (const name of names) journalled.add(name);
  return !isJournalFull;
};
const strike = (names: string[]) => {
  for (const name of names) journalled.delete(name);
};
const journal = {
  willStop: (all: { pid: number; startTicks: number }[]) => note(all.map(idOf)),
  left: (all: { pid: number; startTicks: number }[]) => strike(all.map(idOf)),
  // At that moment nothing may be frozen or limited yet.
  willFreeze: (files: string[]) => {
    for (const file of files) expect(readFileSync(file, 'latin1').trim()).toBe('0');
    return note(files);
  },
  thawed: strike,
  willLimit: (changes: { path: string; old: string }[]) => {
    for (const { path, old } of changes) expect(readFileSync(path, 'latin1').trim()).toBe(old);
    return note(changes.map(({ path }) => path));
  },
  restored: strike,
  willAdopt: () => false,
  emptied: () => {},
} as unknown as Journal;

function put(path: string, ...pids: number[]): void {
  mkdirSync(join(mount, path), { recursive: true });
  const write = (name: string, text: string) => writeFileSync(join(mount, path, name), text);
  write('cgroup.procs', pids.map((pid) => `${pid}\n`).join(''));
  if (!existsSync(join(mount, path, 'cgroup.freeze'))) write('cgroup.freeze', '0\n');
  write('cgroup.events', 'populated 1\nfrozen 1\n');
  write('cpu.max', 'max 100000\n');
  for (const pid of pids) kernel.change(pid, { cgroup: path });
}
const switchOf = (path: string) => readFileSync(join(mount, path, 'cgroup.freeze'), 'latin1').trim();

function createParts(): FreezerParts {
  const { proc } = kernel;
  const cgroups = { pathsOf: (pid: number) => proc.readCgroups(pid) };
  return {
    proc,
    table,
    journal,
    clock,
    isOwned: () => false,
    isProtected: () => false,
    bystanders: new Bystanders({ proc, journal, isOwned: () => false }),
    finders: [new CoverFinder(hierarchy, { cgroups: cgroups as never, proc, table })],
    counters: [],
    adoption: undefined,
    pathsOf: (entry) => proc.readCgroups(entry.pid),
  };
}
function entries(...pids: number[]): ProcessEntry[] {
  table.sweep();
  return pids.map((pid) => table.get(pid)!);
}

describe('the freezer', () => {
  it('writes down, freezes, thaws, and strikes out at the end', () => {
    kernel.add({ pid: 10 });
    put('/a', 10);
    const group = new FreezerGroup(createParts(), true);
    group.setMembers(entries(10));
    expect(switchOf('/a')).toBe('0');
    expect(group.stop()).toEqual({ status: 'stopped', signals: 1 });
    expect([switchOf('/a'), [...journalled]]).toEqual(['1', [join(mount, 'a/cgroup.freeze')]]);
    group.run();
    expect(switchOf('/a')).toBe('0');
    group.stop();
    group.release();
    expect([switchOf('/a'), [...journalled], kernel.proc.kept]).toEqual(['0', [], 0]);
    expect(kernel.signals).toEqual([]);
  });

  it('freezes nothing and signals nobody when the journal is full', () => {
    for (const pid of [10, 11, 12]) kernel.add({ pid });
    put('/a', 10);
    put('/b', 11, 12);
    const group = new FreezerGroup(createParts(), true);
    group.setMembers(entries(10, 11));
    isJournalFull = true;
    expect(group.stop()).toEqual({ status: 'journal-broken' });
    group.run();
    expect([switchOf('/a'), kernel.pidsSent('SIGSTOP')]).toEqual(['0', []]);
    isJournalFull = false;
    expect(group.stop()).toEqual({ status: 'stopped', signals: 2 });
    expect([switchOf('/a'), kernel.pidsSent('SIGSTOP')]).toEqual(['1', [11]]);
    group.release();
  });

  it('a parent that is frozen stands still before its child is signalled, and its child runs before it does', () => {
    kernel.add({ pid: 10 });
    const seen: string[] = [];
    kernel.add({
      pid: 11,
      ppid: 10,
      onStop: (one) => {
        seen.push(switchOf('/a'));
        one.state = 'T';
      },
    });
    kernel.add({ pid: 12 });
    put('/a', 10);
    put('/b', 11, 12);
    const group = new FreezerGroup(createParts(), true);
    group.setMembers(entries(10, 11));
    group.stop();
    expect(seen).toEqual(['1']);
    expect(group.inForce).toEqual({
      mechanism: 'freezer',
      why: 'freezes /a (v2); 1 by signals, since /b holds p12 (pid 12) too',
    });
    group.run();
    expect([switchOf('/a'), kernel.pidsSent('SIGCONT')]).toEqual(['0', [11]]);
    // One that never stands still holds up three stops by 5 ms, and no more.
    writeFileSync(join(mount, 'a/cgroup.events'), 'populated 1\nfrozen 0\n');
    let reads = 0;
    clock.monotonicMs = () => ++reads * 2;
    for (let turn = 0; turn < 10; turn++) {
      group.stop();
      group.run();
    }
    expect(seen).toHaveLength(11);
    group.release();
  });

  it('looks again when the last look is a second old, and lets go of a cgroup with a stranger', async () => {
    for (const pid of [10, 11]) kernel.add({ pid });
    put('/a', 10);
    const group = new FreezerGroup(createParts(), true);
    group.setMembers(entries(10));
    group.stop();
    entries(11);
    put('/a', 10, 11);
    group.run();
    group.stop();
    expect(switchOf('/a')).toBe('1'); // not looked at yet
    group.run();
    await clock.advance(1_000);
    group.stop();
    expect([switchOf('/a'), kernel.pidsSent('SIGSTOP'), [...journalled]]).toEqual(['0', [10], ['10 1010']]);
    group.release();
    expect(kernel.stopped()).toEqual([]);
  });

  it('a pass while it is frozen lets a stranger run at once', () => {
    for (const pid of [10, 11]) kernel.add({ pid });
    put('/a', 10);
    const group = new FreezerGroup(createParts(), true);
    const members = entries(10);
    group.setMembers(members);
    group.stop();
    entries(11);
    put('/a', 10, 11);
    group.setMembers(members);
    expect([switchOf('/a'), [...journalled]]).toEqual(['0', []]);
    group.release();
  });

  it('members that leave run at once; the last one to leave gives the cgroup back', () => {
    for (const pid of [10, 11]) kernel.add({ pid });
    put('/a', 10, 11);
    const group = new FreezerGroup(createParts(), true);
    const [one, two] = entries(10, 11);
    group.setMembers([one!, two!]);
    group.stop();
    group.setMembers([one!]);
    expect(switchOf('/a')).toBe('0');
    group.run();
    group.stop();
    expect(kernel.pidsSent('SIGSTOP')).toEqual([10]);
    group.setMembers([]);
    expect([kernel.stopped(), [...journalled], kernel.proc.kept, group.size]).toEqual([[], [], 0, 0]);
  });

  it('the dead leave', () => {
    for (const pid of [10, 11]) kernel.add({ pid });
    put('/a', 10, 11);
    const group = new FreezerGroup(createParts(), true);
    group.setMembers(entries(10, 11));
    group.stop();
    group.run();
    put('/a', 11);
    kernel.remove(10);
    expect(group.inspect().alive.map(({ pid }) => pid)).toEqual([11]);
    expect(group.size).toBe(1);
    group.release();
  });

  it('keeps no more descriptors than may be kept: the rest is signalled', () => {
    kernel.add({ pid: 10 });
    put('/a', 10);
    const parts = createParts();
    kernel.proc.kept = 1e9;
    const group = new FreezerGroup(parts, true);
    group.setMembers(entries(10));
    group.stop();
    expect([switchOf('/a'), kernel.pidsSent('SIGSTOP')]).toEqual(['0', [10]]);
    expect(group.inForce.why).toContain('no more descriptors may be kept open');
    group.release();
  });
});

describe('auto', () => {
  it('looks again after a while, and goes over to the freezer when all of the target is covered', async () => {
    for (const pid of [10, 11]) kernel.add({ pid });
    put('/a', 10, 11);
    const group = new AutoGroup(createParts());
    const members = entries(10, 11).slice(0, 1);
    group.setMembers(members);
    group.stop();
    expect(kernel.stopped()).toEqual([10]);
    put('/b', 11);
    put('/a', 10);
    group.setMembers(members);
    expect(group.inForce.mechanism).toBe('signal'); // too soon
    await clock.advance(30_000);
    group.setMembers(members);
    expect(kernel.stopped()).toEqual([]);
    expect(group.inForce).toEqual({ mechanism: 'freezer', why: 'auto: freezes /a (v2)' });
    group.stop();
    expect(switchOf('/a')).toBe('1');
    group.release();
  });

  it('denies as signals do where nobody can be adopted (su)', () => {
    kernel.add({ pid: 9, comm: 'su', uid: 0, euid: 0 });
    kernel.add({
      pid: 10,
      ppid: 9,
      onStop: (one) => {
        one.state = 'T';
        kernel.change(9, { state: 'T' });
      },
    });
    put('/a', 9, 10);
    const group = new AutoGroup(createParts());
    group.setMembers(entries(10));
    group.stop();
    expect(group.checkBystanders()?.pid).toBe(9);
    expect(kernel.stopped()).toEqual([]);
    group.release();
  });
});

describe('the quota, v2', () => {
  const max = (path: string) => readFileSync(join(mount, path, 'cpu.max'), 'latin1').trim();
  const create = () => {
    const { proc, finders, counters, pathsOf } = createParts();
    return new QuotaGroup({ proc, table, journal, finders, counters, pathsOf, runRatio: () => 0.1, onlineCpus: 4 });
  };

  it('is share × CPUs, written down before it is set, and put back', () => {
    kernel.add({ pid: 10 });
    put('/a', 10);
    const group = create();
    group.setMembers(entries(10));
    expect(max('/a')).toBe('max 100000');
    expect(group.stop()).toEqual({ status: 'stopped', signals: 1 });
    expect(group.inForce).toEqual({ mechanism: 'quota', why: 'limits /a (v2) to 40 ms of CPU in 100' });
    expect([max('/a'), [...journalled]]).toEqual(['40000 100000', [join(mount, 'a/cpu.max')]]);
    expect(group.stop()).toEqual({ status: 'stopped', signals: 0 });
    group.run();
    expect([max('/a'), [...journalled]]).toEqual(['max 100000', []]);
    group.stop();
    group.release();
    expect([max('/a'), [...journalled]]).toEqual(['max 100000', []]);
  });

  it('is not set when the journal is full', () => {
    kernel.add({ pid: 10 });
    put('/a', 10);
    const group = create();
    group.setMembers(entries(10));
    isJournalFull = true;
    expect(group.stop()).toEqual({ status: 'journal-broken' });
    expect(max('/a')).toBe('max 100000');
  });

  it('is lifted when a stranger comes in, when the last member dies, and when the parent takes the controller away', () => {
    for (const pid of [10, 11]) kernel.add({ pid });
    put('/a', 10);
    const group = create();
    group.setMembers(entries(10));
    group.stop();
    entries(11);
    writeFileSync(join(mount, 'a/cgroup.procs'), '10\n11\n');
    group.stop();
    expect([max('/a'), group.obstacle, [...journalled]]).toEqual([
      'max 100000',
      'no quota: /a holds p11 (pid 11) too',
      [],
    ]);
    writeFileSync(join(mount, 'a/cgroup.procs'), '10\n');
    group.stop();
    expect([max('/a'), group.obstacle]).toEqual(['40000 100000', undefined]);
    rmSync(join(mount, 'a/cpu.max'));
    group.stop();
    expect(group.obstacle).toBe('no quota: /a has no CPU quota (its parent hands out no cpu controller)');
    writeFileSync(join(mount, 'a/cpu.max'), 'max 100000\n');
    group.stop();
    kernel.remove(10);
    group.inspect();
    group.stop();
    expect([max('/a'), group.size, [...journalled]]).toEqual(['max 100000', 0, []]);
  });
});

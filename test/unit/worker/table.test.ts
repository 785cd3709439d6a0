/** The process table on a machine of plain files: births, deaths, threads, reused pids, and what cannot be read. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProcessTable } from '../../../worker/process/table.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

let kernel: FakeKernel;
let table: ProcessTable;
beforeEach(() => {
  kernel = new FakeKernel();
  kernel.add({ pid: 10 });
  table = new ProcessTable(kernel.proc);
  table.sweep();
});
afterEach(() => kernel.end());

const pids = () => [...table.entries()].map(({ pid }) => pid).toSorted((a, b) => a - b);

describe('a pass', () => {
  it('finds everybody, forgets who is gone, and gives a reused pid to a new object', () => {
    const before = table.get(10)!;
    kernel.remove(10);
    kernel.add({ pid: 10, startTicks: 77 });
    kernel.add({ pid: 11, ppid: 10 });
    table.sweep();
    expect(pids()).toEqual([1, 10, 11]);
    expect(table.get(10)).not.toBe(before);
    expect(before.isAlive).toBe(false);
    expect([...table.childrenOf(10)].map(({ pid }) => pid)).toEqual([11]);
  });

  it('keeps the same object for the same process, with its new parent and owner', () => {
    const before = table.get(10)!;
    kernel.change(10, { ppid: 5, uid: 2_000, euid: 0 });
    table.sweep();
    expect(table.get(10)).toBe(before);
    expect(before).toMatchObject({ ppid: 5, realUid: 2_000, effectiveUid: 0 });
    expect([...table.childrenOf(1)].map(({ pid }) => pid)).not.toContain(10);
  });

  it('knows whose each process is, until it changes hands or ends', () => {
    const ofUser = (uid: number) => [...table.ofUser(uid)].map(({ pid }) => pid).toSorted((a, b) => a - b);
    kernel.add({ pid: 11, uid: 2_000, euid: 2_000 });
    kernel.add({ pid: 12, uid: 2_000, euid: 2_000 });
    kernel.add({ pid: 13, uid: 2_000, euid: 0 });
    table.sweep();
    expect(ofUser(2_000)).toEqual([11, 12]);
    kernel.change(11, { uid: 3_000, euid: 3_000 });
    kernel.change(13, { euid: 2_000 });
    table.sweep();
    expect([ofUser(2_000), ofUser(3_000)]).toEqual([[12, 13], [11]]);
    kernel.remove(12);
    kernel.add({ pid: 13, startTicks: 77, uid: 3_000, euid: 3_000 });
    table.sweep();
    expect([ofUser(2_000), ofUser(3_000)]).toEqual([[], [11, 13]]);
  });

  it('takes zombies for dead, but not a process whose first thread alone has ended', () => {
    kernel.change(10, { state: 'Z' });
    kernel.add({ pid: 11, state: 'Z', threads: 2 });
    table.sweep();
    expect(pids()).toEqual([1, 11]);
  });

  it('reads hostile names, and is not stopped by a directory that is no process', () => {
    kernel.add({ pid: 11, comm: 'x) R 1 (\n11 (y' });
    mkdirSync(join(kernel.root, '12'));
    mkdirSync(join(kernel.root, '13'));
    writeFileSync(join(kernel.root, '13', 'stat'), '\0\0not a stat');
    table.sweep();
    expect(pids()).toEqual([1, 10, 11]);
    expect(table.get(11)!.comm).toBe('x) R 1 (\n11 (y');
  });

  it('leaves the owner unknown where it cannot be read', () => {
    rmSync(join(kernel.root, '10', 'status'));
    table.sweep();
    expect(table.get(10)).toMatchObject({ realUid: null, effectiveUid: null });
  });
});

describe('births', () => {
  it('are those since the last look, and threads are none', () => {
    kernel.add({ pid: 11, ppid: 10 });
    kernel.add({ pid: 12, ppid: 10 });
    // A thread answers under its own number as a process of another group leader.
    writeFileSync(join(kernel.root, '12', 'status'), 'Name:\tt\nTgid:\t10\nUid:\t1000\t1000\t0\t0\nGid:\t1\t1\t1\t1\n');
    expect(table.births(0)!.map(({ pid }) => pid)).toEqual([11]);
    expect(table.births(0)).toEqual([]);
  });

  it('include one that had its pid before the kernel showed it', () => {
    kernel.setLastPid(11); // fork(2) takes the pid first and shows the process later
    expect(table.births(0)).toEqual([]);
    expect(table.awaitsBirths).toBe(true);
    kernel.add({ pid: 11, ppid: 10 });
    expect(table.births(1)!.map(({ pid }) => pid)).toEqual([11]);
    expect(table.births(1)).toEqual([]);
  });

  it('include one whose parent lost its core in the middle of the fork, up to a third of a second later', () => {
    kernel.setLastPid(12);
    for (const nowMs of [0, 1, 2, 60]) expect(table.births(nowMs)).toEqual([]);
    expect(table.awaitsBirths).toBe(false); // no look that is near will find it
    kernel.add({ pid: 12, ppid: 10 });
    expect(table.births(200)).toEqual([]);
    expect(table.births(320)!.map(({ pid }) => pid)).toEqual([12]);
  });

  it('are unknown when there were too many, or the numbers began anew', () => {
    kernel.setLastPid(5_000);
    expect(table.births(0)).toBeUndefined();
    kernel.setLastPid(300);
    expect(table.births(0)).toBeUndefined();
  });

  it('are unknown when the kernel does not say', () => {
    writeFileSync(join(kernel.root, 'loadavg'), 'nonsense');
    expect(table.births(0)).toBeUndefined();
    rmSync(join(kernel.root, 'loadavg'));
    expect(table.births(0)).toBeUndefined();
  });

  it('during a pass are seen after it', () => {
    for (let pid = 100; pid < 220; pid++) kernel.add({ pid });
    const slices = table.sweepSliced();
    slices.next();
    kernel.add({ pid: 300 });
    while (!slices.next().done);
    expect(table.births(0)!.map(({ pid }) => pid)).toContain(300);
  });
});

describe('find', () => {
  it('takes exactly one identity, from /proc if need be', () => {
    kernel.add({ pid: 11 });
    expect(table.find(11, 1_011)?.pid).toBe(11);
    expect(table.find(11, 1_012)).toBeUndefined();
    expect(table.find(99, 1)).toBeUndefined();
  });
});

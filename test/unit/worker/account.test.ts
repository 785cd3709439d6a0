/**
 * Groups whose cgroups count their CPU, on plain files: nobody is looked at one by one, every tick is told once, the dead
 * leave, and where the count would be somebody else's too it is not used.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseUsageUs } from '../../../worker/cgroups/cpu-usage.ts';
import type { Hierarchy } from '../../../worker/cgroups/hierarchies.ts';
import type { Journal } from '../../../worker/journal.ts';
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
let root: string;
let v2: Hierarchy;
let freezer: Hierarchy;
let cpuacct: Hierarchy;
/** By pid: its cgroup in each hierarchy. */
let paths: Map<number, Map<string, string>>;
beforeEach(() => {
  kernel = new FakeKernel();
  table = new ProcessTable(kernel.proc);
  clock = new FakeClock();
  root = mkdtempSync(join(tmpdir(), 'hobbler-account-'));
  v2 = { version: 2, mount: join(root, 'v2'), controllers: [] };
  freezer = { version: 1, mount: join(root, 'freezer'), controllers: ['freezer'] };
  cpuacct = { version: 1, mount: join(root, 'cpuacct'), controllers: ['cpu', 'cpuacct'] };
  paths = new Map();
});
afterEach(() => {
  kernel.end();
  rmSync(root, { recursive: true });
});

const journal = {
  willStop: () => true,
  left: () => {},
  willFreeze: () => true,
  thawed: () => {},
  willLimit: () => true,
  restored: () => {},
} as unknown as Journal;

const write = ({ mount }: Hierarchy, path: string, name: string, text: string) =>
  writeFileSync(join(mount, path, name), text);
function put(hierarchy: Hierarchy, path: string, ...pids: number[]): void {
  mkdirSync(join(hierarchy.mount, path), { recursive: true });
  write(hierarchy, path, 'cgroup.procs', pids.map((pid) => `${pid}\n`).join(''));
  const key = hierarchy.version === 2 ? '' : hierarchy.controllers.join(',');
  for (const pid of pids) paths.set(pid, new Map([...(paths.get(pid) ?? []), [key, path]]));
}
function putV2(path: string, ...pids: number[]): void {
  put(v2, path, ...pids);
  write(v2, path, 'cgroup.freeze', '0\n');
  write(v2, path, 'cpu.max', 'max 100000\n');
}
const used = (path: string, usedUs: number) =>
  write(v2, path, 'cpu.stat', `usage_usec ${usedUs}\nuser_usec 1\nsystem_usec 2\n`);

function createParts(place: Hierarchy): FreezerParts {
  const { proc } = kernel;
  const cgroups = { pathsOf: () => new Map() };
  const finder = (hierarchy: Hierarchy) => new CoverFinder(hierarchy, { cgroups: cgroups as never, proc, table });
  return {
    proc,
    table,
    journal,
    clock,
    isOwned: () => false,
    bystanders: new Bystanders({ proc, journal, isOwned: () => false }),
    isProtected: () => false,
    finders: [finder(place)],
    counters: [v2, cpuacct].map(finder),
    adoption: undefined,
    pathsOf: (entry) => paths.get(entry.pid) ?? new Map(),
  };
}
function start(...pids: number[]): void {
  for (const pid of pids) kernel.add({ pid });
}
function entries(...pids: number[]): ProcessEntry[] {
  table.sweep();
  return pids.map((pid) => table.get(pid)!);
}

describe('a counter', () => {
  it('is read as the kernel writes it, in microseconds', () => {
    expect(parseUsageUs('usage_usec 33035976331\nuser_usec 22327054791\nsystem_usec 1\n', 2)).toBe(33_035_976_331);
    expect(parseUsageUs('1500000\n', 1)).toBe(1_500);
    expect([parseUsageUs('user_usec 5\n', 2), parseUsageUs('', 1), parseUsageUs('none\n', 1)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('a frozen cgroup that counts', () => {
  const create = () => {
    start(10, 11);
    putV2('/a', 10, 11);
    used('/a', 7_000_000);
    const group = new FreezerGroup(createParts(v2), false);
    group.setMembers(entries(10, 11));
    return group;
  };

  it('tells what was used since the look before, and nobody is looked at', () => {
    const group = create();
    expect(group.size).toBe(2);
    used('/a', 7_050_000);
    expect(group.inspect()).toMatchObject({ alive: [], isRunnable: false, counted: { usedTicks: 5 } });
    expect(group.inspect().counted!.usedTicks).toBe(0);
    expect(kernel.proc.kept).toBe(2); // its switch, its counter, and no process
    group.release();
    expect(kernel.proc.kept).toBe(0);
  });

  it('looks who waits for a core when that is asked', () => {
    const group = create();
    expect(group.inspect().counted!.isRunnable()).toBe(false);
    kernel.change(11, { state: 'R' });
    expect(group.inspect().counted!.isRunnable()).toBe(true);
    kernel.change(11, { state: 'S' });
    kernel.change(10, { state: 'R' });
    expect(group.inspect().counted!.isRunnable()).toBe(true);
    group.release();
  });

  it('loses its dead when they are not listed any more, and tells what they had used', async () => {
    const group = create();
    used('/a', 7_020_000);
    put(v2, '/a', 11);
    kernel.remove(10);
    await clock.advance(1_000);
    expect(group.inspect().counted!.usedTicks).toBe(2);
    expect([group.size, table.get(10)]).toEqual([1, undefined]);
    used('/a', 7_030_000);
    put(v2, '/a');
    kernel.remove(11);
    await clock.advance(1_000);
    expect(group.inspect().counted!.usedTicks).toBe(1);
    expect([group.size, kernel.proc.kept]).toEqual([0, 0]);
    group.release();
  });

  it('is given up for looks when a stranger comes in, and taken again when he has left', async () => {
    const group = create();
    start(12);
    const members = entries(10, 11, 12).slice(0, 2);
    putV2('/a', 10, 11, 12);
    used('/a', 7_030_000);
    await clock.advance(1_000);
    const { alive, counted } = group.inspect();
    expect([alive.map(({ pid }) => pid), counted!.usedTicks, group.size]).toEqual([[10, 11], 3, 2]);
    used('/a', 9_000_000);
    expect(group.inspect().counted).toBeUndefined();
    putV2('/a', 10, 11);
    group.setMembers(members);
    expect(group.inspect()).toMatchObject({ alive: [], counted: { usedTicks: 0 } });
    group.release();
  });

  it('is thawed when a process inside is no member any more, though the same pids are inside', () => {
    const group = create();
    const [one] = entries(10);
    group.stop();
    group.setMembers([one!]);
    expect(readFileSync(join(v2.mount, '/a/cgroup.freeze'), 'latin1')).toMatch(/^0/);
    expect(group.inForce.mechanism).toBe('signal');
    group.release();
  });

  it('whose counter cannot be read any more has its processes looked at', () => {
    const group = create();
    write(v2, '/a', 'cpu.stat', '');
    expect(group.inspect().alive).toHaveLength(2);
    expect(group.inspect()).toMatchObject({ alive: [{ pid: 10 }, { pid: 11 }] });
    expect(group.inspect().counted).toBeUndefined();
    group.release();
  });

  it('knows who was stopped by others when he was read last', () => {
    start(10, 11);
    kernel.change(11, { state: 'T' });
    putV2('/a', 10, 11);
    used('/a', 0);
    const group = new FreezerGroup(createParts(v2), false);
    group.setMembers(entries(10, 11));
    expect(group.foreign).toBe(1);
    kernel.change(11, { state: 'S' });
    table.sweep();
    expect(group.foreign).toBe(0);
    group.release();
  });
});

describe('a frozen cgroup that does not count (v1)', () => {
  const create = () => {
    start(10, 11, 12);
    put(freezer, '/a', 10, 11);
    write(freezer, '/a', 'freezer.state', 'THAWED');
    write(freezer, '/a', 'freezer.self_freezing', '0\n');
    return new FreezerGroup(createParts(freezer), false);
  };
  const usedNs = (path: string, ns: number) => write(cpuacct, path, 'cpuacct.usage', `${ns}\n`);

  it('is counted where its processes are in cgroups of another hierarchy, and nobody else is', () => {
    const group = create();
    put(cpuacct, '/one', 10);
    put(cpuacct, '/two', 11);
    usedNs('/one', 1e9);
    usedNs('/two', 2e9);
    const members = entries(10, 11);
    group.setMembers(members);
    usedNs('/one', 1.01e9);
    usedNs('/two', 2.02e9);
    expect(group.inspect()).toMatchObject({ alive: [], counted: { usedTicks: 3 } });
    // A stranger over there makes it somebody else's count.
    entries(12);
    put(cpuacct, '/two', 11, 12);
    group.setMembers(members);
    expect(group.inspect().alive).toHaveLength(2);
    expect(group.inspect().counted).toBeUndefined();
    group.release();
    expect(kernel.proc.kept).toBe(0);
  });

  it('is not counted any more where one of its processes has become a stranger', () => {
    const group = create();
    put(cpuacct, '/one', 10, 11);
    usedNs('/one', 0);
    const [one, two] = entries(10, 11);
    group.setMembers([one!, two!]);
    expect(group.inspect().counted).toBeDefined();
    put(freezer, '/a', 10);
    group.setMembers([one!]);
    group.inspect();
    expect(group.inspect().counted).toBeUndefined();
    group.release();
  });

  it('is not counted where some of its processes are elsewhere', () => {
    const group = create();
    put(cpuacct, '/one', 10);
    usedNs('/one', 0);
    group.setMembers(entries(10, 11));
    expect(group.inspect().alive).toHaveLength(2);
    expect(group.inspect().counted).toBeUndefined();
    group.release();
  });
});

describe('a limited cgroup that counts', () => {
  const create = () => {
    start(10, 11);
    putV2('/a', 10, 11);
    used('/a', 1_000_000);
    const { proc, finders, counters, pathsOf } = createParts(v2);
    const parts = { proc, table, journal, finders, counters, pathsOf, runRatio: () => 0.1, onlineCpus: 4 };
    const group = new QuotaGroup(parts);
    group.setMembers(entries(10, 11));
    group.stop();
    return group;
  };

  it('tells what was used since it was limited, behind a closed gate too, and nobody is looked at', () => {
    const group = create();
    used('/a', 1_040_000);
    expect(group.inspect()).toMatchObject({ alive: [], counted: { usedTicks: 4 } });
    group.run();
    used('/a', 1_060_000);
    group.stop();
    used('/a', 1_070_000);
    expect(group.inspect()).toMatchObject({ alive: [], counted: { usedTicks: 3 } });
    expect(kernel.proc.kept).toBe(1);
    group.release();
    expect(kernel.proc.kept).toBe(0);
  });

  it('loses its dead when they are not listed any more', () => {
    const group = create();
    put(v2, '/a', 11);
    kernel.remove(10);
    group.stop();
    expect([group.size, table.get(10), group.obstacle]).toEqual([1, undefined, undefined]);
    group.release();
  });

  it('is given up for looks while a stranger is inside', () => {
    const group = create();
    start(12);
    entries(12);
    putV2('/a', 10, 11, 12);
    group.stop();
    used('/a', 5_000_000);
    group.inspect();
    expect(group.inspect().counted).toBeUndefined();
    expect(group.inspect().alive).toHaveLength(2);
    put(v2, '/a', 10, 11);
    group.stop();
    expect(group.inspect()).toMatchObject({ alive: [], counted: { usedTicks: 0 } });
    group.release();
  });
});

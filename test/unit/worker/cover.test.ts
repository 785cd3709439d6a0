/** Which cgroups a group may have, on a tree of plain directories: one stranger is enough to break a cover. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Hierarchy, isUsablePath, pathIn } from '../../../worker/cgroups/hierarchies.ts';
import { CoverFinder } from '../../../worker/mechanisms/cover.ts';
import { type ProcessEntry, ProcessTable } from '../../../worker/process/table.ts';
import { FakeKernel } from '../../support/fake-kernel.ts';

let kernel: FakeKernel;
let table: ProcessTable;
let mount: string;
let hierarchy: Hierarchy;
beforeEach(() => {
  kernel = new FakeKernel();
  table = new ProcessTable(kernel.proc);
  mount = mkdtempSync(join(tmpdir(), 'hobbler-cover-'));
  hierarchy = { version: 2, mount, controllers: [] };
});
afterEach(() => {
  kernel.end();
  rmSync(mount, { recursive: true });
});

/** Puts pids into a cgroup; those that /proc does not have yet are made. */
function put(path: string, ...pids: number[]): void {
  mkdirSync(join(mount, path), { recursive: true });
  for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/')))
    writeFileSync(join(mount, at, 'cgroup.procs'), '', { flag: 'a' });
  writeFileSync(join(mount, path, 'cgroup.procs'), pids.map((pid) => `${pid}\n`).join(''));
  for (const pid of pids) {
    if (kernel.processes.has(pid)) kernel.change(pid, { cgroup: path });
    else if (pid > 0) kernel.add({ pid, cgroup: path });
    if (pid > 0) kernel.write(kernel.processes.get(pid)!);
  }
}
function finder(): CoverFinder {
  const cgroups = { pathsOf: (pid: number) => kernel.proc.readCgroups(pid) };
  return new CoverFinder(hierarchy, { cgroups: cgroups as never, proc: kernel.proc, table });
}
function find(...pids: number[]) {
  table.sweep();
  const members = new Set(pids.map((pid) => table.get(pid)!));
  const found = finder().find(
    members,
    (entry: ProcessEntry) => members.has(entry),
    (entry) => kernel.proc.readCgroups(entry.pid),
  );
  return {
    covers: [...found.covers.keys()].map((directory) => directory.slice(mount.length)).sort(),
    uncovered: found.uncovered.map(({ pid }) => pid),
    why: found.why,
  };
}

describe('a cover', () => {
  it('is a cgroup that holds nobody else', () => {
    put('/a', 10, 11);
    expect(find(10, 11)).toEqual({ covers: ['/a'], uncovered: [], why: '' });
    expect(find(10)).toEqual({ covers: [], uncovered: [10], why: '/a holds p11 (pid 11) too' });
  });

  it('is the highest such one, and never the root', () => {
    put('/user/one/x', 10);
    put('/user/one/y', 11);
    put('/user/two', 12);
    expect(find(10, 11).covers).toEqual(['/user/one']);
    expect(find(10, 11, 12).covers).toEqual(['/user']);
    expect(find(10, 12).covers).toEqual(['/user/one/x', '/user/two']);
    put('/', 13);
    expect(find(13)).toMatchObject({ covers: [], uncovered: [13], why: 'p13 (pid 13) is in no cgroup but the root' });
  });

  it('is broken by one stranger below it, however deep', () => {
    put('/a', 10);
    put('/a/b/c/d', 11);
    expect(find(10)).toMatchObject({ covers: [], uncovered: [10] });
  });

  it('is not broken by who was born since the table was read, but by one that cannot be seen', () => {
    put('/a', 10);
    const cover = () => {
      const members = new Set([table.get(10)!]);
      return finder().look(join(mount, 'a'), (entry) => members.has(entry));
    };
    table.sweep();
    put('/a', 10, 11);
    expect(cover()).toMatchObject({ status: 'ours' });
    writeFileSync(join(mount, 'a', 'cgroup.procs'), '10\n999\n');
    expect(cover()).toEqual({ status: 'strangers', why: '/a holds a process that cannot be seen (pid 999) too' });
    writeFileSync(join(mount, 'a', 'cgroup.procs'), '10\n0\n');
    expect(cover()).toEqual({ status: 'strangers', why: '/a holds a process that is hidden here too' });
  });

  it('knows a pid that was given to a newborn since, and a kernel thread', () => {
    put('/a', 10, 11);
    table.sweep();
    const members = new Set([table.get(10)!]);
    const look = () => finder().look(join(mount, 'a'), (entry) => members.has(entry));
    expect(look()).toMatchObject({ status: 'strangers' });
    kernel.change(11, { startTicks: 99_999 });
    expect(look()).toMatchObject({ status: 'ours' });
    kernel.change(11, { flags: 0x00200000 });
    expect(look()).toMatchObject({ status: 'strangers' });
  });

  it('is not what /proc names when that is another place here', () => {
    put('/a', 10);
    writeFileSync(join(mount, 'a', 'cgroup.procs'), '');
    expect(find(10)).toMatchObject({ covers: [], why: '/a is another place here than /proc says' });
    writeFileSync(join(mount, 'a', 'cgroup.procs'), '12\n'); // somebody who was just born
    kernel.add({ pid: 13 });
    expect(find(10).covers).toEqual([]);
  });

  it('is never the place of hobbler itself, nor above it, nor one that a hobbler has made', () => {
    put('/a/b', process.pid);
    put('/a/c', 10);
    expect(find(10).covers).toEqual(['/a/c']);
    expect(find(10, process.pid).covers).toEqual(['/a/c']);
    put('/hobbler-5@6/1', 11);
    expect(find(11)).toMatchObject({ covers: [], uncovered: [11] });
  });

  it('never holds a stranger, and leaves out nobody who could be in one, whatever the tree', {
    timeout: 60_000,
  }, () => {
    const place = fc.constantFrom('/a', '/a/b', '/a/b/c', '/a/d', '/e', '/e/f');
    fc.assert(
      fc.property(
        fc.array(fc.record({ place, isMember: fc.boolean() }), { minLength: 1, maxLength: 8 }),
        (processes) => {
          rmSync(mount, { recursive: true });
          mkdirSync(mount);
          const byPlace = new Map<string, number[]>();
          for (const [index, { place: at }] of processes.entries())
            byPlace.set(at, [...(byPlace.get(at) ?? []), 10 + index]);
          for (const [at, pids] of byPlace) put(at, ...pids);
          const members = processes.flatMap(({ isMember }, index) => (isMember ? [10 + index] : []));
          for (const pid of [...kernel.processes.keys()]) if (pid >= 10 + processes.length) kernel.remove(pid);
          const { covers, uncovered } = find(...members);
          const isIn = (at: string, cover: string) => at === cover || at.startsWith(`${cover}/`);
          processes.forEach(({ place: at, isMember }, index) => {
            const covering = covers.filter((cover) => isIn(at, cover));
            if (!isMember) expect(covering).toEqual([]);
            else expect(covering.length + Number(uncovered.includes(10 + index))).toBe(1);
            if (isMember && uncovered.includes(10 + index))
              expect(processes.some((other) => !other.isMember && isIn(other.place, at))).toBe(true);
          });
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('a path', () => {
  it.each(['/a', '/a b/c', "/a'$(x);é*", '/user.slice/user-1001.slice', '/a..b/...'])('%j can be used', (path) => {
    expect(isUsablePath(path)).toBe(true);
  });

  it.each(['a', '', '/a/../b', '/..', '/a\tb', '/a\nb', '/a\x7f', '/a (deleted)', '/\ufffd', '/./a'])(
    '%j cannot',
    (path) => {
      expect(isUsablePath(path)).toBe(false);
    },
  );

  it('is found by controller, and read as UTF-8', () => {
    const paths = new Map([
      ['', '/v2'],
      ['cpu,cpuacct', `/${Buffer.from('é').toString('latin1')}`],
      ['name=systemd', '/named'],
      ['freezer', `/${Buffer.from([0xff]).toString('latin1')}`],
    ]);
    expect(pathIn({ version: 2, mount: '', controllers: [] }, paths)).toBe('/v2');
    expect(pathIn({ version: 1, mount: '', controllers: ['cpu', 'cpuacct'] }, paths)).toBe('/é');
    expect(pathIn({ version: 1, mount: '', controllers: ['freezer'] }, paths)).toBeUndefined();
    expect(pathIn({ version: 1, mount: '', controllers: ['memory'] }, paths)).toBeUndefined();
  });
});

/**
 * Real cgroups for tests, made by code that shares nothing with the worker's own. Each is named hobbler-test-… and is
 * removed by `removeTestCgroups`, which belongs in afterEach: it thaws and empties them first, and fails when hobbler
 * left a cgroup of its own, a freeze or a quota behind.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the hierarchies of this machine are; undefined where there is none. */
function findMount(isIt: (type: string, options: string[]) => boolean): string | undefined {
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, mount, type, options] = line.split(' ');
    if (mount && type && options && isIt(type, options.split(','))) return mount;
  }
  return undefined;
}
export const MOUNTS = {
  v2: findMount((type) => type === 'cgroup2'),
  freezer: findMount((type, options) => type === 'cgroup' && options.includes('freezer')),
  cpu: findMount((type, options) => type === 'cgroup' && options.includes('cpu')),
  cpuacct: findMount((type, options) => type === 'cgroup' && options.includes('cpuacct')),
};
export type HierarchyName = keyof typeof MOUNTS;

export interface TestCgroup {
  /** Within its hierarchy. */
  path: string;
  directory: string;
  enter(pid: number): void;
  read(file: string): string;
  write(file: string, text: string): void;
  remove(): void;
}

const made: { mount: string; directory: string; hierarchy: HierarchyName }[] = [];
let last = 0;

export const freezeFile = (hierarchy: HierarchyName) => (hierarchy === 'v2' ? 'cgroup.freeze' : 'freezer.state');

/** A cgroup in that hierarchy, below `parent` or at the root. Names may hold anything. */
export function createCgroup(hierarchy: HierarchyName, name?: string, parent?: TestCgroup): TestCgroup {
  const mount = MOUNTS[hierarchy]!;
  const path = join(parent?.path ?? '/', name ?? `hobbler-test-${process.pid}-${++last}`);
  const directory = join(mount, path);
  mkdirSync(directory);
  made.push({ mount, directory, hierarchy });
  return {
    path,
    directory,
    enter: (pid) => writeFileSync(join(directory, 'cgroup.procs'), String(pid)),
    read: (file) => readFileSync(join(directory, file), 'utf8').trim(),
    write: (file, text) => writeFileSync(join(directory, file), text),
    remove: () => rmdirSync(directory),
  };
}

/** A process's path in that hierarchy, by the kernel's own word. */
export function pathOf(pid: number, hierarchy: HierarchyName): string | undefined {
  const key = hierarchy === 'v2' ? '' : hierarchy;
  for (const line of readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers?.split(',').includes(key)) return path;
  }
  return undefined;
}

/** Whether the switch of this process's own cgroup is on. */
export function isFrozen(pid: number, hierarchy: 'v2' | 'freezer'): boolean {
  const file = join(MOUNTS[hierarchy]!, pathOf(pid, hierarchy)!, freezeFile(hierarchy));
  if (!existsSync(file)) return false; // the root has none
  return readFileSync(file, 'latin1').trim() !== (hierarchy === 'v2' ? '0' : 'THAWED');
}

/** Cgroups that the hobbler in this process made for itself, anywhere; that of another process, if told which. */
export function ownCgroups(pid = process.pid): string[] {
  return Object.values(MOUNTS).flatMap((mount) =>
    mount === undefined
      ? []
      : readdirSync(mount)
          .filter((name) => name.startsWith(`hobbler-${pid}@`))
          .map((name) => join(mount, name)),
  );
}

/** For afterEach, after the hobbler has ended: removes what the test made, and fails on what hobbler left. */
export function removeTestCgroups(): void {
  const faults = ownCgroups();
  for (const { mount, directory, hierarchy } of made.splice(0).reverse()) {
    if (!existsSync(directory)) continue;
    if (hierarchy === 'v2' || hierarchy === 'freezer')
      writeFileSync(join(directory, freezeFile(hierarchy)), hierarchy === 'v2' ? '0' : 'THAWED');
    putBack(directory, mount);
    rmdirSync(directory);
  }
  for (const directory of faults) removeOwn(directory);
  if (faults.length > 0) throw new Error(`hobbler left behind: ${faults.join(', ')}`);
}

function pidsIn(directory: string): string[] {
  try {
    return readFileSync(join(directory, 'cgroup.procs'), 'latin1').split('\n').filter(Boolean);
  } catch {
    return []; // a threaded one does not say
  }
}

function removeOwn(directory: string): void {
  for (const child of readdirSync(directory, { withFileTypes: true }))
    if (child.isDirectory()) removeOwn(join(directory, child.name));
  if (existsSync(join(directory, 'freezer.state'))) writeFileSync(join(directory, 'freezer.state'), 'THAWED');
  putBack(directory, MOUNTS.freezer!);
  rmdirSync(directory);
}

function putBack(directory: string, mount: string): void {
  for (const pid of pidsIn(directory)) {
    try {
      writeFileSync(join(mount, 'cgroup.procs'), pid);
    } catch {
      // it has just ended
    }
  }
}

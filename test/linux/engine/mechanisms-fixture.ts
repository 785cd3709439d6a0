/**
 * What the conformance suite is run against: each mechanism with the place in which its target has to live, and how the
 * kernel itself shows that it is in force. Nothing of the worker's own reading is used for that.
 */
import { readFileSync } from 'node:fs';
import type { Hobble } from '../../../shared/order.ts';
import { createCgroup, freezeFile, isFrozen, MOUNTS, pathOf, type TestCgroup } from '../../support/cgroups.ts';
import { readState } from '../../support/processes.ts';

export interface Place {
  /** Puts a process where the target lives. */
  enter(pid: number): void;
  /** The cgroup it lives in, where that is one of the test's. */
  cgroup: TestCgroup | undefined;
}

export interface Subject {
  name: string;
  asked: Exclude<Hobble['mechanism'], 'auto'>;
  /** Why it cannot be tried on this machine. */
  missing: string | undefined;
  hasPhases: boolean;
  createPlace(): Place;
  /** In force for this process right now: stopped, frozen, limited. */
  holds(pid: number): boolean;
  /** What the report says of it. */
  why: RegExp;
}

const nowhere = (): Place => ({ enter: () => {}, cgroup: undefined });
function inside(hierarchy: 'v2' | 'freezer' | 'cpu'): Place {
  // What a name may hold, in every one of them.
  const cgroup = createCgroup(hierarchy, `hobbler-test-${process.pid}- a b'$(x);é*`);
  return { enter: (pid) => cgroup.enter(pid), cgroup };
}
const without = (hierarchy: 'v2' | 'freezer' | 'cpu') =>
  MOUNTS[hierarchy] === undefined ? `no ${hierarchy} hierarchy on this machine` : undefined;

export function quotaOf(pid: number): number {
  const path = pathOf(pid, 'cpu')!;
  return path === '/' ? -1 : Number(readFileSync(`${MOUNTS.cpu}${path}/cpu.cfs_quota_us`, 'latin1'));
}

export const SUBJECTS: Subject[] = [
  {
    name: 'signal',
    asked: 'signal',
    missing: undefined,
    hasPhases: true,
    createPlace: nowhere,
    holds: (pid) => readState(pid) === 'T',
    why: /^as asked$/,
  },
  {
    name: 'freezer v2 in place',
    asked: 'freezer',
    missing: without('v2'),
    hasPhases: true,
    createPlace: () => inside('v2'),
    holds: (pid) => isFrozen(pid, 'v2'),
    why: /^freezes \/hobbler-test-.* \(v2\)$/,
  },
  {
    name: 'freezer v1 in place',
    asked: 'freezer',
    missing: without('freezer'),
    hasPhases: true,
    createPlace: () => inside('freezer'),
    holds: (pid) => isFrozen(pid, 'freezer'),
    why: /^freezes \/hobbler-test-.* \(v1\)$/,
  },
  {
    name: 'freezer v1 adopted',
    asked: 'freezer',
    missing: without('freezer'),
    hasPhases: true,
    createPlace: nowhere,
    holds: (pid) => isFrozen(pid, 'freezer'),
    why: /^\d+ adopted into a cgroup of our own \(v1\)$/,
  },
  {
    name: 'quota v1',
    asked: 'quota',
    missing: without('cpu'),
    hasPhases: false,
    createPlace: () => inside('cpu'),
    holds: (pid) => quotaOf(pid) > 0,
    why: /^limits \/hobbler-test-.* \(v1\) to \d+(\.\d+)? ms of CPU in 100$/,
  },
];

export { freezeFile };

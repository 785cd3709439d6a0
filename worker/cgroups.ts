/**
 * Where this host's cgroup hierarchies are, and which processes a cgroup holds. Reads only; what writes to cgroups are
 * the mechanisms.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Proc } from './process/proc.ts';

export interface Hierarchy {
  version: 1 | 2;
  mount: string;
  /** v1: its controllers or name; v2: empty. */
  controllers: string[];
}

/** Deepest nesting that is followed, and most pids taken: bounds against a hostile tree. */
const MAX_DEPTH = 32;
const MAX_PIDS = 100_000;

/** cgroup mounts of this host: v2 first. */
export function findHierarchies(proc: Proc): Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of proc.readMounts().split('\n')) {
    const [, mount, type, options] = line.split(' ');
    if (mount === undefined || options === undefined) continue;
    if (type === 'cgroup2') found.unshift({ version: 2, mount, controllers: [] });
    else if (type === 'cgroup')
      found.push({
        version: 1,
        mount,
        controllers: options
          .split(',')
          .filter((option) => !['rw', 'ro', 'relatime', 'nosuid', 'nodev', 'noexec'].includes(option)),
      });
  }
  return found;
}

export class Cgroups {
  readonly hierarchies: Hierarchy[];

  constructor(proc: Proc) {
    this.hierarchies = findHierarchies(proc);
  }

  /** The directories that this path is in; one per hierarchy that has it. */
  directoriesOf(path: string): string[] {
    return this.hierarchies
      .map(({ mount }) => join(mount, path))
      .filter((directory) => existsSync(join(directory, 'cgroup.procs')));
  }

  /** Pids in the cgroup and below, from the first hierarchy that has it. */
  pidsOf(path: string): number[] {
    const [directory] = this.directoriesOf(path);
    const pids: number[] = [];
    if (directory !== undefined) collect(directory, pids, 0);
    return pids;
  }
}

function collect(directory: string, pids: number[], depth: number): void {
  try {
    for (const line of readFileSync(join(directory, 'cgroup.procs'), 'latin1').split('\n')) {
      if (line !== '' && pids.length < MAX_PIDS) pids.push(Number(line));
    }
    if (depth >= MAX_DEPTH) return;
    for (const child of readdirSync(directory, { withFileTypes: true })) {
      if (child.isDirectory()) collect(join(directory, child.name), pids, depth + 1);
    }
  } catch {
    // The cgroup was removed while we looked: then it holds nobody.
  }
}

/** Pure functions over process trees: who descends from whom, and in which order a tree is stopped. */
import type { ProcessEntry } from './table.ts';

interface Kin {
  readonly pid: number;
  ppid: number;
}

/** Parents before children, level by level; members whose parent is not among them come first. Cycles end. */
export function parentsFirst<T extends Kin>(members: Iterable<T>): T[] {
  const byPid = new Map<number, T>();
  for (const member of members) byPid.set(member.pid, member);
  const depths = new Map<number, number>();
  const depthOf = (start: T): number => {
    // Iterative, since a chain of forks can be deeper than the JavaScript stack.
    const path: T[] = [];
    let member: T | undefined = start;
    let base = -1;
    while (member) {
      const known = depths.get(member.pid);
      if (known !== undefined) {
        base = known;
        break;
      }
      depths.set(member.pid, 0); // ends a cycle, which a table read in slices can show
      path.push(member);
      member = byPid.get(member.ppid);
    }
    for (let index = path.length - 1; index >= 0; index--) depths.set(path[index]!.pid, ++base);
    return depths.get(start.pid)!;
  };
  for (const member of byPid.values()) depthOf(member);
  return [...byPid.values()].sort((a, b) => depths.get(a.pid)! - depths.get(b.pid)! || a.pid - b.pid);
}

/** The ancestors of a process, itself included, up to pid 1. */
export function ancestors(pid: number, parentOf: (pid: number) => number | undefined): number[] {
  const line = new Set<number>();
  let current: number | undefined = pid;
  while (current !== undefined && current > 0 && !line.has(current)) {
    line.add(current);
    current = parentOf(current);
  }
  return [...line];
}

/**
 * Adds to `members` every descendant of one of them, and drops none: a descendant once seen stays, also when its
 * parent has ended and it was handed to init.
 */
export function addDescendants(
  members: Set<ProcessEntry>,
  table: { childrenOf(pid: number): Iterable<ProcessEntry> },
): void {
  // A set may be added to while it is gone over, and what is added is gone over too.
  for (const member of members) {
    if (!member.isAlive) continue;
    for (const child of table.childrenOf(member.pid)) members.add(child);
  }
}

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

/** Those among `pids` whose parent is not among them: the roots of the trees that they make up. */
export function rootsAmong<T extends Kin>(members: Iterable<T>): T[] {
  const all = [...members];
  const pids = new Set(all.map((member) => member.pid));
  return all.filter((member) => !pids.has(member.ppid)).sort((a, b) => a.pid - b.pid);
}

/** The ancestors of a process, itself included, up to pid 1. */
export function ancestors(pid: number, parentOf: (pid: number) => number | undefined): number[] {
  const line: number[] = [];
  let current: number | undefined = pid;
  while (current !== undefined && current > 0 && !line.includes(current)) {
    line.push(current);
    current = parentOf(current);
  }
  return line;
}

/**
 * Adds to `members` every descendant of one of them, and drops none: a descendant once seen stays, also when its
 * parent has ended and it was handed to init.
 */
export function addDescendants(
  members: Set<ProcessEntry>,
  table: { entries(): Iterable<ProcessEntry>; get(pid: number): ProcessEntry | undefined },
): void {
  const children = new Map<number, ProcessEntry[]>();
  for (const entry of table.entries()) {
    const siblings = children.get(entry.ppid);
    if (siblings) siblings.push(entry);
    else children.set(entry.ppid, [entry]);
  }
  const queue = [...members];
  for (let next = queue.pop(); next; next = queue.pop()) {
    if (!next.isAlive) continue;
    for (const child of children.get(next.pid) ?? []) {
      if (members.has(child) || child === next) continue;
      members.add(child);
      queue.push(child);
    }
  }
}

/**
 * Which loop hobbles which process. Pure, given the table: what a target stands for, what the rules exempt, and one
 * owner per process, the loop with the lowest run share (invariant 8).
 */
import type { ProcessEntry } from '../process/table.ts';
import { addDescendants } from '../process/tree.ts';
import type { HobbleLoop } from './loop.ts';

export interface TableView {
  entries(): Iterable<ProcessEntry>;
  get(pid: number): ProcessEntry | undefined;
}

export interface OwnershipParts {
  table: TableView;
  whyExempt: (entry: ProcessEntry) => string | undefined;
  /** Pids in a cgroup and below it. */
  pidsOfCgroup: (path: string) => Iterable<number>;
  maxProcesses: number;
}

/** Brings every loop's members up to date from the table. */
export function findMembers(loops: Iterable<HobbleLoop>, { table, pidsOfCgroup }: OwnershipParts): void {
  const byUid = new Map<number, HobbleLoop[]>();
  for (const loop of loops) {
    for (const member of loop.members) if (!member.isAlive) loop.members.delete(member);
    switch (loop.scope.kind) {
      case 'tree':
        if (loop.scope.root.isAlive) loop.members.add(loop.scope.root);
        addDescendants(loop.members, table);
        break;
      case 'uid': {
        loop.members.clear();
        const others = byUid.get(loop.scope.uid);
        if (others) others.push(loop);
        else byUid.set(loop.scope.uid, [loop]);
        break;
      }
      case 'cgroup':
        loop.members.clear();
        for (const pid of pidsOfCgroup(loop.scope.path)) {
          const entry = table.get(pid);
          if (entry) loop.members.add(entry);
        }
        break;
    }
  }
  if (byUid.size === 0) return;
  for (const entry of table.entries()) {
    if (entry.realUid === null || entry.realUid !== entry.effectiveUid) continue;
    for (const loop of byUid.get(entry.realUid) ?? []) loop.members.add(entry);
  }
}

/** Loops in the order in which they may claim a process: the lowest run share first, then by name. */
export function byClaim(loops: Iterable<HobbleLoop>): HobbleLoop[] {
  return [...loops].sort((a, b) => a.runRatio - b.runRatio || (a.key < b.key ? -1 : 1));
}

/** Gives each process to one loop and tells the loops. Returns who owns what. */
export function assignOwners(
  loops: Iterable<HobbleLoop>,
  { whyExempt, maxProcesses }: OwnershipParts,
): Map<ProcessEntry, HobbleLoop> {
  const owners = new Map<ProcessEntry, HobbleLoop>();
  const plans: [HobbleLoop, ProcessEntry[]][] = [];
  for (const loop of byClaim(loops)) {
    if (loop.state === 'denied') continue;
    const owned: ProcessEntry[] = [];
    loop.exempted = 0;
    loop.ownedElsewhere = 0;
    for (const entry of loop.members) {
      if (owners.has(entry)) loop.ownedElsewhere++;
      else if (whyExempt(entry) !== undefined) loop.exempted++;
      else if (owned.length < maxProcesses) {
        owners.set(entry, loop);
        owned.push(entry);
      }
    }
    loop.why =
      loop.members.size - loop.ownedElsewhere - loop.exempted > maxProcesses
        ? `only the first ${maxProcesses} of ${loop.members.size} processes are hobbled (bounds.processesPerTarget)`
        : null;
    plans.push([loop, owned]);
  }
  for (const [loop, owned] of plans) loop.setOwned(owned);
  return owners;
}

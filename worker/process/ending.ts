/**
 * Ends processes that hobbler itself started: the command of `hobbler run`, the trees of the demo. Beside signals.ts the
 * only use of kill(2), and never on anybody's targets: each process is named by pid and start time, and held by a pidfd
 * while that is looked at, so that no stranger is signalled (invariant 4). Without pidfds the window left is the time
 * between two system calls.
 */
import type { Proc } from './proc.ts';
import { isDead } from './stat.ts';
import { type ProcessEntry, ProcessTable } from './table.ts';
import { addDescendants } from './tree.ts';

export interface Identity {
  readonly pid: number;
  readonly startTicks: number;
}

/** True while that very process lives. */
export function isAlive(proc: Proc, { pid, startTicks }: Identity): boolean {
  const stat = proc.readStat(pid);
  return stat !== undefined && stat.startTicks === startTicks && !isDead(stat);
}

/** The tree of a process that we started, itself first; empty when it is gone. */
export function treeOf(proc: Proc, root: Identity): Identity[] {
  const table = new ProcessTable(proc);
  table.sweep();
  const entry = table.find(root.pid, root.startTicks);
  if (!entry) return [];
  const members = new Set<ProcessEntry>([entry]);
  addDescendants(members, table);
  return [...members];
}

/** Sends a signal to that very process; false when it is gone, or may not be signalled. */
export function sendEnd(proc: Proc, one: Identity, signal: NodeJS.Signals): boolean {
  if (one.pid <= 1 || one.pid === process.pid) return false;
  const pidfd = proc.openPidfd(one.pid);
  try {
    // After it was opened: who lives now under that start time is the one that it stands for.
    if (!isAlive(proc, one)) return false;
    if (pidfd !== undefined) return proc.pidfds!.send(pidfd, signal) === 'sent';
    process.kill(one.pid, signal);
    return true;
  } catch {
    return false;
  } finally {
    if (pidfd !== undefined) proc.closePidfd(pidfd);
  }
}

/**
 * What a test may know of real processes, read from /proc by code that shares nothing with the worker's own reader: a
 * bug there must not hide itself here. Survives names with spaces, `)` and newlines, and processes that vanish while
 * they are read. Never signals anything.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { ProcessId } from '../../shared/target.ts';

export interface ProcessStat extends ProcessId {
  /** R, S, D, T, t, Z, X or I, as /proc/PID/stat has it. */
  state: string;
  name: string;
  ppid: number;
  processGroup: number;
  /** User and system time of the process itself, in clock ticks. */
  ownTicks: number;
  /** The same of its children that ended and were waited for. */
  reapedTicks: number;
}

/** sysconf(_SC_CLK_TCK): 100 on every Linux architecture that Node runs on. */
export const TICKS_PER_SECOND = 100;

/** Reads /proc/PID/stat; undefined when there is no such process. */
export function readStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // 4242 (a) b\n) S 1 4242 …: the name is what stands between the first and the LAST parenthesis, because the fields
  // after it hold none.
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  const number = (field: number) => Number(fields[field - 3]); // numbered from 1, as in man 5 proc
  return {
    pid,
    name: text.slice(text.indexOf('(') + 1, nameEnd),
    state: fields[0]!,
    ppid: number(4),
    processGroup: number(5),
    ownTicks: number(14) + number(15),
    reapedTicks: number(16) + number(17),
    startTicks: number(22),
  };
}

/** Its state letter; undefined when it is gone. */
export function readState(pid: number): string | undefined {
  return readStat(pid)?.state;
}

/** Its start time in ticks since boot; undefined when it is gone. */
export function readStartTicks(pid: number): number | undefined {
  return readStat(pid)?.startTicks;
}

/** True while that very process runs: not gone, not a zombie, not a stranger under its pid. */
export function isAlive({ pid, startTicks }: ProcessId): boolean {
  const stat = readStat(pid);
  return stat !== undefined && stat.startTicks === startTicks && stat.state !== 'Z' && stat.state !== 'X';
}

/** Every process of the machine. */
export function readAll(): ProcessStat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readStat(Number(name)) ?? []);
}

/** Descendants of `pid`, without itself, parents before children, elder siblings first. */
export function descendantsOf(pid: number, all: readonly ProcessStat[] = readAll()): ProcessStat[] {
  const found: ProcessStat[] = [];
  for (let parents = [pid]; parents.length > 0; ) {
    const children = all
      .filter((stat) => parents.includes(stat.ppid))
      .sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid);
    found.push(...children);
    parents = children.map((stat) => stat.pid);
  }
  return found;
}

/**
 * CPU seconds that `pid` used, and all of its descendants, ended ones included as far as they were waited for. Grows
 * only; resolution 10 ms. Throws when it is gone: an unknown is not a zero.
 */
export function cpuSeconds(pid: number): number {
  const all = readAll();
  const root = all.find((stat) => stat.pid === pid);
  if (root === undefined) throw new Error(`cpuSeconds: no process ${pid}`);
  let ticks = 0;
  for (const stat of [root, ...descendantsOf(pid, all)]) ticks += stat.ownTicks + stat.reapedTicks;
  return ticks / TICKS_PER_SECOND;
}

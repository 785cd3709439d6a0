/**
 * The one door to /proc. Reads are synchronous: at 3 to 9 µs each they are far cheaper than their asynchronous kin
 * (60 µs, measured). The root can be another directory, so that a machine can be described that cannot be had.
 */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { type ProcStat, type ProcStatus, parseStat, parseStatus } from './stat.ts';

/** A stat line is a few hundred bytes; a status a few kilobytes, its Groups line at most 65,536 groups long. */
const buffer = Buffer.allocUnsafe(65_536);
const EPROCLOST = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM']);

function readSmall(path: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    return ignoreIfGone(error);
  }
  try {
    return buffer.toString('latin1', 0, readSync(descriptor, buffer, 0, buffer.length, 0));
  } catch (error) {
    return ignoreIfGone(error);
  } finally {
    closeSync(descriptor);
  }
}

function ignoreIfGone(error: unknown): undefined {
  if (EPROCLOST.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
  throw error;
}

/**
 * The stat of one process over a descriptor that stays open. The descriptor belongs to that very process: after its
 * end a read fails, also when the pid has been given to another. A read that succeeds is thus proof of identity.
 */
export class KeptStat {
  readonly #proc: Proc;
  readonly #pid: number;
  readonly #startTicks: number;
  #descriptor: number | undefined;

  constructor(proc: Proc, pid: number, startTicks: number) {
    this.#proc = proc;
    this.#pid = pid;
    this.#startTicks = startTicks;
  }

  /** The process now, or undefined when it is gone. */
  read(): ProcStat | undefined {
    const stat = this.#readOnce();
    return stat?.startTicks === this.#startTicks ? stat : undefined;
  }

  #readOnce(): ProcStat | undefined {
    if (this.#descriptor === undefined) {
      // As many as may be kept are kept already: slower, but still right.
      if (!this.#proc.mayKeep) return this.#proc.readStat(this.#pid);
      try {
        this.#descriptor = openSync(`${this.#proc.root}/${this.#pid}/stat`, 'r');
        this.#proc.kept++;
      } catch (error) {
        return ignoreIfGone(error);
      }
    }
    try {
      return parseStat(buffer.toString('latin1', 0, readSync(this.#descriptor, buffer, 0, 4096, 0)));
    } catch (error) {
      return ignoreIfGone(error);
    }
  }

  close(): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
    this.#proc.kept--;
  }
}

/** Kept descriptors where the limit of this process cannot be read. */
const DEFAULT_KEPT = 512;

export class Proc {
  readonly root: string;
  /** Descriptors kept by KeptStat, and how many may be: half of what this process may open, so that the rest works. */
  kept = 0;
  readonly #mostKept: number;

  constructor(root = '/proc') {
    this.root = root;
    const limit = /^Max open files\s+(\d+)/m.exec(readSmall(`${root}/self/limits`) ?? '')?.[1];
    this.#mostKept = limit === undefined ? DEFAULT_KEPT : Math.floor(Number(limit) / 2);
  }

  get mayKeep(): boolean {
    return this.kept < this.#mostKept;
  }

  /** Every process's pid, in no promised order. */
  listPids(): number[] {
    const pids: number[] = [];
    for (const name of readdirSync(this.root)) {
      const first = name.charCodeAt(0);
      if (first >= 48 && first <= 57) pids.push(Number(name));
    }
    return pids;
  }

  /** The process now; undefined when there is none, or it may not be seen. */
  readStat(pid: number): ProcStat | undefined {
    const text = readSmall(`${this.root}/${pid}/stat`);
    return text === undefined ? undefined : parseStat(text);
  }

  readStatus(pid: number): ProcStatus | undefined {
    const text = readSmall(`${this.root}/${pid}/status`);
    return text === undefined ? undefined : parseStatus(text);
  }

  /** Paths of a process's cgroups by hierarchy: '' for v2, else the v1 controllers or name. */
  readCgroups(pid: number): Map<string, string> {
    const paths = new Map<string, string>();
    for (const line of (readSmall(`${this.root}/${pid}/cgroup`) ?? '').split('\n')) {
      const parts = /^\d+:([^:]*):(.*)$/.exec(line);
      if (parts) paths.set(parts[1]!, parts[2]!);
    }
    return paths;
  }

  /**
   * The last pid that was given out in this pid namespace (the last field of /proc/loadavg): unchanged means that
   * nobody has forked. One read of 5 µs instead of a pass over /proc.
   */
  lastPid(): number | undefined {
    const last = Number(/ (\d+)\n?$/.exec(readSmall(`${this.root}/loadavg`) ?? '')?.[1]);
    return Number.isSafeInteger(last) ? last : undefined;
  }

  /** Completes a pid with its start time; undefined when there is no such process. */
  identify(pid: number): { pid: number; startTicks: number } | undefined {
    const stat = this.readStat(pid);
    return stat && { pid, startTicks: stat.startTicks };
  }

  /** One minute's load average; NaN when it cannot be read. */
  load1(): number {
    return Number.parseFloat(readSmall(`${this.root}/loadavg`) ?? '');
  }

  /** Mount table of this process, for finding cgroup hierarchies. */
  readMounts(): string {
    return readFileSync(`${this.root}/self/mounts`, 'utf8');
  }
}

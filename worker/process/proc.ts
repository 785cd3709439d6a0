/**
 * The one door to /proc. Reads are synchronous: at 3 to 9 µs each they are far cheaper than their asynchronous kin
 * (60 µs, measured). The root can be another directory, so that a machine can be described that cannot be had.
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { type Pidfds, systemPidfds } from './pidfd.ts';
import {
  emptyFields,
  type ProcStat,
  type ProcStatus,
  parseLastPid,
  parseStat,
  parseStatus,
  type StatFields,
  scanStat,
} from './stat.ts';

/** A stat line is a few hundred bytes; a status a few kilobytes, its Groups line at most 65,536 groups long. */
const buffer = Buffer.allocUnsafe(65_536);
const LONGEST_STAT = 4_096;
const EPROCLOST = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM']);

/** Reads a file into the buffer. Returns its length in bytes, or undefined when it is gone or hidden. */
function fillBuffer(path: string): number | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    return ignoreIfGone(error);
  }
  try {
    return readSync(descriptor, buffer, 0, buffer.length, 0);
  } catch (error) {
    return ignoreIfGone(error);
  } finally {
    closeSync(descriptor);
  }
}

function readSmall(path: string): string | undefined {
  const length = fillBuffer(path);
  return length === undefined ? undefined : buffer.toString('latin1', 0, length);
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
  /** Filled by every read, so that a look at thousands of members leaves no garbage. */
  readonly #fields = emptyFields();
  #descriptor: number | undefined;

  constructor(proc: Proc, pid: number, startTicks: number) {
    this.#proc = proc;
    this.#pid = pid;
    this.#startTicks = startTicks;
  }

  /** The process now, or undefined when it is gone. The object is filled anew by the next read. */
  read(): Readonly<StatFields> | undefined {
    this.open();
    const length = this.#fillBuffer();
    if (length === undefined || !scanStat(buffer, length, this.#fields)) return undefined;
    return this.#fields.startTicks === this.#startTicks ? this.#fields : undefined;
  }

  /** Opens the descriptor, where one more may be kept. Reads do so by themselves. */
  open(): void {
    // As many as may be kept are kept already: slower, but still right.
    if (this.#descriptor !== undefined || !this.#proc.mayKeep) return;
    try {
      this.#descriptor = openSync(`${this.#proc.root}/${this.#pid}/stat`, 'r');
      this.#proc.keptStats.add(this);
      this.#proc.kept++;
    } catch (error) {
      ignoreIfGone(error);
    }
  }

  #fillBuffer(): number | undefined {
    if (this.#descriptor === undefined) return fillBuffer(`${this.#proc.root}/${this.#pid}/stat`);
    try {
      return readSync(this.#descriptor, buffer, 0, LONGEST_STAT, 0);
    } catch (error) {
      return ignoreIfGone(error);
    }
  }

  close(): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
    this.#proc.keptStats.delete(this);
    this.#proc.kept--;
  }
}

/** Kept descriptors where the limit of this process cannot be read. */
const DEFAULT_KEPT = 512;

export class Proc {
  readonly root: string;
  /**
   * Descriptors that are kept open, and how many may be: half of what this process may open, so that the rest works. A
   * member that gets signals costs two, stat and pidfd. Node raises the soft limit to the hard one when it starts.
   */
  kept = 0;
  readonly #mostKept: number;
  /** The stats among them, those first that have been kept for longest. */
  readonly keptStats = new Set<KeptStat>();
  readonly #findPidfds: () => Pidfds | undefined;
  #loadDescriptor: number | undefined;

  /** A pidfd stands for a process of this machine, so a /proc of plain files has none, or brings its own. */
  constructor(
    root = '/proc',
    findPidfds: () => Pidfds | undefined = root === '/proc' ? systemPidfds : () => undefined,
  ) {
    this.root = root;
    this.#findPidfds = findPidfds;
    const limit = /^Max open files\s+(\d+)/m.exec(readSmall(`${root}/self/limits`) ?? '')?.[1];
    this.#mostKept = limit === undefined ? DEFAULT_KEPT : Math.floor(Number(limit) / 2);
  }

  get mayKeep(): boolean {
    return this.kept < this.#mostKept;
  }

  get pidfds(): Pidfds | undefined {
    return this.#findPidfds();
  }

  /**
   * A pidfd for whoever has this pid now; undefined when none can be had. Where descriptors are short it takes the place
   * of a kept stat: that one's reads get slower (9 µs instead of 4), while without a pidfd a stranger could be signalled.
   */
  openPidfd(pid: number): number | undefined {
    const pidfds = this.pidfds;
    if (!pidfds) return undefined;
    if (!this.mayKeep) {
      const [oldest] = this.keptStats;
      if (!oldest) return undefined;
      oldest.close();
    }
    const pidfd = pidfds.open(pid);
    if (pidfd !== undefined) this.kept++;
    return pidfd;
  }

  closePidfd(pidfd: number): void {
    this.pidfds!.close(pidfd);
    this.kept--;
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

  /** Whether there is such a process, or a thread: a look that makes no error when there is none. */
  has(pid: number): boolean {
    return existsSync(`${this.root}/${pid}/stat`);
  }

  /**
   * What tells a process that is known from another one, and its effective uid, without reading any file (2.5 µs instead
   * of 22): the kernel gives each process's directory an inode number of its own, and its owner. It may give the same
   * process another number later. Undefined: there is none, or files stand there that are no real /proc.
   */
  peek(pid: number): { inode: number; effectiveUid: number } | undefined {
    if (this.root !== '/proc') return undefined;
    const found = statSync(`${this.root}/${pid}`, { throwIfNoEntry: false });
    return found && { inode: found.ino, effectiveUid: found.uid };
  }

  /** The process now; undefined when there is none, or it may not be seen. */
  readStat(pid: number): ProcStat | undefined {
    const length = fillBuffer(`${this.root}/${pid}/stat`);
    return length === undefined ? undefined : parseStat(buffer, length);
  }

  readStatus(pid: number): ProcStatus | undefined {
    const text = readSmall(`${this.root}/${pid}/status`);
    return text === undefined ? undefined : parseStatus(text);
  }

  /** Paths of a process's cgroups by hierarchy: '' for v2, else the v1 controllers or name. */
  readCgroups(pid: number): Map<string, string> {
    const paths = new Map<string, string>();
    for (const line of (readSmall(`${this.root}/${pid}/cgroup`) ?? '').split('\n')) {
      // 4:cpu,cpuacct:/user.slice, a number first; read at every order, so without a regular expression.
      const first = line.indexOf(':');
      const second = line.indexOf(':', first + 1);
      // As people write it in a config file; the rest of /proc is bytes.
      if (first > 0 && second > 0) paths.set(line.slice(first + 1, second), line.slice(second + 1));
    }
    return paths;
  }

  /**
   * The last pid that was given out in this pid namespace (the last field of /proc/loadavg): unchanged means that
   * nobody has forked. Asked before every round of stops, so its descriptor stays open (1.2 µs instead of 4.7): a read
   * from the start is answered with what is true then.
   */
  lastPid(): number | undefined {
    try {
      this.#loadDescriptor ??= openSync(`${this.root}/loadavg`, 'r');
      return parseLastPid(buffer, readSync(this.#loadDescriptor, buffer, 0, LONGEST_STAT, 0));
    } catch {
      // Where another file system stands there (lxcfs), it may have been put anew under us: open it again next time.
      this.close();
      return undefined;
    }
  }

  /** Closes what stays open by itself. Kept stats and pidfds are for those to close who opened them. */
  close(): void {
    if (this.#loadDescriptor !== undefined) closeSync(this.#loadDescriptor);
    this.#loadDescriptor = undefined;
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

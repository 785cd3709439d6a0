/**
 * The process table: every process of the host, read in one pass over /proc for all targets, and kept up between the
 * passes by looking at the pids that were given out since (births). It knows processes, not targets; it never signals.
 *
 * A pass is done in slices, so that a host with 10,000 processes does not hold up a phase.
 */
import type { Proc } from './proc.ts';
import { isDead, type StatFields } from './stat.ts';

/** One process. The object stands for pid and start time together: another process never gets the same object. */
export interface ProcessEntry {
  readonly pid: number;
  readonly startTicks: number;
  readonly isKernelThread: boolean;
  comm: string;
  /** As of when it was last read; the table alone changes it, since it keeps the children by it. */
  ppid: number;
  pgrp: number;
  session: number;
  tty: number;
  /** Null: could not be read (hidden, or ended meanwhile). */
  realUid: number | null;
  effectiveUid: number | null;
  gids: number[];
  /** CPU of its own and of the children it has waited for, in ticks, as of the last pass. */
  ownTicks: number;
  reapedTicks: number;
  /** False once it has ended. */
  isAlive: boolean;
  /** The pass in which it was last seen. */
  pass: number;
}

/** Most births looked at one by one; past that a whole pass is cheaper. */
const MAX_BIRTHS = 1_024;
/** Processes per slice of a pass: about 1 ms at 10 to 30 µs each. */
const SLICE = 48;

export class ProcessTable {
  readonly #proc: Proc;
  readonly #byPid = new Map<number, ProcessEntry>();
  readonly #children = new Map<number, Set<ProcessEntry>>();
  #pass = 0;
  #lastPid: number | undefined;
  /** Pids given out at the last look and not there: ended, or not shown yet. Looked at once more. */
  #notYet: number[] = [];

  constructor(proc: Proc) {
    this.#proc = proc;
  }

  get size(): number {
    return this.#byPid.size;
  }

  /** All living processes. */
  entries(): IterableIterator<ProcessEntry> {
    return this.#byPid.values();
  }

  get(pid: number): ProcessEntry | undefined {
    return this.#byPid.get(pid);
  }

  /** Living processes whose parent is `pid`. */
  childrenOf(pid: number): Iterable<ProcessEntry> {
    return this.#children.get(pid) ?? [];
  }

  /** Takes over what was just read of a process. Returns whether it has another parent, group or session than before. */
  update(entry: ProcessEntry, now: Readonly<StatFields>): boolean {
    const moved = entry.ppid !== now.ppid || entry.pgrp !== now.pgrp || entry.session !== now.session;
    if (entry.ppid !== now.ppid) this.#adopt(entry, now.ppid);
    entry.pgrp = now.pgrp;
    entry.session = now.session;
    entry.tty = now.tty;
    entry.ownTicks = now.ownTicks;
    entry.reapedTicks = now.reapedTicks;
    return moved;
  }

  #adopt(entry: ProcessEntry, ppid: number): void {
    if (entry.ppid !== ppid) this.#orphan(entry);
    entry.ppid = ppid;
    const siblings = this.#children.get(ppid);
    if (siblings) siblings.add(entry);
    else this.#children.set(ppid, new Set([entry]));
  }

  #orphan(entry: ProcessEntry): void {
    const siblings = this.#children.get(entry.ppid);
    siblings?.delete(entry);
    if (siblings?.size === 0) this.#children.delete(entry.ppid);
  }

  /** The process with exactly this identity, read from /proc if the table does not have it yet. */
  find(pid: number, startTicks: number): ProcessEntry | undefined {
    const known = this.#byPid.get(pid);
    const entry = known?.startTicks === startTicks ? known : this.#read(pid, this.#pass);
    return entry?.startTicks === startTicks ? entry : undefined;
  }

  /** One whole pass, in one go. */
  sweep(): void {
    for (const _ of this.sweepSliced());
  }

  /** One whole pass that yields after every slice. Processes that were not seen in it are gone at its end. */
  *sweepSliced(): Generator<void> {
    const lastPid = this.#proc.lastPid();
    const pass = ++this.#pass;
    let count = 0;
    for (const pid of this.#proc.listPids()) {
      this.#read(pid, pass);
      if (++count % SLICE === 0) yield;
    }
    for (const entry of this.#byPid.values()) {
      if (entry.pass < pass) this.#forget(entry);
    }
    // As it was before the pass: what was born during it is looked at again.
    this.#lastPid = lastPid;
  }

  /**
   * Processes born since the last call or pass. Undefined: too many, or the kernel does not say; a pass is due then.
   */
  births(): ProcessEntry[] | undefined {
    const last = this.#proc.lastPid();
    const before = this.#lastPid;
    if (last === undefined || before === undefined) return undefined;
    if (last === before && this.#notYet.length === 0) return [];
    this.#lastPid = last;
    const again = this.#notYet;
    this.#notYet = [];
    if (last < before || last - before > MAX_BIRTHS) return undefined;
    const born: ProcessEntry[] = [];
    const look = (pid: number): boolean => {
      if (this.#byPid.get(pid)?.isAlive) return true;
      // Most that are asked for are short-lived or threads that have ended: an error for each would cost 9 µs, this 3.
      const entry = this.#proc.has(pid) ? this.#read(pid, this.#pass) : undefined;
      if (entry) born.push(entry);
      return entry !== undefined;
    };
    for (const pid of again) look(pid);
    for (let pid = before + 1; pid <= last; pid++) if (!look(pid)) this.#notYet.push(pid);
    return born;
  }

  /** Notes that a process was found to have ended. */
  forget(entry: ProcessEntry): void {
    this.#forget(entry);
  }

  #forget(entry: ProcessEntry): void {
    entry.isAlive = false;
    this.#orphan(entry);
    if (this.#byPid.get(entry.pid) === entry) this.#byPid.delete(entry.pid);
  }

  #read(pid: number, pass: number): ProcessEntry | undefined {
    const stat = this.#proc.readStat(pid);
    const known = this.#byPid.get(pid);
    if (!stat || isDead(stat)) {
      if (known) this.#forget(known);
      return undefined;
    }
    const isSame = known?.startTicks === stat.startTicks;
    if (known && !isSame) this.#forget(known);
    // Threads answer under /proc/TID too. They share all with their process, so only one with threads needs the look.
    const status = stat.isKernelThread ? undefined : this.#proc.readStatus(pid);
    if (status && status.tgid !== pid) return undefined;
    const { comm, ppid, pgrp, session, tty, ownTicks, reapedTicks } = stat;
    const seen = {
      comm,
      pgrp,
      session,
      tty,
      ownTicks,
      reapedTicks,
      realUid: status?.realUid ?? null,
      effectiveUid: status?.effectiveUid ?? null,
      gids: status?.gids ?? [],
      isAlive: true,
      pass,
    };
    const { startTicks, isKernelThread } = stat;
    const entry: ProcessEntry = isSame
      ? Object.assign(known!, seen)
      : { pid, startTicks, isKernelThread, ppid, ...seen };
    this.#adopt(entry, ppid);
    this.#byPid.set(pid, entry);
    return entry;
  }
}

/**
 * The process table: every process of the host, read in one pass over /proc for all targets, and kept up between the
 * passes by looking at the pids that were given out since (births). It knows processes, not targets; it never signals.
 *
 * A pass is done in slices, so that a host with 10,000 processes does not hold up a phase.
 */
import type { Proc } from './proc.ts';
import { isDead } from './stat.ts';

/** One process. The object stands for pid and start time together: another process never gets the same object. */
export interface ProcessEntry {
  readonly pid: number;
  readonly startTicks: number;
  readonly isKernelThread: boolean;
  comm: string;
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
  #pass = 0;
  #lastPid: number | undefined;

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
    if (last === before) return [];
    this.#lastPid = last;
    if (last < before || last - before > MAX_BIRTHS) return undefined;
    const born: ProcessEntry[] = [];
    for (let pid = before + 1; pid <= last; pid++) {
      if (this.#byPid.get(pid)?.isAlive) continue;
      const entry = this.#read(pid, this.#pass);
      if (entry) born.push(entry);
    }
    return born;
  }

  /** Notes that a process was found to have ended. */
  forget(entry: ProcessEntry): void {
    this.#forget(entry);
  }

  #forget(entry: ProcessEntry): void {
    entry.isAlive = false;
    if (this.#byPid.get(entry.pid) === entry) this.#byPid.delete(entry.pid);
  }

  #read(pid: number, pass: number): ProcessEntry | undefined {
    const stat = this.#proc.readStat(pid);
    const known = this.#byPid.get(pid);
    if (!stat || isDead(stat.state)) {
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
      ppid,
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
    if (isSame) return Object.assign(known!, seen);
    const entry: ProcessEntry = { pid, startTicks: stat.startTicks, isKernelThread: stat.isKernelThread, ...seen };
    this.#byPid.set(pid, entry);
    return entry;
  }
}

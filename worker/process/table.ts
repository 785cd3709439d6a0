/**
 * The process table: every process of the host, read in one pass over /proc for all targets, and kept up between the
 * passes by looking at the pids that were given out since (births). It knows processes, not targets; it never signals.
 *
 * A pass is done in slices, so that a host with 10,000 processes does not hold up a phase. One in four reads every process;
 * the others read only whom they do not know, and whose owner has changed.
 */
import type { Proc } from './proc.ts';
import { isDead, type StatFields } from './stat.ts';

/** One process. The object stands for pid and start time together: another process never gets the same object. */
export interface ProcessEntry {
  readonly pid: number;
  readonly startTicks: number;
  readonly isKernelThread: boolean;
  comm: string;
  /** R, S, T, …: as of when it was last read. */
  state: string;
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
  /** The inode of its directory in /proc when it was last read; undefined where that says nothing. */
  inode: number | undefined;
}

/** What a pass has found out. */
export interface Swept {
  /** Everything was read anew. */
  isWhole: boolean;
  /** Who was read: all that may have another owner, other groups or another parent than at the pass before. */
  changed: ReadonlySet<ProcessEntry>;
}

/** Most births looked at one by one; past that a whole pass is cheaper. */
const MAX_BIRTHS = 1_024;
/**
 * When a pid that was given out and is not there is looked for again, milliseconds after the look before. Nearly all of
 * them have ended; but a parent that loses its core in the middle of a fork has a child that is shown when it is back.
 */
const LOOK_AGAIN_AFTER_MS = [0, 50, 250];

interface Expected {
  pid: number;
  looks: number;
  dueAtMs: number;
}

/** Processes per slice of a pass: about 1 ms at 10 to 30 µs each. */
const SLICE = 48;
/** Every so many passes one reads everything: what changes without the owner (a command's name, groups) is seen then. */
const WHOLE_EVERY = 4;

export class ProcessTable {
  readonly #proc: Proc;
  readonly #byPid = new Map<number, ProcessEntry>();
  readonly #children = new Map<number, Set<ProcessEntry>>();
  /** By uid, those whose real and effective one it is. */
  readonly #ofUser = new Map<number, Set<ProcessEntry>>();
  #pass = 0;
  #lastPid: number | undefined;
  #swept: Swept = { isWhole: true, changed: new Set() };
  #wholePass = Number.NEGATIVE_INFINITY;
  /** Pids that were given out and are not there: ended, or not shown yet. */
  #expected: Expected[] = [];

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

  /** Living processes whose real and effective uid this is. */
  ofUser(uid: number): Iterable<ProcessEntry> {
    return this.#ofUser.get(uid) ?? [];
  }

  #joinUser(entry: ProcessEntry): void {
    const uid = userOf(entry);
    if (uid === null) return;
    const others = this.#ofUser.get(uid);
    if (others) others.add(entry);
    else this.#ofUser.set(uid, new Set([entry]));
  }

  #leaveUser(entry: ProcessEntry): void {
    const uid = userOf(entry);
    if (uid === null) return;
    const others = this.#ofUser.get(uid);
    others?.delete(entry);
    if (others?.size === 0) this.#ofUser.delete(uid);
  }

  /** Takes over what was just read of a process. Returns whether it has another parent, group or session than before. */
  update(entry: ProcessEntry, now: Readonly<StatFields>): boolean {
    const moved = entry.ppid !== now.ppid || entry.pgrp !== now.pgrp || entry.session !== now.session;
    if (entry.ppid !== now.ppid) this.#adopt(entry, now.ppid);
    entry.state = now.state;
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

  /** What the last pass found out. */
  get swept(): Swept {
    return this.#swept;
  }

  /** One pass, in one go. */
  sweep(): void {
    for (const _ of this.sweepSliced());
  }

  /**
   * One pass over all processes that yields after every slice whom it saw for the first time. Processes that were not seen
   * in it are gone at its end. `isWhole`: it reads every one of them, whatever the last passes did.
   */
  *sweepSliced(isWhole = false): Generator<ProcessEntry[]> {
    const lastPid = this.#proc.lastPid();
    const pass = ++this.#pass;
    const readsAll = isWhole || pass - this.#wholePass >= WHOLE_EVERY;
    const changed = new Set<ProcessEntry>();
    let count = 0;
    let found: ProcessEntry[] = [];
    for (const pid of this.#proc.listPids()) {
      const before = this.#byPid.get(pid);
      if (!readsAll && before && this.#isSame(before)) before.pass = pass;
      else {
        const entry = this.#read(pid, pass);
        if (entry) changed.add(entry);
        if (entry && entry !== before) found.push(entry);
      }
      if (++count % SLICE > 0) continue;
      yield found;
      found = [];
    }
    if (found.length > 0) yield found;
    for (const entry of this.#byPid.values()) {
      if (entry.pass < pass) this.#forget(entry);
    }
    if (readsAll) this.#wholePass = pass;
    this.#swept = { isWhole: readsAll, changed };
    // As it was before the pass: what was born during it is looked at again.
    this.#lastPid = lastPid;
  }

  /** True: pids were given out at the last look that did not show a process. The next look may find some. */
  get awaitsBirths(): boolean {
    return this.#expected.some(({ looks }) => looks === 1);
  }

  /**
   * Processes born since the last call or pass; `nowMs` on any clock that does not jump. Undefined: too many, or the kernel
   * does not say; a pass is due then.
   */
  births(nowMs: number): ProcessEntry[] | undefined {
    const last = this.#proc.lastPid();
    const before = this.#lastPid;
    if (last === undefined || before === undefined) return undefined;
    const due = this.#takeDue(nowMs);
    if (last === before && due.length === 0) return [];
    this.#lastPid = last;
    if (last < before || last - before > MAX_BIRTHS) {
      this.#expected = [];
      return undefined;
    }
    const born: ProcessEntry[] = [];
    const look = (pid: number, looks: number): void => {
      if (this.#byPid.get(pid)?.isAlive) return;
      // Most that are asked for are short-lived or threads that have ended: an error for each would cost 9 µs, this 3.
      if (this.#proc.has(pid)) {
        const entry = this.#read(pid, this.#pass);
        if (entry) born.push(entry);
      } else if (looks < LOOK_AGAIN_AFTER_MS.length)
        this.#expected.push({ pid, looks: looks + 1, dueAtMs: nowMs + LOOK_AGAIN_AFTER_MS[looks]! });
    };
    for (const { pid, looks } of due) look(pid, looks);
    for (let pid = before + 1; pid <= last; pid++) look(pid, 0);
    return born;
  }

  /** Whether a process that is known is still there, under the same owner. False when that takes a read. */
  #isSame(entry: ProcessEntry): boolean {
    if (entry.inode === undefined) return false;
    const now = this.#proc.peek(entry.pid);
    return (
      now !== undefined &&
      now.inode === entry.inode &&
      (entry.isKernelThread || now.effectiveUid === entry.effectiveUid)
    );
  }

  #takeDue(nowMs: number): Expected[] {
    if (this.#expected.length === 0) return this.#expected;
    const due = this.#expected.filter(({ dueAtMs }) => dueAtMs <= nowMs);
    if (due.length > 0) this.#expected = this.#expected.filter(({ dueAtMs }) => dueAtMs > nowMs);
    return due;
  }

  /** Notes that a process was found to have ended. */
  forget(entry: ProcessEntry): void {
    this.#forget(entry);
  }

  #forget(entry: ProcessEntry): void {
    entry.isAlive = false;
    this.#orphan(entry);
    this.#leaveUser(entry);
    if (this.#byPid.get(entry.pid) === entry) this.#byPid.delete(entry.pid);
  }

  #read(pid: number, pass: number): ProcessEntry | undefined {
    // Before the reads: whatever becomes of the pid meanwhile has another inode at the next look.
    const inode = this.#proc.peek(pid)?.inode;
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
    const { comm, state, ppid, pgrp, session, tty, ownTicks, reapedTicks } = stat;
    const seen = {
      comm,
      state,
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
      inode,
    };
    const { startTicks, isKernelThread } = stat;
    if (isSame) this.#leaveUser(known!); // by whose it was
    const entry: ProcessEntry = isSame
      ? Object.assign(known!, seen)
      : { pid, startTicks, isKernelThread, ppid, ...seen };
    this.#adopt(entry, ppid);
    this.#joinUser(entry);
    this.#byPid.set(pid, entry);
    return entry;
  }
}

/** Whose it is; null: nobody's alone (a setuid program), or not known. */
function userOf({ realUid, effectiveUid }: ProcessEntry): number | null {
  return realUid === effectiveUid ? realUid : null;
}

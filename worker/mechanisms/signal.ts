/**
 * The `signal` mechanism: SIGSTOP and SIGCONT to every member of a group. It works everywhere and needs the most care:
 *
 * - parents are stopped before their children and continued after them, and where a parent would notice (a job-control
 *   shell, or one of another user such as su) it is seen stopped before its child gets the signal;
 * - a member that somebody else stopped (Ctrl-Z, a debugger) is left alone (invariant 6);
 * - nothing is stopped before it stands in the journal (invariant 1);
 * - a parent outside the group that stops itself because its child does is noticed after the first stop.
 *
 * Most groups are one process and most phases nothing but its signal, so what a phase costs beside that counts: what is
 * only for newcomers, for the dead and for shells is not made until there is one.
 */
import type { Clock } from '../../shared/clock.ts';
import type { Journal } from '../journal.ts';
import { HeldProcess } from '../process/held.ts';
import type { Proc } from '../process/proc.ts';
import { isDead, isStopped } from '../process/stat.ts';
import type { ProcessEntry, ProcessTable } from '../process/table.ts';
import { parentsFirst } from '../process/tree.ts';
import type { Bystander, Bystanders } from './bystanders.ts';

/**
 * How long one stop phase may wait for parents to be seen stopped, milliseconds, all of them together: a user who has many
 * that never are must not hold up the phases of others. A child whose parent was not seen is left running for this phase,
 * but only so often: then it is stopped all the same, since what its own parent sees is its user's affair. A whole group
 * has so many of these, and gets them back slowly: a bomb of forks has new children in every phase.
 */
const SEEN_STOPPED_WITHIN_MS = 5;
/**
 * A parent on another core is seen within microseconds. One that waits for a core, ours perhaps, needs it given free: so a
 * look or some, and then a nap between two, milliseconds.
 */
const SPINS_FOR_MS = 0.05;
const NAP_MS = 0.2;
const MAX_SKIPPED_PHASES = 3;
const MAX_SKIPS = 12;
const SKIPS_PER_PHASE = 0.02;

interface Member {
  readonly pid: number;
  readonly startTicks: number;
  ppid: number;
  readonly entry: ProcessEntry;
  readonly held: HeldProcess;
  isStopped: boolean;
  /** Somebody else has stopped it. */
  isForeign: boolean;
  /** It was never stopped by us before. */
  isFresh: boolean;
  /** This parent must be seen stopped before we are signalled. */
  wary: Member | undefined;
  /** Phases in a row in which it was left running because that parent was not seen stopped. */
  skippedPhases: number;
  permission: boolean;
}

export interface SignalParts {
  proc: Proc;
  table: ProcessTable;
  journal: Journal;
  clock: Clock;
  /** True: this process is never touched (the worker, its guard, pid 1, …), not even to continue it. */
  isProtected: (entry: ProcessEntry) => boolean;
  /** True: some loop hobbles it. */
  isOwned: (entry: ProcessEntry) => boolean;
  /** Parents outside of any group; the same for all groups. */
  bystanders: Bystanders;
}

export type StopOutcome = { status: 'stopped'; signals: number } | { status: 'journal-broken' };

export class SignalGroup {
  readonly followsPasses = false;
  readonly #parts: SignalParts;
  #members: Member[] = [];
  /** Some member was never stopped by us before. */
  #hasFresh = false;
  #waitLeftMs = SEEN_STOPPED_WITHIN_MS;
  #skipsLeft = MAX_SKIPS;
  /** Whom we watch, until the end of the stop phase that began it. */
  #watched: Bystander[] = [];

  constructor(parts: SignalParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#members.length;
  }

  get notPermitted(): number {
    let count = 0;
    for (const member of this.#members) if (!member.permission) count++;
    return count;
  }

  get foreign(): number {
    let count = 0;
    for (const member of this.#members) if (member.isForeign) count++;
    return count;
  }

  /** Makes `entries` the members. Those that leave run at once. */
  setMembers(entries: Iterable<ProcessEntry>): void {
    const before = new Map(this.#members.map((member) => [member.entry, member]));
    const next: Member[] = [];
    for (const entry of entries) {
      const known = before.get(entry);
      before.delete(entry);
      next.push(known ?? this.#createMember(entry));
    }
    this.#drop([...before.values()]);
    this.#arrange(next);
  }

  /** Adds processes that were just born. They are stopped with the next stop phase. */
  addMembers(entries: readonly ProcessEntry[]): void {
    const known = new Set(this.#members.map((member) => member.entry));
    const fresh = entries.filter((entry) => !known.has(entry));
    if (fresh.length > 0) this.#arrange([...this.#members, ...fresh.map((entry) => this.#createMember(entry))]);
  }

  #createMember(entry: ProcessEntry): Member {
    const { pid, startTicks, ppid } = entry;
    return {
      pid,
      startTicks,
      ppid,
      entry,
      held: new HeldProcess(this.#parts.proc, pid, startTicks),
      isStopped: false,
      isForeign: false,
      isFresh: true,
      wary: undefined,
      skippedPhases: 0,
      permission: true,
    };
  }

  #arrange(members: Member[]): void {
    for (const member of members) member.ppid = member.entry.ppid;
    this.#members = members.length > 1 ? parentsFirst(members) : members;
    const byPid = members.length > 1 ? new Map(members.map((member) => [member.pid, member])) : undefined;
    for (const member of this.#members) {
      const parent = byPid?.get(member.ppid);
      // A newcomer may be about to get a process group of its own, so it counts as one that would be noticed.
      member.wary = parent && (member.isFresh || wouldNotice(parent.entry, member.entry)) ? parent : undefined;
    }
    this.#hasFresh = this.#members.some((member) => member.isFresh);
  }

  /** Enters the stop phase: every member that may be stopped is, parents first. */
  stop(): StopOutcome {
    if (this.#hasFresh && !this.#admit(this.#members.filter((member) => member.isFresh && !member.isForeign)))
      return { status: 'journal-broken' };
    let settled = 0;
    let signals = 0;
    let gone: Member[] | undefined;
    let unseen: Set<Member> | undefined;
    for (const member of this.#members) {
      if (member.isStopped) continue;
      // A user at a terminal may press Ctrl-Z at any time, so there the state is read before every stop.
      if (member.entry.tty !== 0 || member.isFresh || member.isForeign) {
        const look = this.#lookBefore(member);
        if (look === 'gone') {
          gone ??= [];
          gone.push(member);
        }
        if (look !== 'may-stop') continue;
      }
      if (member.wary && this.#skipsLeft >= 1) {
        if (!unseen?.has(member.wary) && this.#isSeenStopped(member.wary, member.skippedPhases))
          member.skippedPhases = 0;
        else if (member.skippedPhases < MAX_SKIPPED_PHASES) {
          member.skippedPhases++;
          this.#skipsLeft--;
          unseen = (unseen ?? new Set()).add(member);
          continue;
        }
      }
      switch (member.held.stop()) {
        case 'sent':
          member.isStopped = true;
          if (member.isFresh) settled++;
          member.isFresh = false;
          member.permission = true;
          signals++;
          break;
        case 'gone':
          gone ??= [];
          gone.push(member);
          break;
        case 'not-permitted':
          member.permission = false;
          break;
      }
    }
    if (gone) this.#forget(gone);
    else if (settled > 0) this.#arrange(this.#members);
    return { status: 'stopped', signals };
  }

  /** Journals newcomers and the parents outside that have to be watched. False: the journal cannot be written. */
  #admit(fresh: readonly Member[]): boolean {
    if (fresh.length === 0) return true;
    const inside = new Set(this.#members.map((member) => member.pid));
    const parents = new Map<number, ProcessEntry>();
    for (const member of fresh) {
      if (inside.has(member.ppid) || member.ppid <= 1) continue;
      const parent = this.#parts.table.get(member.ppid);
      if (!parent || parent.isKernelThread || this.#parts.isProtected(parent) || this.#parts.isOwned(parent)) continue;
      parents.set(parent.pid, parent);
    }
    const { bystanders, journal } = this.#parts;
    const watched = bystanders.watch(parents.values());
    if (!journal.willStop(watched.length === 0 ? fresh : [...fresh, ...watched.map(({ entry }) => entry)])) {
      bystanders.leave(watched);
      return false;
    }
    if (watched.length > 0) this.#watched.push(...watched);
    return true;
  }

  #lookBefore(member: Member): 'may-stop' | 'leave' | 'gone' {
    const now = member.held.read();
    if (!now || isDead(now)) return 'gone';
    const isForeign = isStopped(now.state);
    if (isForeign !== member.isForeign) {
      member.isForeign = isForeign;
      if (isForeign) this.#parts.journal.left([member]);
      else if (!this.#admit([member])) return 'leave';
    }
    return isForeign ? 'leave' : 'may-stop';
  }

  /** Waits, within bounds, until a member that was sent a stop is seen stopped. Not at all for one that never is. */
  #isSeenStopped(member: Member, skippedPhases: number): boolean {
    const startedAtMs = this.#parts.clock.monotonicMs();
    const waitMs = skippedPhases < MAX_SKIPPED_PHASES ? this.#waitLeftMs : 0;
    let waitedMs = 0;
    let isSeen = false;
    do {
      if (waitedMs > SPINS_FOR_MS) this.#parts.clock.nap(NAP_MS);
      const now = member.held.look();
      isSeen = !now || isDead(now) || isStopped(now.state) || (member.isStopped && seesNothing(now.state));
      waitedMs = this.#parts.clock.monotonicMs() - startedAtMs;
    } while (!isSeen && member.isStopped && waitedMs < waitMs);
    this.#waitLeftMs = Math.max(0, this.#waitLeftMs - waitedMs);
    return isSeen;
  }

  /** Enters the run phase: what we stopped continues, children first. */
  run(): void {
    this.#waitLeftMs = SEEN_STOPPED_WITHIN_MS;
    this.#skipsLeft = Math.min(MAX_SKIPS, this.#skipsLeft + SKIPS_PER_PHASE);
    let gone: Member[] | undefined;
    for (let index = this.#members.length - 1; index >= 0; index--) {
      const member = this.#members[index]!;
      if (!member.isStopped) continue;
      member.isStopped = false;
      if (member.held.continue() !== 'gone') continue;
      gone ??= [];
      gone.push(member);
    }
    if (gone) this.#forget(gone);
  }

  /**
   * To be called at the end of a stop phase, before `run`. Names a parent outside the group that stopped itself because
   * its child was stopped (su, runuser); it and the members run again when this returns one.
   */
  checkBystanders(): ProcessEntry | undefined {
    if (this.#watched.length === 0) return undefined;
    const stopped = this.#parts.bystanders.stopped(this.#watched);
    if (stopped.length > 0) {
      this.run();
      for (const one of stopped) this.#parts.bystanders.continue(one);
    }
    this.#leaveBystanders();
    return stopped[0]?.entry;
  }

  #leaveBystanders(): void {
    this.#parts.bystanders.leave(this.#watched);
    this.#watched = [];
  }

  /**
   * Looks at every member, in the run phase: the dead leave, those stopped by others are noted, and tables are brought
   * up to date. Returns what lives, and whether any of it waits for a core. One read of 4 µs per member, over a kept descriptor.
   */
  inspect(): { alive: ProcessEntry[]; isRunnable: boolean } {
    let gone: Member[] | undefined;
    const alive: ProcessEntry[] = [];
    let moved = false;
    let isRunnable = false;
    for (const member of this.#members) {
      const now = member.held.look();
      if (!now || isDead(now)) {
        gone ??= [];
        gone.push(member);
        continue;
      }
      if (this.#parts.table.update(member.entry, now)) moved = true;
      alive.push(member.entry);
      if (now.state === 'R') isRunnable = true;
      if (!member.isStopped && isStopped(now.state) && !member.isForeign) {
        member.isForeign = true;
        this.#parts.journal.left([member]);
      }
    }
    if (gone) this.#forget(gone);
    else if (moved) this.#arrange(this.#members);
    return { alive, isRunnable };
  }

  /** No stop will come for a while; to be called in the run phase. */
  rest(): void {
    for (const member of this.#members) if (!member.isStopped) member.held.rest();
  }

  /** Everything runs and the group is empty. */
  release(): void {
    this.run();
    const { bystanders } = this.#parts;
    if (this.#watched.length > 0) {
      for (const one of bystanders.stopped(this.#watched)) bystanders.continue(one);
      this.#leaveBystanders();
    }
    this.#drop(this.#members);
    this.#members = [];
  }

  #drop(members: readonly Member[]): void {
    // Members come parents first, here too.
    for (const member of members.toReversed()) {
      if (member.isStopped) member.held.continue();
      member.isStopped = false;
      member.held.close();
    }
    this.#parts.journal.left(members);
  }

  #forget(gone: readonly Member[]): void {
    const dead = new Set(gone);
    for (const member of gone) {
      member.held.close();
      this.#parts.table.forget(member.entry);
    }
    this.#parts.journal.left(gone);
    this.#arrange(this.#members.filter((member) => !dead.has(member)));
  }
}

/**
 * Whether a parent waits for its child in a way that shows it stops: a shell with job control gives each job a process
 * group of its own; su, runuser and sudo run their child as another user.
 */
function wouldNotice(parent: ProcessEntry, child: ProcessEntry): boolean {
  return (parent.session === child.session && parent.pgrp !== child.pgrp) || parent.realUid !== child.realUid;
}

/**
 * A parent that was sent a stop and stops before it can look at its child: one in an uninterruptible wait (vfork, a slow
 * disk), and one whose first thread has ended, whose state never shows it.
 */
function seesNothing(state: string): boolean {
  return state === 'D' || state === 'Z';
}

/**
 * The one narrow interface between a hobble loop and how its phases are enforced: a group of processes that is stopped
 * and run as one. SignalGroup, FreezerGroup, QuotaGroup and AutoGroup implement it, and one conformance suite
 * (test/linux/engine/mechanisms*.test.ts) is run against each.
 */
import type { MechanismName } from '../../shared/order.ts';
import { KeptStat, type Proc } from '../process/proc.ts';
import { isDead, isStopped } from '../process/stat.ts';
import type { ProcessEntry, ProcessTable } from '../process/table.ts';
import type { StopOutcome } from './signal.ts';

/** What enforces a loop's phases at present, and why that one: for reports, in words. */
export interface InForce {
  mechanism: MechanismName;
  why: string;
}

export interface Group {
  /** Members now. */
  readonly size: number;
  /** Members that may not be stopped by us. */
  readonly notPermitted: number;
  /** Members that somebody else has stopped or frozen: left alone (invariant 6). */
  readonly foreign: number;
  /** False: `stop` sets something that holds by itself, and wants to be called once a second, not once a period. */
  readonly hasPhases: boolean;
  /** True: wants its members told after every pass over the processes, whether they have changed or not. */
  readonly followsPasses: boolean;
  readonly inForce: InForce;
  /** Why nothing can be done for the present members by what was asked; undefined while it can, or there are none. */
  readonly obstacle: string | undefined;
  /** Makes these the members. Those that leave run at once. */
  setMembers(entries: Iterable<ProcessEntry>): void;
  /** Adds processes that were just born. They take part in the next stop phase at the latest. */
  addMembers(entries: readonly ProcessEntry[]): void;
  stop(): StopOutcome;
  run(): void;
  /** At the end of a stop phase, before `run`: a parent outside that stopped itself because its child was stopped. */
  checkBystanders(): ProcessEntry | undefined;
  /** Looks at the members, one by one or by their cgroups' own account: the dead leave. */
  inspect(): Inspection;
  /** No stop will come for a while: gives back what only stops need. To be called in the run phase. */
  rest(): void;
  /** Everything runs as if we had never been, and the group is empty. */
  release(): void;
}

/** What a look at a group has found. */
export interface Inspection {
  /** Members that live and were looked at one by one, each with its CPU. */
  alive: ProcessEntry[];
  /** Any of those waits for a core. */
  isRunnable: boolean;
  /** The others: their cgroups count what they use. Left out where there are none. */
  counted?: Counted;
}

export interface Counted {
  /** CPU that they have used since the inspection before, ticks: all of it, by the kernel's own account. */
  usedTicks: number;
  /** Whether any of them waits for a core now. Looks at them until it has found one: only to be asked where it matters. */
  isRunnable(): boolean;
}

/**
 * Members that get no signals. Those whose CPU their cgroup counts are not looked at; the others once a second, over kept
 * descriptors.
 */
export class Watch {
  readonly #proc: Proc;
  readonly #table: ProcessTable;
  readonly #looked = new Map<ProcessEntry, KeptStat>();
  readonly #counted = new Set<ProcessEntry>();
  /** Of those counted, the one that was found waiting for a core last: the first to be asked again. */
  #runnable: ProcessEntry | undefined;

  constructor({ proc, table }: { proc: Proc; table: ProcessTable }) {
    this.#proc = proc;
    this.#table = table;
  }

  get size(): number {
    return this.#looked.size + this.#counted.size;
  }

  /** As of when each was last read: those looked at within a second, those counted at a pass that reads all. */
  get stoppedByOthers(): number {
    let count = 0;
    for (const entry of this.#looked.keys()) if (isStopped(entry.state)) count++;
    for (const entry of this.#counted) if (isStopped(entry.state)) count++;
    return count;
  }

  has(entry: ProcessEntry): boolean {
    return this.#looked.has(entry) || this.#counted.has(entry);
  }

  *entries(): Generator<ProcessEntry> {
    yield* this.#looked.keys();
    yield* this.#counted;
  }

  /** `isCounted`: its cgroup counts what it uses, from now on. */
  add(entry: ProcessEntry, isCounted: boolean): void {
    if (isCounted ? this.#counted.has(entry) : this.#looked.has(entry)) return;
    this.drop(entry);
    if (!isCounted) this.#looked.set(entry, new KeptStat(this.#proc, entry.pid, entry.startTicks));
    else {
      this.#counted.add(entry);
      // We may have stopped it ourselves when it was last read.
      if (isStopped(entry.state)) this.#read(entry);
    }
  }

  /** The same for all of them. */
  count(isCounted: boolean): void {
    // Most often all are where they belong.
    for (const entry of [...(isCounted ? this.#looked.keys() : this.#counted)]) this.add(entry, isCounted);
  }

  drop(entry: ProcessEntry): void {
    this.#looked.get(entry)?.close();
    this.#looked.delete(entry);
    this.#counted.delete(entry);
    if (this.#runnable === entry) this.#runnable = undefined;
  }

  /** Looks at those that nothing counts: the dead leave. */
  inspect(): { alive: ProcessEntry[]; isRunnable: boolean } {
    const alive: ProcessEntry[] = [];
    let isRunnable = false;
    for (const [entry, stat] of this.#looked) {
      const now = stat.read();
      if (!now || isDead(now)) {
        this.end(entry);
        continue;
      }
      this.#table.update(entry, now);
      alive.push(entry);
      if (now.state === 'R') isRunnable = true;
    }
    return { alive, isRunnable };
  }

  /** Whether one of those counted waits for a core. */
  isAnyRunnable(): boolean {
    if (this.#runnable && this.#isRunnable(this.#runnable)) return true;
    this.#runnable = undefined;
    for (const entry of this.#counted) {
      if (!this.#isRunnable(entry)) continue;
      this.#runnable = entry;
      return true;
    }
    return false;
  }

  #isRunnable(entry: ProcessEntry): boolean {
    this.#read(entry);
    return entry.isAlive && entry.state === 'R';
  }

  #read(entry: ProcessEntry): void {
    const now = this.#proc.readStat(entry.pid);
    if (now?.startTicks === entry.startTicks && !isDead(now)) this.#table.update(entry, now);
    else this.end(entry);
  }

  /** Members that were not found in their cgroup: those that have ended leave. Returns those that live. */
  sift(missing: readonly ProcessEntry[]): ProcessEntry[] {
    for (const entry of missing) this.#read(entry);
    return missing.filter(({ isAlive }) => isAlive);
  }

  /** It was found to have ended. */
  end(entry: ProcessEntry): void {
    this.drop(entry);
    this.#table.forget(entry);
  }

  clear(): void {
    for (const stat of this.#looked.values()) stat.close();
    this.#looked.clear();
    this.#counted.clear();
    this.#runnable = undefined;
  }
}

/** A process as people know it; its name is its own choice, so nothing of it may break a line. */
export function nameOf({ comm, pid }: { comm: string; pid: number }): string {
  return `${comm.replace(/\p{Cc}/gu, '?')} (pid ${pid})`;
}

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
  /** Looks at every member: the dead leave. Returns what lives, and whether any of it waits for a core. */
  inspect(): { alive: ProcessEntry[]; isRunnable: boolean };
  /** No stop will come for a while: gives back what only stops need. To be called in the run phase. */
  rest(): void;
  /** Everything runs as if we had never been, and the group is empty. */
  release(): void;
}

/** Members that get no signals, looked at once a second over kept descriptors. */
export class Watch {
  readonly #proc: Proc;
  readonly #table: ProcessTable;
  readonly #stats = new Map<ProcessEntry, KeptStat>();
  #stoppedByOthers = 0;

  constructor({ proc, table }: { proc: Proc; table: ProcessTable }) {
    this.#proc = proc;
    this.#table = table;
  }

  get size(): number {
    return this.#stats.size;
  }

  /** As of the last inspection. */
  get stoppedByOthers(): number {
    return this.#stoppedByOthers;
  }

  has(entry: ProcessEntry): boolean {
    return this.#stats.has(entry);
  }

  entries(): IterableIterator<ProcessEntry> {
    return this.#stats.keys();
  }

  add(entry: ProcessEntry): void {
    if (!this.#stats.has(entry)) this.#stats.set(entry, new KeptStat(this.#proc, entry.pid, entry.startTicks));
  }

  drop(entry: ProcessEntry): void {
    this.#stats.get(entry)?.close();
    this.#stats.delete(entry);
  }

  inspect(): { alive: ProcessEntry[]; isRunnable: boolean } {
    const alive: ProcessEntry[] = [];
    let isRunnable = false;
    this.#stoppedByOthers = 0;
    for (const [entry, stat] of this.#stats) {
      const now = stat.read();
      if (!now || isDead(now)) {
        this.drop(entry);
        this.#table.forget(entry);
        continue;
      }
      this.#table.update(entry, now);
      alive.push(entry);
      if (now.state === 'R') isRunnable = true;
      if (isStopped(now.state)) this.#stoppedByOthers++;
    }
    return { alive, isRunnable };
  }

  clear(): void {
    for (const stat of this.#stats.values()) stat.close();
    this.#stats.clear();
    this.#stoppedByOthers = 0;
  }
}

/** A process as people know it; its name is its own choice, so nothing of it may break a line. */
export function nameOf({ comm, pid }: { comm: string; pid: number }): string {
  return `${comm.replace(/\p{Cc}/gu, '?')} (pid ${pid})`;
}

/**
 * Adoption: processes that sit in the root of the v1 freezer hierarchy, where nothing can be frozen, are moved into a
 * cgroup of our own, one for each loop, and put back when it is over. Only in that hierarchy: it accounts for nothing
 * and limits nothing, so nobody but the freezer notices, which is not so in any other.
 *
 * Nobody is moved before the cgroup stands in the journal (invariant 1), and a pid is compared with its start time
 * before and after it is moved (invariant 4).
 */
import { type Hierarchy, pathIn } from '../cgroups/hierarchies.ts';
import { OwnCgroup, ownName } from '../cgroups/own-cgroup.ts';
import type { Journal } from '../journal.ts';
import type { Proc } from '../process/proc.ts';
import type { ProcessEntry } from '../process/table.ts';
import { isWithin, type PathsOf } from './cover.ts';

export interface AdoptionParts {
  proc: Proc;
  journal: Journal;
}

export class Adoption {
  readonly hierarchy: Hierarchy;
  readonly #parts: AdoptionParts;
  readonly #base: string;
  #last = 0;

  constructor(hierarchy: Hierarchy, parts: AdoptionParts) {
    this.hierarchy = hierarchy;
    this.#parts = parts;
    this.#base = ownName(parts.proc.identify(process.pid)!);
  }

  /** Whether a process could be adopted: it sits in the root, or in the cgroup of another loop of ours. */
  mayAdopt(entry: ProcessEntry, pathsOf: PathsOf): boolean {
    const path = pathIn(this.hierarchy, pathsOf(entry));
    if (path === undefined) return false;
    return path === '/' ? OwnCgroup.isInRoot(this.hierarchy.mount, entry.pid) : isWithin(path, `/${this.#base}`);
  }

  /** A cgroup for one loop. Undefined: it cannot be written down or made. */
  create(): Adopted | undefined {
    const cgroup = new OwnCgroup(this.hierarchy.mount, `${this.#base}/${++this.#last}`);
    if (!this.#parts.journal.willAdopt(cgroup.directory)) return undefined;
    try {
      cgroup.make();
    } catch {
      this.#parts.journal.emptied(cgroup.directory);
      return undefined;
    }
    return new Adopted(cgroup, this.#parts);
  }
}

/** The cgroup of one loop. */
export class Adopted {
  readonly #cgroup: OwnCgroup;
  readonly #parts: AdoptionParts;

  constructor(cgroup: OwnCgroup, parts: AdoptionParts) {
    this.#cgroup = cgroup;
    this.#parts = parts;
  }

  get directory(): string {
    return this.#cgroup.directory;
  }

  take(entry: ProcessEntry): boolean {
    if (!this.#isStill(entry) || !this.#cgroup.enter(entry.pid)) return false;
    if (this.#isStill(entry)) return true;
    this.#cgroup.putBack(entry.pid); // somebody else under its pid was moved
    return false;
  }

  #isStill({ pid, startTicks }: ProcessEntry): boolean {
    return this.#parts.proc.readStat(pid)?.startTicks === startTicks;
  }

  /** Puts back everyone inside who does not stay; gives who is inside now. */
  sift(stays: (pid: number) => boolean): Set<number> {
    const inside = new Set<number>();
    for (const pid of this.#cgroup.pids()) {
      if (stays(pid)) inside.add(pid);
      else this.#cgroup.putBack(pid);
    }
    return inside;
  }

  /** Puts everyone back. Where that cannot be done the journal keeps it, and the guard's release tries again. */
  remove(): void {
    if (this.#cgroup.remove()) this.#parts.journal.emptied(this.directory);
  }
}

/**
 * Membership: which processes each target stands for on this host, and which loop owns each of them. One owner per
 * process, the loop with the lowest run share (invariant 8); what the rules exempt has none (invariant 5). Kept up
 * incrementally, so that an order costs what its own target has processes, and not what the host has loops.
 *
 * It reads the process table and tells loops what they own; it never signals and never reads /proc.
 */
import type { ProcessEntry, Swept } from '../process/table.ts';
import { addDescendants } from '../process/tree.ts';
import type { HobbleLoop } from './loop.ts';

export type Births = 'none' | 'owned' | 'stopped';

export interface MembershipParts {
  table: {
    get(pid: number): ProcessEntry | undefined;
    childrenOf(pid: number): Iterable<ProcessEntry>;
    ofUser(uid: number): Iterable<ProcessEntry>;
  };
  whyExempt: (entry: ProcessEntry) => string | undefined;
  /** Pids in a cgroup and below it. */
  pidsOfCgroup: (path: string) => Iterable<number>;
  /** Most processes that one target may have. */
  maxProcesses: number;
  /** Told of each process that a loop has taken (1), or that has no owner any more (-1). */
  onOwned: (entry: ProcessEntry, by: 1 | -1) => void;
}

export class Membership {
  readonly #parts: MembershipParts;
  readonly #loops = new Set<HobbleLoop>();
  /** Every loop whose target a process belongs to, and the one that owns it. */
  readonly #loopsOf = new Map<ProcessEntry, Set<HobbleLoop>>();
  readonly #owners = new Map<ProcessEntry, HobbleLoop>();
  readonly #uidLoops = new Map<number, Set<HobbleLoop>>();

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  /** All that have an owner. */
  owned(): Iterable<ProcessEntry> {
    return this.#owners.keys();
  }

  /** The loop that owns this process. */
  ownerOf(entry: ProcessEntry): HobbleLoop | undefined {
    return this.#owners.get(entry);
  }

  /** Why a member of a loop is not hobbled under it: exempt, or another loop's; null when it is. */
  whySpared(loop: HobbleLoop, entry: ProcessEntry): string | null {
    const owner = this.ownerOf(entry);
    if (owner === undefined) return this.#parts.whyExempt(entry) ?? 'not taken up yet';
    return owner === loop ? null : `held by ${owner.key}`;
  }

  /** Takes a new loop in: finds its processes in the table and takes those over that are its own now. */
  add(loop: HobbleLoop): void {
    this.#loops.add(loop);
    if (loop.scope.kind === 'uid') {
      const others = this.#uidLoops.get(loop.scope.uid) ?? new Set();
      this.#uidLoops.set(loop.scope.uid, others.add(loop));
    }
    this.#link(loop, this.#find(loop));
    this.#elect(loop.members, [loop]);
  }

  /** Forgets a loop; who it owned goes to the next in line. The loop releases its processes itself, before. */
  remove(loop: HobbleLoop): void {
    this.#loops.delete(loop);
    if (loop.scope.kind === 'uid') {
      const others = this.#uidLoops.get(loop.scope.uid);
      others?.delete(loop);
      if (others?.size === 0) this.#uidLoops.delete(loop.scope.uid);
    }
    for (const entry of loop.members) this.#unlink(loop, entry);
    this.#elect(loop.members, []);
  }

  /** A loop's run share has changed, or the brake holds it or no longer: others may own what it owned, or the reverse. */
  changed(loop: HobbleLoop): void {
    this.#elect(loop.members, [loop]);
  }

  /** Brings everything up to date after a pass over the table: after one that was not whole, what that saw changed. */
  refresh({ isWhole, changed }: Swept): void {
    const touched = new Set(changed);
    const following = new Set<HobbleLoop>();
    for (const loop of this.#loops) {
      if (isWhole || loop.followsPasses) following.add(loop);
      else if (this.#isUnmoved(loop)) continue;
      const found = this.#find(loop);
      for (const entry of loop.members) {
        if (found.has(entry)) continue;
        loop.members.delete(entry);
        this.#unlink(loop, entry);
        touched.add(entry);
      }
      for (const entry of found) if (isWhole || !loop.members.has(entry)) touched.add(entry);
      this.#link(loop, found);
    }
    this.#elect(touched, following);
  }

  /** A tree of which nobody has ended, and whose members' children are all in it: most of ten thousand are. */
  #isUnmoved({ scope, members }: HobbleLoop): boolean {
    if (scope.kind !== 'tree' || !members.has(scope.root)) return false;
    for (const member of members) {
      if (!member.isAlive) return false;
      for (const child of this.#parts.table.childrenOf(member.pid)) if (!members.has(child)) return false;
    }
    return true;
  }

  /**
   * Processes that were just born join the targets of their parent, their user, or their own. Returns what became of them:
   * nobody's, a loop's, or a loop's that is in its stop phase, so that they were stopped at once.
   */
  born(entries: readonly ProcessEntry[]): Births {
    const byOwner = new Map<HobbleLoop, ProcessEntry[]>();
    for (const entry of entries) {
      for (const loop of this.#loopsOfBorn(entry)) this.#link(loop, [entry]);
      const owner = this.#lowest(entry);
      if (!owner || this.#parts.whyExempt(entry) !== undefined) continue;
      if (owner.processes + (byOwner.get(owner)?.length ?? 0) >= this.#parts.maxProcesses) continue;
      this.#own(entry, owner);
      const others = byOwner.get(owner);
      if (others) others.push(entry);
      else byOwner.set(owner, [entry]);
    }
    let births: Births = byOwner.size === 0 ? 'none' : 'owned';
    for (const [loop, born] of byOwner) if (loop.addBorn(born)) births = 'stopped';
    return births;
  }

  *#loopsOfBorn(entry: ProcessEntry): Generator<HobbleLoop> {
    const parent = this.#parts.table.get(entry.ppid);
    // A child of a tree belongs to it, and is in its parent's cgroup; its user may be another one.
    for (const loop of (parent && this.#loopsOf.get(parent)) ?? []) if (loop.scope.kind !== 'uid') yield loop;
    if (entry.realUid !== null && entry.realUid === entry.effectiveUid) yield* this.#uidLoops.get(entry.realUid) ?? [];
  }

  /** Whom a target stands for now. Of a tree, descendants once seen stay, also when they were handed to init. */
  #find(loop: HobbleLoop): Set<ProcessEntry> {
    switch (loop.scope.kind) {
      case 'tree':
        return this.#tree(loop, loop.scope.root);
      case 'uid':
        return new Set(this.#parts.table.ofUser(loop.scope.uid));
      case 'cgroup': {
        const found = new Set<ProcessEntry>();
        for (const pid of this.#parts.pidsOfCgroup(loop.scope.path)) {
          const entry = this.#parts.table.get(pid);
          if (entry) found.add(entry);
        }
        return found;
      }
    }
  }

  #tree(loop: HobbleLoop, root: ProcessEntry): Set<ProcessEntry> {
    const found = new Set<ProcessEntry>();
    if (root.isAlive) found.add(root);
    for (const member of loop.members) if (member.isAlive) found.add(member);
    addDescendants(found, this.#parts.table);
    return found;
  }

  #link(loop: HobbleLoop, entries: Iterable<ProcessEntry>): void {
    for (const entry of entries) {
      loop.members.add(entry);
      const loops = this.#loopsOf.get(entry);
      if (loops) loops.add(loop);
      else this.#loopsOf.set(entry, new Set([loop]));
    }
  }

  #unlink(loop: HobbleLoop, entry: ProcessEntry): void {
    const loops = this.#loopsOf.get(entry);
    loops?.delete(loop);
    if (loops?.size === 0) this.#loopsOf.delete(entry);
  }

  /** The loop that may claim a process: of the lowest run share; then by name, so that it does not change by chance. */
  #lowest(entry: ProcessEntry): HobbleLoop | undefined {
    let lowest: HobbleLoop | undefined;
    for (const loop of this.#loopsOf.get(entry) ?? []) {
      if (loop.state === 'denied' || loop.isBraked) continue;
      if (!lowest || loop.runRatio < lowest.runRatio || (loop.runRatio === lowest.runRatio && loop.key < lowest.key))
        lowest = loop;
    }
    return lowest;
  }

  /** Decides who owns these processes, and tells every loop for which that changed, and `always`. */
  #elect(entries: Iterable<ProcessEntry>, always: Iterable<HobbleLoop>): void {
    const affected = new Set(always);
    for (const entry of entries) {
      const before = this.#owners.get(entry);
      const after = entry.isAlive && this.#parts.whyExempt(entry) === undefined ? this.#lowest(entry) : undefined;
      if (before === after) continue;
      this.#own(entry, after);
      for (const loop of this.#loopsOf.get(entry) ?? []) affected.add(loop);
      if (before) affected.add(before);
    }
    for (const loop of affected) if (this.#loops.has(loop)) this.#tell(loop);
  }

  #own(entry: ProcessEntry, owner: HobbleLoop | undefined): void {
    const hadOwner = this.#owners.has(entry);
    if (owner) this.#owners.set(entry, owner);
    else this.#owners.delete(entry);
    if (hadOwner !== (owner !== undefined)) this.#parts.onOwned(entry, owner ? 1 : -1);
  }

  #tell(loop: HobbleLoop): void {
    const owned: ProcessEntry[] = [];
    let exempted = 0;
    let ownedElsewhere = 0;
    let tooMany = 0;
    for (const entry of loop.members) {
      const owner = this.#owners.get(entry);
      if (owner === undefined) exempted++;
      else if (owner !== loop) ownedElsewhere++;
      else if (owned.length < this.#parts.maxProcesses) owned.push(entry);
      else tooMany++;
    }
    loop.setOwned(owned, { exempted, ownedElsewhere, tooMany });
  }
}

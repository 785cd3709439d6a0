/**
 * The `freezer` mechanism: cgroups in which nobody but the group's members lives (its cover) are frozen and thawed as a
 * whole. It catches forks by itself, no parent notices, and no process handles a signal. Members outside any cover are
 * adopted into a cgroup of our own where that was asked and can be had, else stopped by signals.
 *
 *   member ──► in a cover in place (v2, else v1) ──► adopted (v1) ──► signals
 *                 ▲                                                      │
 *                 └───────────── looked at again at every pass ──────────┘
 *
 * - A cover is looked at again before a stop when the last look is a second old, and at every pass: where a stranger
 *   turned up it is thawed at once, and its members are placed anew.
 * - A cgroup that somebody else has frozen is left alone (invariant 6).
 * - Nothing is frozen before it stands in the journal (invariant 1).
 */
import { messageOf } from '../../shared/errors.ts';
import type { Hierarchy } from '../cgroups/hierarchies.ts';
import type { ProcessEntry } from '../process/table.ts';
import { Accounts } from './account.ts';
import type { Adopted, Adoption } from './adoption.ts';
import { type CoverFinder, isWithin, Lookout, type PathsOf, readOnce } from './cover.ts';
import { areFrozenSoon, type CoverLook, FrozenCover, wordsOf } from './frozen-cover.ts';
import { type Group, type InForce, type Inspection, Watch } from './group.ts';
import { SignalGroup, type SignalParts, type StopOutcome } from './signal.ts';

/** A cover that was looked at longer ago than this, milliseconds, is looked at before it is frozen. */
const LOOK_EVERY_MS = 1_000;
/** How often a stop waits in vain for parents to stand still whose children get signals. */
const MAX_VAIN_WAITS = 3;

/** Moving a process waits for every fork on the host to end: many at once would hold up the phases, milliseconds. */
const ADOPT_WITHIN_MS = 50;

export interface FreezerParts extends SignalParts {
  /** Where covers are looked for, the best hierarchy first. */
  finders: readonly CoverFinder[];
  /** Where cgroups count the CPU that they use. */
  counters: readonly CoverFinder[];
  /** Undefined: nobody can be adopted on this host. */
  adoption: Adoption | undefined;
  pathsOf: PathsOf;
}

export class FreezerGroup implements Group {
  readonly hasPhases = true;
  /** Covers are looked for and looked at again at every pass. */
  readonly followsPasses = true;
  readonly #parts: FreezerParts;
  readonly #rest: SignalGroup;
  readonly #watch: Watch;
  readonly #covers = new Map<string, FrozenCover>();
  readonly #accounts: Accounts<FrozenCover>;
  readonly #coverOf = new Map<ProcessEntry, FrozenCover>();
  #members = new Set<ProcessEntry>();
  /** Covers that must be seen to stand still before signals go out: a parent in it has a child that gets signals. */
  #wary = new Set<FrozenCover>();
  #vainWaits = 0;
  #adopts: boolean;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #whyRest = '';

  constructor(parts: FreezerParts, adopts: boolean) {
    this.#parts = parts;
    this.#adopts = adopts;
    this.#rest = new SignalGroup(parts);
    this.#watch = new Watch(parts);
    this.#accounts = new Accounts({ counters: parts.counters, descriptors: parts.proc });
  }

  get size(): number {
    return this.#watch.size + this.#rest.size;
  }

  get notPermitted(): number {
    return this.#rest.notPermitted;
  }

  get foreign(): number {
    let frozenByOthers = 0;
    for (const cover of this.#coverOf.values()) if (cover.isForeign) frozenByOthers++;
    return frozenByOthers + this.#watch.stoppedByOthers + this.#rest.foreign;
  }

  get obstacle(): string | undefined {
    return this.#watch.size === 0 && this.#rest.size > 0 ? `nothing can be frozen: ${this.#whyRest}` : undefined;
  }

  get inForce(): InForce {
    if (this.#covers.size === 0) {
      const why = this.#rest.size === 0 ? 'no process to freeze at present' : `signals, since ${this.#whyRest}`;
      return { mechanism: this.#rest.size === 0 ? 'freezer' : 'signal', why };
    }
    const adopted = [...this.#coverOf.values()].filter((cover) => cover.adopted).length;
    const words = wordsOf([...this.#covers.values()], adopted);
    if (this.#rest.size > 0) words.push(`${this.#rest.size} by signals, since ${this.#whyRest}`);
    return { mechanism: 'freezer', why: words.join('; ') };
  }

  setMembers(entries: Iterable<ProcessEntry>): void {
    const before = this.#members;
    this.#members = new Set(entries);
    for (const entry of before) if (!this.#members.has(entry)) this.#uncover(entry);
    this.#lookAgain();
    const homeless = [...this.#members].filter((entry) => !this.#coverOf.has(entry));
    this.#rest.setMembers(this.#place(homeless));
    this.#keepAccounts();
    this.#findWary();
  }

  addMembers(entries: readonly ProcessEntry[]): void {
    const fresh = entries.filter((entry) => !this.#members.has(entry));
    if (fresh.length === 0) return;
    for (const entry of fresh) this.#members.add(entry);
    this.#addRest(this.#place(fresh));
  }

  /** From now on adopts who is in no cover. Returns whether everybody can be frozen. */
  adopt(): boolean {
    this.#adopts = true;
    this.setMembers([...this.#members]);
    return this.#rest.size === 0;
  }

  #addRest(entries: readonly ProcessEntry[]): void {
    if (entries.length > 0) this.#rest.addMembers(entries);
    this.#findWary();
  }

  /** Puts these into covers, found in place or adopted; returns who is left for signals. */
  #place(entries: readonly ProcessEntry[]): ProcessEntry[] {
    const pathsOf = readOnce(this.#parts.pathsOf);
    let rest: ProcessEntry[] = [];
    for (const entry of entries) if (!this.#joins(entry, pathsOf)) rest.push(entry);
    for (const finder of this.#parts.finders) {
      if (rest.length === 0) break;
      const found = finder.find(rest, (entry) => this.#members.has(entry), pathsOf);
      if (found.why !== '') this.#whyRest = found.why;
      for (const [directory, pids] of found.covers) this.#open(finder, directory, pids);
      rest = rest.filter((entry) => !this.#coverOf.has(entry));
    }
    return this.#adopts ? this.#adoptAll(rest, pathsOf) : rest;
  }

  /** Adopts as many as can be moved in a moment; returns the rest, which waits for the next pass. */
  #adoptAll(entries: readonly ProcessEntry[], pathsOf: PathsOf): ProcessEntry[] {
    const { clock } = this.#parts;
    const giveUpAtMs = clock.monotonicMs() + ADOPT_WITHIN_MS;
    return entries.filter((entry) => {
      if (clock.monotonicMs() < giveUpAtMs) return !this.#adoptOne(entry, pathsOf);
      this.#whyRest = 'there are too many to move at once';
      return true;
    });
  }

  /** Whether a process lives in a cover that we have already. */
  #joins(entry: ProcessEntry, pathsOf: PathsOf): boolean {
    if (this.#covers.size === 0) return false;
    for (const finder of this.#parts.finders) {
      const directory = finder.directoryIn(pathsOf(entry));
      if (directory === undefined) continue;
      for (const cover of this.#covers.values()) {
        if (!isWithin(directory, cover.directory)) continue;
        this.#cover(entry, cover);
        return true;
      }
    }
    return false;
  }

  #open(finder: CoverFinder, directory: string, pids: ReadonlySet<number>): void {
    const lookout = new Lookout(finder, directory);
    const isMember = (entry: ProcessEntry) => this.#members.has(entry);
    const look = () => {
      const seen = lookout.look(isMember);
      return seen.status === 'ours' ? seen : { why: seen.why };
    };
    const cover = this.#createCover(finder.hierarchy, directory, look);
    if (!cover) return;
    for (const entry of this.#members)
      if (pids.has(entry.pid) && this.#coverOf.get(entry) === undefined) this.#cover(entry, cover);
    for (const other of [...this.#covers.values()]) {
      if (other === cover || !isWithin(other.directory, directory)) continue;
      for (const [entry, theirs] of this.#coverOf) if (theirs === other) this.#cover(entry, cover);
      this.#close(other);
    }
  }

  /** A cover is a cgroup whose switch can be had. */
  #createCover(
    hierarchy: Hierarchy,
    directory: string,
    look: () => CoverLook,
    adopted?: Adopted,
  ): FrozenCover | undefined {
    try {
      const cover = new FrozenCover(hierarchy, directory, look, this.#parts.proc, adopted);
      this.#covers.set(directory, cover);
      return cover;
    } catch (error) {
      this.#whyRest = messageOf(error);
      return undefined;
    }
  }

  #cover(entry: ProcessEntry, cover: FrozenCover): void {
    this.#coverOf.set(entry, cover);
    this.#watch.add(entry, this.#accounts.has(cover));
  }

  #uncover(entry: ProcessEntry): void {
    this.#coverOf.delete(entry);
    this.#watch.drop(entry);
  }

  #adoptOne(entry: ProcessEntry, pathsOf: PathsOf): boolean {
    const { adoption } = this.#parts;
    if (!adoption?.mayAdopt(entry, pathsOf)) return false;
    let own = this.#ownCover() ?? this.#openOwn(adoption);
    if (own?.isGone) {
      // The guard has put everybody back while we were away.
      this.#close(own);
      own = this.#openOwn(adoption);
    }
    if (!own?.adopted?.take(entry)) return false;
    this.#cover(entry, own);
    return true;
  }

  #ownCover(): FrozenCover | undefined {
    for (const cover of this.#covers.values()) if (cover.adopted) return cover;
    return undefined;
  }

  #openOwn(adoption: Adoption): FrozenCover | undefined {
    const adopted = adoption.create();
    if (!adopted) {
      this.#whyRest = 'no cgroup of our own can be made';
      return undefined;
    }
    const { table } = this.#parts;
    // Strangers (a child that became another user, one that left the group) are put back; the newborn stay.
    const stays = (pid: number) => {
      const entry = table.get(pid);
      return entry === undefined || this.#members.has(entry);
    };
    const cover = this.#createCover(
      adoption.hierarchy,
      adopted.directory,
      () => ({ pids: adopted.sift(stays) }),
      adopted,
    );
    if (!cover) adopted.remove();
    return cover;
  }

  /** Looks at every cover: those that hold strangers are let go of, and members that are not inside any more with them. */
  #lookAgain(): void {
    this.#lookedAtMs = this.#parts.clock.monotonicMs();
    const seen = new Map<FrozenCover, ReadonlySet<number>>();
    for (const cover of [...this.#covers.values()]) {
      const look = cover.look();
      if ('pids' in look) seen.set(cover, look.pids);
      else {
        this.#whyRest = look.why;
        this.#close(cover);
      }
    }
    const used = new Set<FrozenCover>();
    for (const [entry, cover] of this.#coverOf) {
      if (seen.get(cover)?.has(entry.pid)) used.add(cover);
      else this.#uncover(entry);
    }
    for (const cover of seen.keys()) if (!used.has(cover)) this.#close(cover);
  }

  /** Has those counted whose cgroups count for them, and for nobody else, by now. */
  #keepAccounts(): void {
    const pathsOf = readOnce(this.#parts.pathsOf);
    const membersOf = new Map([...this.#covers.values()].map((cover) => [cover, new Set<ProcessEntry>()]));
    for (const [entry, cover] of this.#coverOf) membersOf.get(cover)!.add(entry);
    for (const [cover, members] of membersOf) this.#accounts.keep(cover, members, pathsOf);
    this.#watchAll();
  }

  #watchAll(): void {
    for (const [entry, cover] of this.#coverOf) if (entry.isAlive) this.#cover(entry, cover);
  }

  /** Lets go of a cover. Its members are placed anew by the caller. */
  #close(cover: FrozenCover): void {
    this.#covers.delete(cover.directory);
    this.#accounts.close(cover);
    cover.thaw();
    for (const [entry, theirs] of this.#coverOf) if (theirs === cover) this.#uncover(entry);
    cover.close();
    // One that could not be thawed stays written down: the guard's release tries again.
    if (!cover.isFrozen) this.#parts.journal.thawed([cover.file]);
    cover.adopted?.remove();
  }

  #findWary(): void {
    this.#wary.clear();
    this.#vainWaits = 0;
    if (this.#rest.size === 0) return;
    for (const entry of this.#members) {
      if (this.#coverOf.has(entry)) continue;
      const parent = this.#parts.table.get(entry.ppid);
      const cover = parent && this.#coverOf.get(parent);
      if (cover) this.#wary.add(cover);
    }
  }

  stop(): StopOutcome {
    this.#lookIfDue();
    const freezing = this.#switchable();
    if (!this.#parts.journal.willFreeze(freezing.map((cover) => cover.file))) return { status: 'journal-broken' };
    let writes = 0;
    for (const cover of freezing) {
      if (cover.freeze() === 'done') writes++;
      else this.#lookedAtMs = Number.NEGATIVE_INFINITY;
    }
    this.#waitForWary();
    const outcome = this.#rest.stop();
    return outcome.status === 'stopped' ? { ...outcome, signals: outcome.signals + writes } : outcome;
  }

  /** Only those that were covered a moment ago are placed anew; the rest waits for the next pass. */
  #lookIfDue(): void {
    if (this.#parts.clock.monotonicMs() - this.#lookedAtMs < LOOK_EVERY_MS) return;
    const before = [...this.#coverOf.keys()];
    this.#lookAgain();
    const homeless = this.#watch.sift(before.filter((entry) => !this.#coverOf.has(entry)));
    if (homeless.length > 0) this.#addRest(this.#place(homeless));
  }

  /** Covers that we may freeze now: not those that somebody else has frozen meanwhile. */
  #switchable(): FrozenCover[] {
    const free: FrozenCover[] = [];
    const taken: FrozenCover[] = [];
    for (const cover of this.#covers.values()) {
      if (cover.isFrozen) continue;
      const wasForeign = cover.isForeign;
      const claim = cover.claim();
      if (claim === 'free') free.push(cover);
      else if (claim === 'gone') this.#lookedAtMs = Number.NEGATIVE_INFINITY;
      else if (!wasForeign) taken.push(cover);
    }
    // What others froze, the guard must not thaw.
    if (taken.length > 0) this.#parts.journal.thawed(taken.map((cover) => cover.file));
    return free;
  }

  /**
   * A parent that is about to freeze is woken by that, and by its child's stop: it must stand still first (as in
   * signal.ts, where the same is done with signals).
   */
  #waitForWary(): void {
    if (this.#wary.size === 0 || this.#vainWaits >= MAX_VAIN_WAITS) return;
    this.#vainWaits = areFrozenSoon(this.#wary, this.#parts.clock) ? 0 : this.#vainWaits + 1;
  }

  run(): void {
    this.#rest.run();
    for (const cover of this.#covers.values()) cover.thaw();
  }

  checkBystanders(): ProcessEntry | undefined {
    return this.#rest.checkBystanders();
  }

  inspect(): Inspection {
    this.#lookIfDue();
    const accounts = this.#accounts.size;
    const usedTicks = this.#accounts.takeTicks();
    if (this.#accounts.size < accounts) this.#watchAll();
    const covered = this.#watch.inspect();
    const signalled = this.#rest.inspect();
    for (const entry of this.#members) {
      if (entry.isAlive) continue;
      this.#members.delete(entry);
      this.#uncover(entry);
    }
    const alive = [...covered.alive, ...signalled.alive];
    const isRunnable = covered.isRunnable || signalled.isRunnable;
    if (usedTicks === undefined) return { alive, isRunnable };
    return { alive, isRunnable, counted: { usedTicks, isRunnable: () => this.#watch.isAnyRunnable() } };
  }

  rest(): void {
    this.#rest.rest();
  }

  release(): void {
    this.#rest.release();
    for (const cover of this.#covers.values()) cover.thaw(); // all run before the slow part
    for (const cover of [...this.#covers.values()]) this.#close(cover);
    this.#members.clear();
    this.#watch.clear();
    this.#coverOf.clear();
  }
}

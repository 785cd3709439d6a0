/**
 * The `quota` mechanism: the kernel limits the one cgroup that holds the target and nobody else. It has no phases and
 * costs nothing between two looks, one a second: at the limit, at who is inside, and at what the cgroup counts of its CPU. The limit is share × online CPUs; where a lower one stands already that
 * one stays. It caps the sum over all cores, so a single busy process gets more than its share of one core: hence only
 * where an order asks for it.
 *
 *   lifted ◄──► set       lifted: a gate is closed, strangers are in the cgroup, or it has no member
 *
 * Nothing is set before the old value stands in the journal, and the old value is put back only where ours still stands.
 * What somebody else sets meanwhile counts as the old value from then on.
 */
import { type Bandwidth, bandwidthOf, CpuQuota, cpusOf, type QuotaChange } from '../cgroups/cpu-quota.ts';
import type { Hierarchy } from '../cgroups/hierarchies.ts';
import type { Journal } from '../journal.ts';
import type { Proc } from '../process/proc.ts';
import type { ProcessEntry, ProcessTable } from '../process/table.ts';
import { Accounts } from './account.ts';
import { type CoverFinder, Lookout, type PathsOf, readOnce } from './cover.ts';
import { type Group, type InForce, type Inspection, Watch } from './group.ts';
import type { StopOutcome } from './signal.ts';

export interface QuotaParts {
  proc: Proc;
  table: ProcessTable;
  journal: Journal;
  /** In the hierarchies that have the cpu controller, v2 first. */
  finders: readonly CoverFinder[];
  /** Where cgroups count the CPU that they use. */
  counters: readonly CoverFinder[];
  pathsOf: PathsOf;
  /** The share of the machine that the order leaves. */
  runRatio: () => number;
  onlineCpus: number;
}

interface Limited {
  readonly directory: string;
  readonly hierarchy: Hierarchy;
  readonly quota: CpuQuota;
  readonly lookout: Lookout;
  /** What stood there before, and what we have written in its place. Empty: what stands is lower anyway. */
  old: Bandwidth;
  ours: Bandwidth;
  changes: QuotaChange[];
}

export class QuotaGroup implements Group {
  readonly hasPhases = false;
  /** Cgroups are looked for at every pass. */
  readonly followsPasses = true;
  readonly notPermitted = 0;
  readonly #parts: QuotaParts;
  readonly #watch: Watch;
  readonly #accounts: Accounts<Limited>;
  #limited: Limited | undefined;
  /** The place whose account counts what the members use, also while a gate is closed. */
  #counted: Limited | undefined;
  #obstacle: string | undefined;

  constructor(parts: QuotaParts) {
    this.#parts = parts;
    this.#watch = new Watch(parts);
    this.#accounts = new Accounts({ counters: parts.counters, descriptors: parts.proc });
  }

  get size(): number {
    return this.#watch.size;
  }

  get foreign(): number {
    return this.#watch.stoppedByOthers;
  }

  get obstacle(): string | undefined {
    return this.#obstacle;
  }

  get inForce(): InForce {
    return { mechanism: 'quota', why: this.#words() };
  }

  #words(): string {
    if (this.#obstacle !== undefined) return this.#obstacle;
    if (!this.#limited) return 'no limit is set at present';
    const { directory, hierarchy, old, ours, changes } = this.#limited;
    const place = `${directory.slice(hierarchy.mount.length)} (v${hierarchy.version})`;
    if (changes.length === 0) return `${place} has a lower limit already: ${wordsOf(old)}`;
    return `limits ${place} to ${wordsOf(ours)}`;
  }

  setMembers(entries: Iterable<ProcessEntry>): void {
    const next = new Set(entries);
    for (const entry of [...this.#watch.entries()]) if (!next.has(entry)) this.#watch.drop(entry);
    for (const entry of next) if (!this.#watch.has(entry)) this.#watch.add(entry, false);
    this.#obstacle = undefined;
    // A limit that is set is looked at again at once; one that is not must find its cgroup, so that the answer is known.
    if (this.#limited) this.#keep();
    else this.#find();
    this.#count();
  }

  addMembers(entries: readonly ProcessEntry[]): void {
    for (const entry of entries) if (!this.#watch.has(entry)) this.#watch.add(entry, this.#isCounted);
  }

  get #isCounted(): boolean {
    return this.#counted !== undefined && this.#accounts.has(this.#counted);
  }

  /** Has the members counted where the cgroup that is limited, or others, count for them. */
  #count(): void {
    const { pathsOf } = this.#parts;
    if (this.#counted && this.#counted !== this.#limited) this.#accounts.close(this.#counted);
    this.#counted = this.#limited;
    if (this.#limited) this.#accounts.keep(this.#limited, new Set(this.#watch.entries()), readOnce(pathsOf));
    this.#watch.count(this.#isCounted);
  }

  /** Sets the limit, or looks whether it still stands, for these members alone. To be called once a second. */
  stop(): StopOutcome {
    if (this.size === 0) {
      this.run();
      return { status: 'stopped', signals: 0 };
    }
    if (this.#limited) this.#keep();
    if (this.#limited) return { status: 'stopped', signals: 0 };
    this.#obstacle = undefined;
    const found = this.#find();
    return found ? this.#set(found) : { status: 'stopped', signals: 0 };
  }

  /** Lifts a limit that must not stand as it is any more. */
  #keep(): void {
    const { quota, lookout, ours, changes, old } = this.#limited!;
    const stands = changes.length > 0 ? quota.stands(changes) : isSame(quota.read(), old);
    if (stands && isSame(this.#wanted(old), ours) && this.#isCovered(lookout)) return;
    this.run();
    this.#count();
  }

  /** The cgroup that holds the members and nobody else, with the limit that it would get. */
  #find(): Limited | undefined {
    const members = [...this.#watch.entries()];
    if (members.length === 0) return undefined;
    let why = 'no hierarchy with the cpu controller';
    for (const finder of this.#parts.finders) {
      const found = finder.find(members, (entry) => this.#watch.has(entry), this.#parts.pathsOf);
      // Who has just ended is in no cgroup, and no obstacle.
      const uncovered = this.#watch.sift(found.uncovered);
      if (uncovered.length > 0) why = found.why;
      else if (found.covers.size > 1) why = `its processes are in ${found.covers.size} cgroups`;
      for (const directory of found.covers.size === 1 && uncovered.length === 0 ? found.covers.keys() : []) {
        const { hierarchy } = finder;
        const quota = new CpuQuota(directory, hierarchy.version);
        const old = quota.read();
        const ours = old && this.#wanted(old);
        if (old && ours) {
          const changes = cpusOf(old) <= cpusOf(ours) ? [] : quota.changes(old, ours);
          return { directory, hierarchy, quota, lookout: new Lookout(finder, directory), old, ours, changes };
        }
        why = old
          ? 'less than 1 ms of CPU in a second cannot be set'
          : `${directory.slice(hierarchy.mount.length)} has no CPU quota (its parent hands out no cpu controller)`;
      }
    }
    if (this.size > 0) this.#obstacle = `no quota: ${why}`;
    return undefined;
  }

  #wanted({ periodUs }: Bandwidth): Bandwidth | undefined {
    return bandwidthOf(this.#parts.runRatio() * this.#parts.onlineCpus, periodUs);
  }

  #isCovered(lookout: Lookout): boolean {
    const look = lookout.look((entry) => this.#watch.has(entry));
    if (look.status === 'strangers') return false;
    return this.#watch.sift([...this.#watch.entries()].filter(({ pid }) => !look.pids.has(pid))).length === 0;
  }

  #set(found: Limited): StopOutcome {
    if (!this.#parts.journal.willLimit(found.changes)) return { status: 'journal-broken' };
    const refused = found.quota.apply(found.changes);
    if (refused !== undefined) {
      this.#parts.journal.restored(found.changes.map(({ path }) => path));
      this.#obstacle = `no quota: ${refused}`;
      return { status: 'stopped', signals: 0 };
    }
    this.#limited = found;
    this.#count();
    return { status: 'stopped', signals: found.changes.length > 0 ? 1 : 0 };
  }

  /** Lifts the limit. */
  run(): void {
    if (!this.#limited) return;
    const { quota, changes } = this.#limited;
    quota.restore(changes);
    this.#parts.journal.restored(changes.map(({ path }) => path));
    this.#limited = undefined;
  }

  checkBystanders(): undefined {
    return undefined;
  }

  inspect(): Inspection {
    const usedTicks = this.#accounts.takeTicks();
    this.#watch.count(this.#isCounted); // the account may have been closed
    const looked = this.#watch.inspect();
    if (usedTicks === undefined) return looked;
    return { ...looked, counted: { usedTicks, isRunnable: () => this.#watch.isAnyRunnable() } };
  }

  rest(): void {
    // It holds nothing for stops alone.
  }

  release(): void {
    this.run();
    this.#count();
    this.#watch.clear();
    this.#obstacle = undefined;
  }
}

function isSame(one: Bandwidth | undefined, other: Bandwidth): boolean {
  return one?.quotaUs === other.quotaUs && one.periodUs === other.periodUs;
}

function wordsOf(bandwidth: Bandwidth): string {
  return `${(bandwidth.quotaUs ?? 0) / 1_000} ms of CPU in ${bandwidth.periodUs / 1_000}`;
}

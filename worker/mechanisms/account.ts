/**
 * The account of a cover: cgroups that count the CPU of those inside it, of all of them and of nobody else. Most often
 * that is the cover itself. A v1 freezer counts nothing; where v2, or v1's cpuacct, has its processes in cgroups that hold
 * nobody else (as container engines make them), those do. Where no cgroup does, members are looked at one by one.
 */
import { CpuUsage } from '../cgroups/cpu-usage.ts';
import type { KeptDescriptors } from '../cgroups/freezer-switch.ts';
import type { Hierarchy } from '../cgroups/hierarchies.ts';
import type { ProcessEntry } from '../process/table.ts';
import { type CoverFinder, Lookout, type PathsOf } from './cover.ts';

const US_PER_TICK = 10_000;

export interface AccountParts {
  /** Of the hierarchies that count, v2 first. */
  counters: readonly CoverFinder[];
  descriptors: KeptDescriptors;
  pathsOf: PathsOf;
}

class Account {
  readonly #usages: readonly CpuUsage[];
  /** Where it counts in other places than the cover. */
  readonly #elsewhere: readonly Lookout[];

  constructor(usages: readonly CpuUsage[], elsewhere: readonly Lookout[]) {
    this.#usages = usages;
    this.#elsewhere = elsewhere;
  }

  /** Whether it still counts these, and nobody else. Of the cover itself its owner knows that. */
  counts(members: ReadonlySet<ProcessEntry>): boolean {
    if (this.#elsewhere.length === 0) return true;
    const inside = new Set<number>();
    for (const lookout of this.#elsewhere) {
      const look = lookout.look((entry) => members.has(entry));
      if (look.status === 'strangers') return false;
      for (const pid of look.pids) inside.add(pid);
    }
    for (const { pid } of members) if (!inside.has(pid)) return false;
    return true;
  }

  /** CPU used since the last call, ticks. Undefined: one of the cgroups is gone. */
  takeTicks(): number | undefined {
    let usedUs = 0;
    for (const usage of this.#usages) {
      const us = usage.takeUs();
      if (us === undefined) return undefined;
      usedUs += us;
    }
    return usedUs / US_PER_TICK;
  }

  close(): void {
    for (const usage of this.#usages) usage.close();
  }
}

/** Counts from now on: in the place itself, else where its members are in cgroups that hold nobody else. */
function openAccount(
  { directory, hierarchy }: Place,
  members: ReadonlySet<ProcessEntry>,
  { counters, descriptors, pathsOf }: AccountParts,
): Account | undefined {
  const own = CpuUsage.open(directory, hierarchy, descriptors);
  if (own) return new Account([own], []);
  const [first] = members;
  if (!first) return undefined;
  const isMember = (entry: ProcessEntry) => members.has(entry);
  for (const finder of counters) {
    // One of them tells most often; only then is it worth looking for all.
    if (finder.find([first], isMember, pathsOf).uncovered.length > 0) continue;
    const { covers, uncovered } = finder.find(members, isMember, pathsOf);
    if (uncovered.length > 0) continue;
    const directories = [...covers.keys()];
    const usages = directories.flatMap((path) => CpuUsage.open(path, finder.hierarchy, descriptors) ?? []);
    const lookouts = directories.map((path) => new Lookout(finder, path));
    if (usages.length === directories.length) return new Account(usages, lookouts);
    for (const usage of usages) usage.close();
  }
  return undefined;
}

/** What an account counts for: a cgroup, in its hierarchy. */
export interface Place {
  readonly hierarchy: Hierarchy;
  readonly directory: string;
}

/** The accounts of the covers of a group, those that have one. */
export class Accounts<Cover extends Place> {
  readonly #parts: Omit<AccountParts, 'pathsOf'>;
  readonly #of = new Map<Cover, Account>();
  /** Counted by accounts that are closed, and not told yet. */
  #closedTicks = 0;

  constructor(parts: Omit<AccountParts, 'pathsOf'>) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#of.size;
  }

  /** Those inside are counted. */
  has(cover: Cover): boolean {
    return this.#of.has(cover);
  }

  /** Makes sure that what counts for a cover counts for these members and for nobody else; opens what can be had. */
  keep(cover: Cover, members: ReadonlySet<ProcessEntry>, pathsOf: PathsOf): void {
    if (this.#of.get(cover)?.counts(members)) return;
    this.close(cover);
    const account = openAccount(cover, members, { ...this.#parts, pathsOf });
    if (account) this.#of.set(cover, account);
  }

  /** What all of them have counted since the last call, ticks; undefined where there is none. Whose cgroup is gone has none. */
  takeTicks(): number | undefined {
    if (this.#of.size === 0 && this.#closedTicks === 0) return undefined;
    let usedTicks = this.#closedTicks;
    this.#closedTicks = 0;
    for (const [cover, account] of this.#of) {
      const ticks = account.takeTicks();
      if (ticks === undefined) this.close(cover);
      else usedTicks += ticks;
    }
    return usedTicks;
  }

  close(cover: Cover): void {
    const account = this.#of.get(cover);
    if (!account) return;
    this.#closedTicks += account.takeTicks() ?? 0;
    account.close();
    this.#of.delete(cover);
  }
}

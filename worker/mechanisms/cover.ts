/**
 * The cover of a group: the cgroups in which nobody but its members lives. A cgroup can be frozen or limited for a
 * target only where every process in it, and below it, is the target's: one stranger is enough to let go. Finds covers
 * and looks at them again; writes nothing.
 *
 * What breaks a cover: a process that the table knows and the group does not own (exempt, protected, another loop's), and
 * one that cannot be seen. Who was born since the last look breaks none: he belongs to his parent's cgroup. The root of a
 * hierarchy, and the worker's own cgroup with everything above it, are never one.
 */
import { dirname, join } from 'node:path';
import { type Cgroups, type Hierarchy, pathIn, readListing, walkProcesses } from '../cgroups/hierarchies.ts';
import { isOwnPath } from '../cgroups/own-cgroup.ts';
import type { Proc } from '../process/proc.ts';
import type { ProcessEntry, ProcessTable } from '../process/table.ts';
import { nameOf } from './group.ts';

export type Look = { status: 'ours'; pids: ReadonlySet<number> } | { status: 'strangers'; why: string };

/** Paths of processes' cgroups, read once each however many hierarchies ask. */
export type PathsOf = (entry: ProcessEntry) => ReadonlyMap<string, string>;
/** Reads each process's paths once, for as long as it is used. */
export function readOnce(pathsOf: PathsOf): PathsOf {
  const read = new Map<ProcessEntry, ReadonlyMap<string, string>>();
  return (entry) => {
    const paths = read.get(entry) ?? pathsOf(entry);
    read.set(entry, paths);
    return paths;
  };
}

type IsMember = (entry: ProcessEntry) => boolean;

export interface Covers {
  /** Directories that hold nobody else, with the pids inside; the highest such ones. */
  covers: Map<string, ReadonlySet<number>>;
  uncovered: ProcessEntry[];
  /** Why the first of these is not covered. */
  why: string;
}

export interface CoverParts {
  cgroups: Cgroups;
  proc: Proc;
  table: ProcessTable;
}

export class CoverFinder {
  readonly hierarchy: Hierarchy;
  readonly #parts: CoverParts;
  readonly #ownPath: string | undefined;

  constructor(hierarchy: Hierarchy, parts: CoverParts) {
    this.hierarchy = hierarchy;
    this.#parts = parts;
    this.#ownPath = pathIn(hierarchy, parts.cgroups.pathsOf(process.pid));
  }

  /** The directory of a process's cgroup, by what /proc says of it; undefined where there is none to be covered. */
  directoryIn(paths: ReadonlyMap<string, string>): string | undefined {
    const path = pathIn(this.hierarchy, paths);
    return path === undefined || path === '/' || isOwnPath(path) ? undefined : this.#directoryOf(path);
  }

  #directoryOf(path: string): string {
    return join(this.hierarchy.mount, path);
  }

  /** Covers as many of these as can be. `isMember` says who belongs to the group, those covered elsewhere included. */
  find(entries: Iterable<ProcessEntry>, isMember: IsMember, pathsOf: PathsOf): Covers {
    const byPath = new Map<string, ProcessEntry[]>();
    const result: Covers = { covers: new Map(), uncovered: [], why: '' };
    const leave = (left: readonly ProcessEntry[], why: string) => {
      if (left.length === 0) return;
      result.uncovered.push(...left);
      result.why ||= why;
    };
    for (const entry of entries) {
      const path = pathIn(this.hierarchy, pathsOf(entry));
      if (path === undefined || path === '/' || isOwnPath(path))
        leave([entry], path === '/' ? `${nameOf(entry)} is in no cgroup but the root` : `${nameOf(entry)} is in none`);
      else {
        const others = byPath.get(path);
        if (others) others.push(entry);
        else byPath.set(path, [entry]);
      }
    }
    const accepted = new Map<string, ReadonlySet<number>>();
    const refused = new Map<string, string>();
    for (const [path, inside] of byPath) {
      const above = [...accepted].find(([cover]) => isWithin(path, cover));
      const pids = above ? above[1] : this.#climb(path, inside, isMember, accepted, refused);
      leave(
        inside.filter(({ pid }) => !pids?.has(pid)),
        refused.get(path) ?? `${path} does not hold it any more`,
      );
    }
    for (const [path, pids] of accepted) result.covers.set(this.#directoryOf(path), pids);
    return result;
  }

  /** Finds the highest cgroup at or above `path` with nobody else in it, and takes it in place of those below it. */
  #climb(
    path: string,
    inside: readonly ProcessEntry[],
    isMember: IsMember,
    accepted: Map<string, ReadonlySet<number>>,
    refused: Map<string, string>,
  ): ReadonlySet<number> | undefined {
    let best: { path: string; pids: ReadonlySet<number> } | undefined;
    for (let at = path; at !== '/'; at = dirname(at)) {
      if (refused.has(at)) break;
      const look = this.look(this.#directoryOf(at), isMember);
      if (look.status === 'strangers') {
        refused.set(at, look.why);
        break;
      }
      if (!best && !inside.some(({ pid }) => look.pids.has(pid))) {
        refused.set(at, `${at} is another place here than /proc says`);
        break;
      }
      best = { path: at, pids: look.pids };
    }
    if (!best) return undefined;
    for (const other of [...accepted.keys()]) if (isWithin(other, best.path)) accepted.delete(other);
    accepted.set(best.path, best.pids);
    return best.pids;
  }

  entryOf(pid: number): ProcessEntry | undefined {
    return this.#parts.table.get(pid);
  }

  /** Looks at everyone in a directory and below. */
  look(directory: string, isMember: IsMember): Look {
    const path = directory.slice(this.hierarchy.mount.length) || '/';
    if (path === '/') return { status: 'strangers', why: 'the root of a hierarchy' };
    if (this.#ownPath !== undefined && isWithin(this.#ownPath, path))
      return { status: 'strangers', why: `${path} holds hobbler itself` };
    const pids = new Set<number>();
    const unknown: number[] = [];
    let stranger = '';
    const walk = walkProcesses(directory, (pid) => {
      pids.add(pid);
      const verdict = this.#judge(pid, isMember);
      if (verdict === 'unknown') unknown.push(pid);
      else if (verdict !== 'ours') stranger = verdict;
      return stranger === '';
    });
    if (stranger === '' && unknown.length > 0) stranger = this.#hidden(directory, unknown);
    if (stranger !== '') return { status: 'strangers', why: `${path} holds ${stranger} too` };
    if (walk === 'whole') return { status: 'ours', pids };
    return { status: 'strangers', why: `${path} ${walk === 'threaded' ? 'is threaded' : 'cannot be read whole'}` };
  }

  /** 'ours', 'unknown', or the name of a stranger. */
  #judge(pid: number, isMember: IsMember): string {
    if (pid === 0) return 'a process that is hidden here';
    const entry = this.#parts.table.get(pid);
    if (entry && isMember(entry)) return 'ours';
    const now = this.#parts.proc.readStat(pid);
    if (!now) return 'unknown';
    // The pid may have been given to a newborn since the table was read.
    if (entry?.startTicks === now.startTicks || now.isKernelThread) return nameOf(now);
    return 'ours';
  }

  /** Those that could not be read have ended, or they are hidden from us: then they are still listed. */
  #hidden(directory: string, unknown: readonly number[]): string {
    const listed = new Set<number>();
    walkProcesses(directory, (pid) => listed.add(pid).size > 0);
    const pid = unknown.find((candidate) => listed.has(candidate) && !this.#parts.proc.readStat(candidate));
    return pid === undefined ? '' : `a process that cannot be seen (pid ${pid})`;
  }
}

/**
 * One directory that is looked at again and again. While it lists the same pids, and everybody it was judged by is alive
 * and still a member, the verdict stands: that costs a read of the list, and nothing to speak of per process.
 */
export class Lookout {
  readonly #finder: CoverFinder;
  readonly #directory: string;
  #known: { listing: string; look: Look & { status: 'ours' }; entries: readonly ProcessEntry[] } | undefined;

  constructor(finder: CoverFinder, directory: string) {
    this.#finder = finder;
    this.#directory = directory;
  }

  look(isMember: IsMember): Look {
    // Before the look: who comes in meanwhile makes the next listing another one.
    const listing = readListing(this.#directory);
    const known = this.#known;
    if (known && known.listing === listing && known.entries.every((entry) => entry.isAlive && isMember(entry)))
      return known.look;
    const look = this.#finder.look(this.#directory, isMember);
    this.#known = listing !== undefined && look.status === 'ours' ? this.#remember(listing, look, isMember) : undefined;
    return look;
  }

  /** Not while somebody inside is no member yet: he was just born, and may turn out to be a stranger. */
  #remember(listing: string, look: Look & { status: 'ours' }, isMember: IsMember) {
    const entries: ProcessEntry[] = [];
    for (const pid of look.pids) {
      const entry = this.#finder.entryOf(pid);
      if (!entry || !isMember(entry)) return undefined;
      entries.push(entry);
    }
    return { listing, look, entries };
  }
}

/** Whether `path` is `root` or lies below it. */
export function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`);
}

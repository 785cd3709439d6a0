/**
 * Where this host's cgroup hierarchies are, which cgroup a process is in, and which processes a cgroup holds. Reads
 * only; what writes is freezer-switch.ts, cpu-quota.ts and own-cgroup.ts beside it.
 *
 * A path that /proc names need not be what lies at that place below a mount (containers, cgroup namespaces), so nobody
 * may act on it before he has found the process in that directory's cgroup.procs.
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Proc } from '../process/proc.ts';

export interface Hierarchy {
  version: 1 | 2;
  mount: string;
  /** v1: its controllers or name; v2: empty. */
  controllers: string[];
}

/** Deepest nesting that is followed, and most pids taken: bounds against a hostile tree. */
const MAX_DEPTH = 32;
const MAX_PIDS = 100_000;
/** What one read of cgroup.procs gives: about 600 pids, so that a stranger in a large cgroup is found early. */
const chunk = Buffer.allocUnsafe(4_096);

/** cgroup mounts of this host: v2 first. */
export function findHierarchies(proc: Proc): Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of proc.readMounts().split('\n')) {
    const [, escapedMount, type, options] = line.split(' ');
    if (escapedMount === undefined || options === undefined) continue;
    const mount = unescapeMount(escapedMount);
    if (type === 'cgroup2') found.unshift({ version: 2, mount, controllers: [] });
    else if (type === 'cgroup')
      found.push({
        version: 1,
        mount,
        controllers: options
          .split(',')
          .filter((option) => !['rw', 'ro', 'relatime', 'nosuid', 'nodev', 'noexec'].includes(option)),
      });
  }
  return found;
}

/** The mount table writes blanks and the like as \040. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

export class Cgroups {
  readonly hierarchies: Hierarchy[];
  readonly #proc: Proc;

  constructor(proc: Proc) {
    this.#proc = proc;
    this.hierarchies = findHierarchies(proc);
  }

  get v2(): Hierarchy | undefined {
    return this.hierarchies.find(({ version }) => version === 2);
  }

  /** The v1 hierarchy with this controller. */
  v1(controller: string): Hierarchy | undefined {
    return this.hierarchies.find(({ version, controllers }) => version === 1 && controllers.includes(controller));
  }

  /** The directories that this path is in; one per hierarchy that has it. */
  directoriesOf(path: string): string[] {
    return this.hierarchies
      .map(({ mount }) => join(mount, path))
      .filter((directory) => existsSync(join(directory, 'cgroup.procs')));
  }

  /** Pids in the cgroup and below, from the first hierarchy that has it. */
  pidsOf(path: string): number[] {
    const [directory] = this.directoriesOf(path);
    const pids: number[] = [];
    if (directory !== undefined)
      walkProcesses(directory, (pid) => {
        pids.push(pid);
        return pids.length < MAX_PIDS;
      });
    return pids;
  }

  /** A process's cgroups as /proc names them, in all hierarchies. Empty: it is gone, or hidden. */
  pathsOf(pid: number): ReadonlyMap<string, string> {
    return this.#proc.readCgroups(pid);
  }
}

/**
 * The path of a process's cgroup within a hierarchy, out of what /proc says of it; undefined where there is none that
 * could be used: names with control characters, and places outside our own root (`/../…`).
 */
export function pathIn({ version, controllers }: Hierarchy, paths: ReadonlyMap<string, string>): string | undefined {
  let raw: string | undefined;
  if (version === 2) raw = paths.get('');
  else for (const [key, path] of paths) if (isOf(key, controllers)) raw = path;
  if (raw === undefined) return undefined;
  const path = decodePath(raw);
  return isUsablePath(path) ? path : undefined;
}

/** Whether /proc's word for a hierarchy, a controller or several with commas, is one with these. */
function isOf(key: string, controllers: readonly string[]): boolean {
  if (!key.includes(',')) return key !== '' && controllers.includes(key);
  return key.split(',').some((name) => controllers.includes(name));
}

/** A path as people write it: /proc is read as bytes, and a name is UTF-8 or nothing that we could open. */
export function decodePath(raw: string): string {
  return Buffer.from(raw, 'latin1').toString('utf8');
}

/** Absolute, of plain components, and safe to stand on one line. */
export function isUsablePath(path: string): boolean {
  return (
    path.startsWith('/') &&
    !/[\p{Cc}\ufffd]/u.test(path) &&
    !path.endsWith(' (deleted)') &&
    !path.split('/').some((component) => component === '..' || component === '.')
  );
}

/** How a walk ended: seen all of it; told to end; or why it could not be seen. */
export type Walk = 'whole' | 'ended' | 'threaded' | 'unreadable';

/**
 * Shows `visit` every pid in a cgroup and below, until it returns false. 0 stands for a process that this pid namespace
 * does not show. A cgroup that was removed meanwhile holds nobody.
 */
export function walkProcesses(directory: string, visit: (pid: number) => boolean): Walk {
  return walkFiles(directory, (path) => visitLines(path, visit), 0);
}

/**
 * Everybody in a cgroup and below, as one text to be compared with a later one: half as dear as a look at each pid. The
 * file is opened anew each time, since v1 keeps what it has listed. Undefined: it cannot be read whole.
 */
export function readListing(directory: string): string | undefined {
  let listing = '';
  const add = (path: string) => {
    listing += `${path}\n${readFileSync(path, 'latin1')}`;
    return true;
  };
  return walkFiles(directory, add, 0) === 'whole' ? listing : undefined;
}

/** Shows `visit` the path of cgroup.procs of a cgroup and of each one below, until it returns false. */
function walkFiles(directory: string, visit: (path: string) => boolean, depth: number): Walk {
  if (depth > MAX_DEPTH) return 'unreadable';
  try {
    if (!visit(join(directory, 'cgroup.procs'))) return 'ended';
    // A cgroup's link count is 2 and one for each child: most have none, and need no listing.
    if (statSync(directory).nlink === 2) return 'whole';
    for (const child of readdirSync(directory, { withFileTypes: true })) {
      if (!child.isDirectory()) continue;
      const walk = walkFiles(join(directory, child.name), visit, depth + 1);
      if (walk !== 'whole') return walk;
    }
    return 'whole';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') return 'whole';
    return code === 'EOPNOTSUPP' || code === 'ENOTSUP' ? 'threaded' : 'unreadable';
  }
}

/** Numbers of a file, line by line; false: `visit` has ended it. */
function visitLines(path: string, visit: (pid: number) => boolean): boolean {
  const descriptor = openSync(path, 'r');
  try {
    let rest = '';
    for (;;) {
      const bytes = readSync(descriptor, chunk, 0, chunk.length, null);
      if (bytes === 0) return rest === '' || visit(Number(rest));
      const lines = (rest + chunk.toString('latin1', 0, bytes)).split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (!visit(Number(line))) return false;
    }
  } finally {
    closeSync(descriptor);
  }
}

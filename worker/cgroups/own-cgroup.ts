/**
 * A cgroup that hobbler made itself, in the v1 freezer hierarchy (to adopt processes) or to try something out. With
 * freezer-switch.ts and cpu-quota.ts the one door to cgroup writes. Who is let go of goes back to the root of the
 * hierarchy, and an empty cgroup is removed. guard.sh knows how such a directory is named.
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { walkProcesses } from './hierarchies.ts';

/** All cgroups of one hobbler lie below this one: named by its pid and start time, so that two never meet. */
export function ownName({ pid, startTicks }: { pid: number; startTicks: number }): string {
  return `hobbler-${pid}@${startTicks}`;
}

/** Whether a path within a hierarchy is some hobbler's own making, of whatever process. */
export function isOwnPath(path: string): boolean {
  return /^\/hobbler-\d+@\d+(?:\/|$)/.test(path);
}

/** Rounds of emptying: whoever forks faster than we move is met again in the next round. */
const MAX_ROUNDS = 20;

export class OwnCgroup {
  readonly directory: string;
  readonly #mount: string;

  /** `path` lies below `mount`: `hobbler-PID@START` or `hobbler-PID@START/NUMBER`. Makes nothing yet. */
  constructor(mount: string, path: string) {
    this.#mount = mount;
    this.directory = join(mount, path);
  }

  /** Throws what mkdir throws. */
  make(): void {
    mkdirSync(this.directory, { recursive: true });
  }

  /** Moves a process in. False: it is gone, or may not be moved. */
  enter(pid: number): boolean {
    return moveTo(this.directory, pid);
  }

  /** Puts a process back where adopted ones come from. */
  putBack(pid: number): boolean {
    return moveTo(this.#mount, pid);
  }

  /** Who is inside. */
  pids(): number[] {
    const pids: number[] = [];
    walkProcesses(this.directory, (pid) => pids.push(pid) > 0);
    return pids;
  }

  /** True while this process sits in the root of the hierarchy: what /proc calls `/` may be another place here. */
  static isInRoot(mount: string, pid: number): boolean {
    try {
      return `\n${readFileSync(join(mount, 'cgroup.procs'), 'latin1')}`.includes(`\n${pid}\n`);
    } catch {
      return false;
    }
  }

  /** Empties and removes it, and the one above when that was the last. True: it is no more. */
  remove(): boolean {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      for (const pid of this.pids()) this.putBack(pid);
      if (removeEmpty(this.directory)) {
        const above = dirname(this.directory);
        if (above !== this.#mount) removeEmpty(above);
        return true;
      }
    }
    return false;
  }
}

function moveTo(directory: string, pid: number): boolean {
  // 0 would be ourselves.
  if (!(Number.isSafeInteger(pid) && pid > 1)) return false;
  try {
    writeFileSync(join(directory, 'cgroup.procs'), String(pid), { flag: 'r+' });
    return true;
  } catch {
    return false;
  }
}

function removeEmpty(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

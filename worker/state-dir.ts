/**
 * The directory of a host's local files: journal, order journal, lock, guard's FIFO and local hold. It lies on tmpfs
 * (/run): the files must outlive the worker, not the machine. Owns its place, its permissions and its file names.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, lstatSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../shared/environment.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';

export interface StatePaths {
  dir: string;
  /** Processes that are or were stopped, for the guard; guard.sh knows the same names. */
  journal: string;
  /** Orders with their deadline on the boot clock. */
  orders: string;
  fifo: string;
  /** What the guard last heard. */
  guardSeen: string;
  /** The guard's pid and start time. */
  guardPid: string;
  lock: string;
  /** Present: hobble nothing on this host. */
  hold: string;
}

/** Where the state lies: as configured, else /run/hobbler for root, else below the user's own runtime directory. */
export function defaultStateDir(environment: Environment): string {
  if (environment.stateDir !== undefined) return environment.stateDir;
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return '/run/hobbler';
  return environment.xdgRuntimeDir === undefined ? `/tmp/hobbler-${uid}` : join(environment.xdgRuntimeDir, 'hobbler');
}

export function statePaths(dir: string): StatePaths {
  return {
    dir,
    journal: join(dir, 'journal'),
    orders: join(dir, 'orders.json'),
    fifo: join(dir, 'guard.fifo'),
    guardSeen: join(dir, 'guard.seen'),
    guardPid: join(dir, 'guard.pid'),
    lock: join(dir, 'lock'),
    hold: join(dir, 'hold'),
  };
}

/** Makes the directory, and refuses one that anybody else could write into: the journal says whom to signal. */
export function prepareStateDir(dir: string): StatePaths {
  const uid = process.getuid?.() ?? 0;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const found = lstatSync(dir);
    const isOurs = found.isDirectory() && (found.uid === uid || found.uid === 0) && (found.mode & 0o022) === 0;
    if (!isOurs) {
      throw new HobblerError('invalid-config', 'not safe to use', {
        where: dir,
        expected: 'a directory of our own that nobody else can write to',
        got: `uid ${found.uid}, mode ${(found.mode & 0o7777).toString(8)}`,
        hint: 'remove it, or give another with --state-dir',
      });
    }
  } catch (error) {
    if (error instanceof HobblerError) throw error;
    throw new HobblerError('invalid-config', `cannot be used (${messageOf(error)})`, {
      where: dir,
      hint: 'run as root, or give another directory with --state-dir',
    });
  }
  return statePaths(dir);
}

export interface HostLock {
  /** Device and inode of the lock: the same for all who contend for it, in whatever container. */
  readonly id: string;
  release(): void;
}

/**
 * Takes the lock that makes one hobbler per state directory. flock(1) locks the open file that it inherits from us; the
 * lock then belongs to our descriptor, and the kernel drops it however we end. Throws host-locked.
 */
export function takeLock(paths: StatePaths): HostLock {
  const descriptor = openSync(paths.lock, 'a+', 0o600);
  const taken = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', descriptor] });
  if (taken.error) {
    closeSync(descriptor);
    throw new HobblerError('unsupported', 'flock(1) cannot be run', { hint: 'install util-linux', cause: taken.error });
  }
  if (taken.status !== 0) {
    closeSync(descriptor);
    throw new HobblerError('host-locked', `another hobbler runs on this host (${readOwner(paths.lock)})`, {
      where: paths.lock,
      hint: 'give it the order instead (hobbler tarpit …), or stop it first',
    });
  }
  writeFileSync(paths.lock, `pid ${process.pid}\n`);
  const { dev, ino } = fstatSync(descriptor);
  return { id: `${dev}:${ino}`, release: () => closeSync(descriptor) };
}

function readOwner(path: string): string {
  try {
    return (
      readFileSync(path, 'latin1')
        .replace(/[^\x20-\x7e]/g, '')
        .slice(0, 40) || 'unknown'
    );
  } catch {
    return 'unknown';
  }
}

/**
 * The directory of a host's local files: journal, order journal, lock, guard's FIFO and local hold. It lies on tmpfs
 * (/run): the files must outlive the worker, not the machine. Owns its place, its permissions and its file names.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../shared/environment.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { kindOf, readStateFile, writeStateFile } from './state-file.ts';

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
  /** Who holds the directory's lock, for people to read; what is locked is the directory itself. */
  owner: string;
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
    owner: join(dir, 'owner'),
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
        got: `${found.isDirectory() ? '' : `${kindOf(found)}, `}uid ${found.uid}, mode ${(found.mode & 0o7777).toString(8)}`,
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
  /** Device and inode of what is locked: the same for all who contend for it, in whatever container. */
  readonly id: string;
  release(): void;
}

/**
 * Takes the lock that makes one hobbler per state directory. It lies on the directory itself, so it can be had on a disk
 * that is full or read-only, and nothing that lies in the directory stands in its way. flock(1) locks the open descriptor
 * that it inherits from us; the kernel drops it however we end. Throws host-locked.
 */
export function takeLock({ dir, owner }: StatePaths): HostLock {
  const descriptor = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  const taken = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', descriptor] });
  if (taken.error) {
    closeSync(descriptor);
    throw new HobblerError('unsupported', 'flock(1) cannot be run', { hint: 'install util-linux', cause: taken.error });
  }
  if (taken.status !== 0) {
    closeSync(descriptor);
    throw new HobblerError('host-locked', `another hobbler runs on this host (${readOwner(owner)})`, {
      where: dir,
      hint: 'give it the order instead (hobbler tarpit …), or stop it first',
    });
  }
  try {
    writeStateFile(owner, `pid ${process.pid}\n`);
  } catch {
    // For messages only.
  }
  const { dev, ino } = fstatSync(descriptor);
  return { id: `${dev}:${ino}`, release: () => closeSync(descriptor) };
}

function readOwner(path: string): string {
  try {
    return readStateFile(path, 40).replace(/[^\x20-\x7e]/g, '') || 'unknown';
  } catch {
    return 'unknown';
  }
}

/**
 * What this host's state directory says of the worker here, without Redis and without asking it: when its guard last
 * heard it, who holds the lock, and a local hold. Reads, and writes nothing but the hold; a file that cannot be read is
 * unknown, never "all well" (invariant 9).
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, rmSync, statSync } from 'node:fs';
import type { Clock } from '../shared/clock.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { statePaths } from '../worker/state-dir.ts';
import { createStateFile, isThere, readStateFile, writeStateFile } from '../worker/state-file.ts';

export interface LocalState {
  stateDir: string;
  isAlive: boolean;
  why: string;
  /** Since the guard last wrote down a beat, milliseconds; null: it never did. */
  beatAgeMs: number | null;
  /** The reason of the local hold; null: none. */
  hold: string | null;
}

/** A worker beats to its guard every 500 ms; at 3 s the guard takes it for hung. */
const HUNG_AFTER_MS = 3_000;
const MAX_REASON_BYTES = 1_000;

export function readLocalState(stateDir: string, clock: Clock): LocalState {
  const paths = statePaths(stateDir);
  const beatAgeMs = ageOf(paths.guardSeen, clock);
  const hold = readHold(paths.hold);
  const is = (isAlive: boolean, why: string): LocalState => ({ stateDir, isAlive, why, beatAgeMs, hold });
  if (beatAgeMs === null) return is(false, `no hobbler has run here (${stateDir})`);
  // The lock is not asked: whoever probes it holds it for a moment, and could keep a worker from starting.
  return beatAgeMs > HUNG_AFTER_MS ? is(false, 'no hobbler beats here') : is(true, 'a hobbler runs here');
}

/** Whether a hobbler runs here: it holds the lock as long as it lives, and the kernel drops it when it does not. */
export function probeLock(stateDir: string): 'held' | 'free' | 'unknown' {
  if (!existsSync(stateDir)) return 'free';
  // Shared, so that two who look do not see each other.
  const { status } = spawnSync('flock', ['-n', '-s', stateDir, 'true'], { stdio: 'ignore' });
  if (status === 0) return 'free';
  return status === 1 ? 'held' : 'unknown';
}

function ageOf(path: string, clock: Clock): number | null {
  try {
    return Math.max(0, clock.wallMs() - statSync(path).mtimeMs);
  } catch {
    return null;
  }
}

function readHold(path: string): string | null {
  if (!isThere(path)) return null;
  try {
    return readStateFile(path, MAX_REASON_BYTES).trim().slice(0, 200) || 'no reason given';
  } catch {
    return 'its reason cannot be read';
  }
}

/** Holds this host by its local file: its worker lets everything go within half a second and stops nothing more. */
export function putLocalHold(stateDir: string, reason: string): void {
  const { hold } = statePaths(stateDir);
  try {
    try {
      writeStateFile(hold, `${reason}\n`);
    } catch {
      closeSync(createStateFile(hold)); // on a full disk there is room for a name still, and that is what counts
    }
  } catch (error) {
    throw new HobblerError('denied', `the local hold cannot be written (${messageOf(error)})`, {
      where: hold,
      hint: 'become the user who runs the worker, or give its directory with --state-dir',
    });
  }
}

/** Lifts the local hold. Returns whether there was one. */
export function liftLocalHold(stateDir: string): boolean {
  const { hold } = statePaths(stateDir);
  if (!isThere(hold)) return false;
  try {
    rmSync(hold);
    return true;
  } catch (error) {
    throw new HobblerError('denied', `the local hold cannot be removed (${messageOf(error)})`, { where: hold });
  }
}

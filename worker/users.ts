/**
 * Resolves users and groups of this host by getent(1), which asks whatever the host is set up with (files, LDAP, sssd).
 * Bounded in time and cached; a name that cannot be asked about is not the same as one that does not exist.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Clock } from '../shared/clock.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';

const run = promisify(execFile);

export type UserLookup = { status: 'found'; uid: number } | { status: 'unknown' } | { status: 'failed'; why: string };

const LOOKUP_WITHIN_MS = 2_000;
const CACHE_MS = 60_000;
const MAX_CACHED = 10_000;
/** getents at once. */
const MAX_ASKING = 8;
/** An empty field is no number: it must never become uid 0. */
const DECIMAL = /^\d+$/;
/** getent's exit code for "no such key". */
const NOT_FOUND = 2;

export class Users {
  readonly #clock: Clock;
  readonly #cache = new Map<string, { lookup: UserLookup; untilMs: number }>();
  readonly #asking = new Set<Promise<unknown>>();
  readonly #underWay = new Map<string, Promise<UserLookup>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** At once where it is known. Who is asked about twice at the same time is looked up once. */
  uidOf(name: string): UserLookup | Promise<UserLookup> {
    const cached = this.#cache.get(name);
    if (cached && cached.untilMs > this.#clock.monotonicMs()) return cached.lookup;
    let lookup = this.#underWay.get(name);
    if (!lookup) {
      lookup = this.#ask(name).finally(() => this.#underWay.delete(name));
      this.#underWay.set(name, lookup);
    }
    return lookup;
  }

  async #ask(name: string): Promise<UserLookup> {
    const lookup = await this.#inTurn(() => lookUp(name));
    if (this.#cache.size >= MAX_CACHED) this.#cache.clear();
    if (lookup.status !== 'failed') this.#cache.set(name, { lookup, untilMs: this.#clock.monotonicMs() + CACHE_MS });
    return lookup;
  }

  /** A directory that hangs must not leave a thousand getents behind. */
  async #inTurn<T>(look: () => Promise<T>): Promise<T> {
    while (this.#asking.size >= MAX_ASKING) await Promise.race(this.#asking);
    const turn = look();
    this.#asking.add(turn);
    try {
      return await turn;
    } finally {
      this.#asking.delete(turn);
    }
  }
}

async function lookUp(name: string): Promise<UserLookup> {
  try {
    const { stdout } = await run('getent', ['passwd', '--', name], { timeout: LOOKUP_WITHIN_MS });
    const [found, , uid] = stdout.split(':');
    // getent also takes a number for a name; we asked for a name.
    return found === name && uid !== undefined && DECIMAL.test(uid)
      ? { status: 'found', uid: Number(uid) }
      : { status: 'unknown' };
  } catch (error) {
    return (error as { code?: unknown }).code === NOT_FOUND
      ? { status: 'unknown' }
      : { status: 'failed', why: messageOf(error) };
  }
}

/** Uids of the names; throws invalid-config when one cannot be resolved: an exemption in doubt stops the start-up. */
export async function requireUids(names: readonly string[]): Promise<Set<number>> {
  const uids = new Set<number>();
  for (const name of names) {
    const lookup = await lookUp(name);
    if (lookup.status !== 'found') {
      throw new HobblerError(
        'invalid-config',
        `user cannot be resolved${lookup.status === 'failed' ? ` (${lookup.why})` : ''}`,
        { where: 'worker.exempt.users', got: name, hint: 'correct the name, or remove it' },
      );
    }
    uids.add(lookup.uid);
  }
  return uids;
}

/** Gids of the group names; throws like `requireUids`. */
export async function requireGids(names: readonly string[]): Promise<Set<number>> {
  const gids = new Set<number>();
  for (const name of names) {
    let stdout: string;
    try {
      ({ stdout } = await run('getent', ['group', '--', name], { timeout: LOOKUP_WITHIN_MS }));
    } catch (error) {
      throw new HobblerError('invalid-config', `group cannot be resolved (${messageOf(error).split('\n')[0]})`, {
        where: 'worker.exempt.groups',
        got: name,
        hint: 'correct the name, or remove it',
      });
    }
    const gid = stdout.split(':')[2] ?? '';
    if (!DECIMAL.test(gid)) {
      throw new HobblerError('invalid-config', 'group has no number', { where: 'worker.exempt.groups', got: name });
    }
    gids.add(Number(gid));
  }
  return gids;
}

/** Name of each uid, for showing. A uid without a name keeps its number. */
export async function nameUid(uid: number): Promise<string> {
  try {
    const { stdout } = await run('getent', ['passwd', '--', String(uid)], { timeout: LOOKUP_WITHIN_MS });
    return stdout.split(':')[0] || String(uid);
  } catch {
    return String(uid);
  }
}

/**
 * Who is logged in. Sessions live in this process's memory alone: a restart logs everyone out, and a copy of Redis
 * gives nobody a way in. Keys are hashes of the tokens, so that a memory dump or a bug that prints the map gives away no
 * cookie. Times are counted on the boot clock, so a suspended machine's sessions end as they should.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../shared/clock.ts';
import type { UserRole } from './users.ts';

/** A session nobody uses ends after this, milliseconds. */
export const IDLE_LIMIT_MS = 30 * 60_000;
/** No session lives longer, used or not, milliseconds: one working day. */
export const ABSOLUTE_LIMIT_MS = 12 * 3_600_000;
/** Past this many, the one unused for longest ends. */
const MAX_SESSIONS = 1_000;
const TOKEN_BYTES = 32;

export interface Session {
  readonly user: string;
  readonly role: UserRole;
  /** Stands in every form of this session; a form without it is refused. */
  readonly csrf: string;
  /** Who says that it is him: the password that opened it, or a proxy at each request. */
  readonly via: 'password' | 'proxy';
}

interface Entry {
  session: Session;
  openedAtMs: number;
  lastUsedAtMs: number;
}

export class Sessions {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A new session and the token of its cookie. */
  open(user: string, role: UserRole): { token: string; session: Session } {
    this.#dropEnded();
    if (this.#entries.size >= MAX_SESSIONS) this.#dropLeastUsed();
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const csrf = randomBytes(TOKEN_BYTES).toString('base64url');
    const session: Session = { user, role, csrf, via: 'password' };
    const nowMs = this.#clock.bootMs();
    this.#entries.set(keyOf(token), { session, openedAtMs: nowMs, lastUsedAtMs: nowMs });
    return { token, session };
  }

  /** The session of a token, or null. `isActivity` false: a page refreshing itself, which keeps nobody logged in. */
  find(token: string | undefined, isActivity = true): Session | null {
    if (token === undefined) return null;
    const key = keyOf(token);
    const entry = this.#entries.get(key);
    if (!entry) return null;
    if (this.#hasEnded(entry)) {
      this.#entries.delete(key);
      return null;
    }
    if (isActivity) entry.lastUsedAtMs = this.#clock.bootMs();
    return entry.session;
  }

  close(token: string | undefined): void {
    if (token !== undefined) this.#entries.delete(keyOf(token));
  }

  get size(): number {
    return this.#entries.size;
  }

  #hasEnded({ openedAtMs, lastUsedAtMs }: Entry): boolean {
    const nowMs = this.#clock.bootMs();
    return nowMs - lastUsedAtMs > IDLE_LIMIT_MS || nowMs - openedAtMs > ABSOLUTE_LIMIT_MS;
  }

  #dropEnded(): void {
    for (const [key, entry] of this.#entries) if (this.#hasEnded(entry)) this.#entries.delete(key);
  }

  #dropLeastUsed(): void {
    let oldest: [string, Entry] | undefined;
    for (const pair of this.#entries) if (!oldest || pair[1].lastUsedAtMs < oldest[1].lastUsedAtMs) oldest = pair;
    if (oldest) this.#entries.delete(oldest[0]);
  }
}

function keyOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

/** Compares two secrets in a time that says nothing of where they differ. */
export function secretsMatch(given: unknown, expected: string): boolean {
  if (typeof given !== 'string') return false;
  const [a, b] = [given, expected].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(a!, b!);
}

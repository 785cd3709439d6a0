/**
 * Passwords: makes and checks scrypt hashes, `scrypt$N$r$p$SALT$HASH` with salt and hash in base64url. Never logs or
 * returns a password. A wrong user costs the same time as a wrong password, so names cannot be found out.
 */
import { randomBytes, type ScryptOptions, scrypt, scryptSync, timingSafeEqual } from 'node:crypto';
import { HobblerError } from '../shared/errors.ts';

/** 32 MiB and about 80 ms on a small server: dear enough for a guesser, cheap enough for a login. */
const COST = { N: 2 ** 15, r: 8, p: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** A hash may ask for so much memory and no more; a config typo must not take the admin down. */
const MAX_MEMORY_BYTES = 256 * 1024 * 1024;
const MAX_PARALLEL = 16;
/** Longer input is refused unhashed. */
export const MAX_PASSWORD_CHARS = 1024;

export const PASSWORD_FORM = 'scrypt$N$r$p$SALT$HASH';
const FORM = /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9_-]{16,128})\$([A-Za-z0-9_-]{22,128})$/;

interface ParsedHash {
  cost: { N: number; r: number; p: number };
  salt: Buffer;
  hash: Buffer;
}

/** The hash of a new password, for the config file. Throws invalid-input for one that is empty or too long. */
export function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  return derive(checkLength(password), salt, HASH_BYTES, COST).then((hash) => format(salt, hash));
}

/** The same, at once, for start-up. */
export function hashPasswordSync(password: string): string {
  const salt = randomBytes(SALT_BYTES);
  return format(salt, scryptSync(checkLength(password).normalize('NFKC'), salt, HASH_BYTES, options(COST)));
}

/** True for text that `verifyPassword` can check against. */
export function isPasswordHash(text: string): boolean {
  return parseHash(text) !== null;
}

/**
 * Whether `password` is the one behind `hash`. With an undefined hash (no such user) it takes as long and says false.
 */
export async function verifyPassword(password: string, hash: string | undefined): Promise<boolean> {
  const parsed = parseHash(hash ?? UNKNOWN_USER_HASH);
  if (parsed === null || password.length > MAX_PASSWORD_CHARS) return false;
  const derived = await derive(password, parsed.salt, parsed.hash.length, parsed.cost);
  return timingSafeEqual(derived, parsed.hash) && hash !== undefined;
}

const UNKNOWN_USER_HASH = format(randomBytes(SALT_BYTES), randomBytes(HASH_BYTES));

function format(salt: Buffer, hash: Buffer): string {
  return `scrypt$${COST.N}$${COST.r}$${COST.p}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

function parseHash(text: string): ParsedHash | null {
  const match = FORM.exec(text);
  if (!match) return null;
  const [N, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const isPowerOfTwo = N > 1 && Number.isInteger(Math.log2(N));
  if (!isPowerOfTwo || r < 1 || p < 1 || p > MAX_PARALLEL || 128 * N * r > MAX_MEMORY_BYTES / 2) return null;
  return { cost: { N, r, p }, salt: Buffer.from(match[4]!, 'base64url'), hash: Buffer.from(match[5]!, 'base64url') };
}

function options(cost: ParsedHash['cost']): ScryptOptions {
  return { ...cost, maxmem: MAX_MEMORY_BYTES };
}

function derive(password: string, salt: Buffer, bytes: number, cost: ParsedHash['cost']): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, bytes, options(cost), (error, derived) =>
      error ? reject(error) : resolve(derived),
    );
  });
}

function checkLength(password: string): string {
  if (password.length === 0 || password.length > MAX_PASSWORD_CHARS) {
    throw new HobblerError('invalid-input', 'not a usable password', {
      expected: `1 to ${MAX_PASSWORD_CHARS} characters`,
    });
  }
  return password;
}

/** Password hashes: right ones fit, wrong ones do not, and a config typo takes no gigabytes. */
import { describe, expect, test } from 'vitest';
import { hashPassword, hashPasswordSync, isPasswordHash, verifyPassword } from '../../../admin/password.ts';

describe('password hashes', () => {
  test('a password fits its own hash and no other does', async () => {
    const hash = await hashPassword('correct horse');
    expect(hash).toMatch(/^scrypt\$32768\$8\$1\$[\w-]{22}\$[\w-]{43}$/);
    expect(await verifyPassword('correct horse', hash)).toBe(true);
    expect(await verifyPassword('correct horsf', hash)).toBe(false);
    expect(await verifyPassword('', hash)).toBe(false);
  });

  test('two hashes of one password differ', () => {
    expect(hashPasswordSync('same')).not.toBe(hashPasswordSync('same'));
  });

  test('the same letters typed on another keyboard fit: both are normalized', async () => {
    expect(await verifyPassword('e\u0301t\u00e9', hashPasswordSync('\u00e9te\u0301'))).toBe(true);
  });

  test('an unknown user takes a hashing too, and is never right', async () => {
    // By CPU spent, not by the clock: what else the machine does must not matter.
    const cpuOf = async (stored: string | undefined) => {
      const before = process.cpuUsage();
      expect(await verifyPassword('anything', stored)).toBe(false);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    const known = await cpuOf(hashPasswordSync('x'));
    expect(await cpuOf(undefined)).toBeGreaterThan(known / 4);
  });

  test.each([
    ['plain text', 'hunter2'],
    ['a cost that is no power of two', `scrypt$30000$8$1$${'a'.repeat(22)}$${'b'.repeat(43)}`],
    ['a cost that would take gigabytes', `scrypt$16777216$8$1$${'a'.repeat(22)}$${'b'.repeat(43)}`],
    ['no salt', `scrypt$32768$8$1$$${'b'.repeat(43)}`],
    ['another scheme', '$2b$10$abcdefghijklmnopqrstuv'],
  ])('%s is no hash, and fits nothing', async (_what, text) => {
    expect(isPasswordHash(text)).toBe(false);
    expect(await verifyPassword(text, text)).toBe(false);
  });

  test('an empty and an endless password are refused before hashing', async () => {
    expect(() => hashPasswordSync('')).toThrow(/1 to 1024 characters/);
    expect(await verifyPassword('x'.repeat(2_000_000), hashPasswordSync('x'))).toBe(false);
  });
});

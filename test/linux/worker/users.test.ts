/** Users and groups of this host as getent(1) gives them: what cannot be resolved is never taken for something else. */
import { expect, test } from 'vitest';
import { systemClock } from '../../../shared/clock.ts';
import { nameUid, requireGids, requireUids, Users } from '../../../worker/users.ts';

const users = new Users(systemClock);

test('a user is found by his name alone', async () => {
  expect(await users.uidOf('root')).toEqual({ status: 'found', uid: 0 });
  expect(await users.uidOf('no-such-user-here')).toEqual({ status: 'unknown' });
  // getent takes a number for a name; an order for user:0 must not reach root.
  expect(await users.uidOf('0')).toEqual({ status: 'unknown' });
  expect(await users.uidOf('--help')).toEqual({ status: 'unknown' });
  expect(await users.uidOf('')).toEqual({ status: 'unknown' });
});

test('a user who is asked about twice at once is looked up once, and is known at once from then on', async () => {
  const fresh = new Users(systemClock);
  const [first, second] = [fresh.uidOf('root'), fresh.uidOf('root')];
  expect(second).toBe(first);
  expect(await first).toEqual({ status: 'found', uid: 0 });
  expect(fresh.uidOf('root')).toEqual({ status: 'found', uid: 0 });
});

test('a hundred look-ups at once are answered, a few at a time', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => users.uidOf(`no-such-user-${index}`)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['unknown']));
});

test('an exemption that cannot be resolved stops the start-up', async () => {
  expect(await requireUids(['root'])).toEqual(new Set([0]));
  expect(await requireGids(['root'])).toEqual(new Set([0]));
  await expect(requireUids(['root', 'no-such-user-here'])).rejects.toThrow(/cannot be resolved.*no-such-user-here/);
  await expect(requireUids(['0'])).rejects.toThrow(/cannot be resolved/);
  await expect(requireGids(['no-such-group-here'])).rejects.toThrow(/cannot be resolved/);
});

test('a uid without a name keeps its number', async () => {
  expect(await nameUid(0)).toBe('root');
  expect(await nameUid(3_999_999_999)).toBe('3999999999');
});

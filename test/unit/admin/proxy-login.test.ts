/** Whose word counts on who somebody is, and what he may then do. */
import { describe, expect, test } from 'vitest';
import { ProxyLogin, proxyLoginSchema } from '../../../admin/access/proxy-login.ts';
import { HOSTILE } from './examples.ts';

const login = new ProxyLogin(
  proxyLoginSchema.parse({
    from: ['127.0.0.1', '10.1.0.0/16', 'fd00::/8'],
    operators: { groups: ['ops'], users: ['root'] },
    viewers: { groups: ['staff'] },
  }),
);
const PROXY = '10.1.2.3';
const vouch = (user: string | string[] | undefined, groups?: string, peer: string | undefined = PROXY) =>
  login.vouch(peer, {
    ...(user === undefined ? {} : { 'x-forwarded-user': user as string }),
    ...(groups === undefined ? {} : { 'x-forwarded-groups': groups }),
  });
const role = (...args: Parameters<typeof vouch>) => {
  const vouched = vouch(...args);
  return vouched.is === 'known' ? vouched.session.role : vouched.is;
};

describe('a proxy', () => {
  test.each([
    ['127.0.0.1', 'operator'],
    ['::ffff:127.0.0.1', 'operator'],
    ['10.1.255.255', 'operator'],
    ['fd00::1', 'operator'],
    ['10.2.0.1', 'absent'],
    ['127.0.0.2', 'absent'],
    ['::1', 'absent'],
    ['fe80::1%eth0', 'absent'],
    ['not an address', 'absent'],
  ])('at %s is %s', (peer, expected) => {
    expect(role('ann', 'ops', peer)).toBe(expected);
  });

  test('gives the role of the groups, the higher of two, by exact names', () => {
    expect(role('ann', 'staff')).toBe('viewer');
    expect(role('ann', 'staff, ops')).toBe('operator');
    expect(role('ann', 'staff;other|ops')).toBe('operator');
    expect(role('root')).toBe('operator');
    expect(role('ann', 'OPS')).toBe('refused');
    expect(role('ann', 'ops-trainees')).toBe('refused');
    expect(role('ann')).toBe('refused');
    expect(role('ann', '')).toBe('refused');
  });

  test.each(['', 'a b', 'ann,root', 'ann, ann', HOSTILE, 'x'.repeat(65), 'ann\u0000'])(
    'that names %j is refused, never taken for somebody or for nobody',
    (name) => {
      expect(role(name, 'ops')).toBe('refused');
    },
  );

  test('that names nobody vouches for nobody', () => {
    expect(role(undefined, 'ops')).toBe('absent');
  });
});

test('somebody has one form token as long as he has one role, and another has another', () => {
  const csrfOf = (user: string, groups: string) => {
    const vouched = vouch(user, groups);
    return vouched.is === 'known' ? vouched.session.csrf : null;
  };
  expect(csrfOf('ann', 'ops')).toBe(csrfOf('ann', 'ops'));
  expect(csrfOf('ann', 'ops')).not.toBe(csrfOf('ann', 'staff'));
  expect(csrfOf('ann', 'ops')).not.toBe(csrfOf('bob', 'ops'));
});

describe('settings', () => {
  test.each(['0.0.0.0/0', '::/0', '10.0.0.0/33', 'proxy.example', '10.0.0.0/8/8', '', '10.0.0.0/'])(
    'that trust %j are refused',
    (from) => {
      expect(proxyLoginSchema.safeParse({ from: [from] }).success).toBe(false);
    },
  );

  test.each(['//evil.example', 'https://evil.example', '/\\evil', 'x'])(
    'that log out to %j are refused',
    (logoutPath) => {
      expect(proxyLoginSchema.safeParse({ from: ['127.0.0.1'], logoutPath }).success).toBe(false);
    },
  );

  test('may let everyone look', () => {
    const open = new ProxyLogin(proxyLoginSchema.parse({ from: ['127.0.0.1'], viewers: 'everyone' }));
    expect(open.vouch('127.0.0.1', { 'x-forwarded-user': 'eve' })).toMatchObject({ session: { role: 'viewer' } });
  });
});

/** The admin section of the config file: safe defaults, clear refusals, and never a password in a message. */
import { describe, expect, test } from 'vitest';
import { adminSchema, loadAdminConfig, requireUsers, withEnvironmentUser } from '../../../admin/config.ts';
import { hashPasswordSync, verifyPassword } from '../../../admin/password.ts';
import { parseSection } from '../../../shared/config.ts';
import { readEnvironment } from '../../../shared/environment.ts';

const HASH = hashPasswordSync('correct horse');
const parse = (yaml: string) => parseSection(yaml, 'hobbler.yaml', 'admin', adminSchema);

describe('the admin section', () => {
  test('has safe defaults: this machine only', () => {
    expect(parse('')).toEqual({
      http: {
        host: '127.0.0.1',
        port: 8080,
        secureCookie: false,
        trustedProxies: [],
        loginsPerMinute: 10,
        requestsPerMinute: 3_000,
      },
      users: [],
      metricsToken: null,
    });
  });

  test('takes users with scrypt hashes', () => {
    const config = parse(`admin:\n  users:\n    - { name: ann, role: operator, password: "${HASH}" }`);
    expect(config.users).toEqual([{ name: 'ann', role: 'operator', password: HASH }]);
  });

  test.each([
    ['text', 'hunter2-secret'],
    ['a number that YAML made of it', '1234567890123'],
    ['a hash with a slip', `${HASH.slice(0, 20)}!${HASH.slice(21)}`],
  ])('refuses a password that is %s, says what to do, and does not repeat it', (_what, password) => {
    const fault = faultOf(`admin:\n  users:\n    - name: ann\n      role: viewer\n      password: ${password}`);
    expect(fault).toContain('hobbler.yaml:3: admin.users.0: password: expected scrypt$N$r$p$SALT$HASH');
    expect(fault).toContain('hobbler passwd');
    expect(fault).not.toContain(password);
  });

  test('refuses a short metrics token without repeating it', () => {
    const fault = faultOf('admin:\n  metricsToken: short-one');
    expect(fault).toContain('metricsToken: expected text of at least 16 characters');
    expect(fault).not.toContain('short-one');
  });

  test('refuses two users of one name, names that cannot stand in an audit, and unknown keys', () => {
    const user = (name: string) => `    - { name: "${name}", role: viewer, password: "${HASH}" }\n`;
    expect(faultOf(`admin:\n  users:\n${user('ann')}${user('ann')}`)).toContain('ann stands there twice');
    expect(faultOf(`admin:\n  users:\n${user('an n')}`)).toContain('expected 1 to 64 of');
    expect(faultOf('admin:\n  htpp: {}')).toContain('htpp');
  });
});

describe('the operator of the environment', () => {
  const environment = (env: Record<string, string>) => readEnvironment(env);

  test('is added, with a hash of the password', async () => {
    const config = withEnvironmentUser(
      parse(''),
      environment({ HOBBLER_ADMIN_USER: 'root', HOBBLER_ADMIN_PASSWORD: 'pass word' }),
    );
    expect(config.users).toMatchObject([{ name: 'root', role: 'operator' }]);
    expect(await verifyPassword('pass word', config.users[0]!.password)).toBe(true);
  });

  test('takes the place of a user of the same name', () => {
    const config = parse(`admin:\n  users:\n    - { name: ann, role: viewer, password: "${HASH}" }`);
    const both = withEnvironmentUser(config, environment({ HOBBLER_ADMIN_USER: 'ann', HOBBLER_ADMIN_PASSWORD: 'x' }));
    expect(both.users.map(({ name, role }) => [name, role])).toEqual([['ann', 'operator']]);
  });

  test.each([
    { HOBBLER_ADMIN_USER: 'ann' },
    { HOBBLER_ADMIN_PASSWORD: 'x' },
    { HOBBLER_ADMIN_USER: 'a b', HOBBLER_ADMIN_PASSWORD: 'x' },
  ])('is refused when incomplete: %o', (env) => {
    expect(() => withEnvironmentUser(parse(''), environment(env))).toThrow(/expected both/);
  });
});

test('an admin into which nobody could log in refuses to start and says how to make a user', () => {
  expect(() => loadAdminConfig(undefined, readEnvironment({}))).toThrow(
    /HOBBLER_ADMIN_USER and HOBBLER_ADMIN_PASSWORD/,
  );
  expect(() => requireUsers(parse(''))).toThrow(/nobody could log in/);
  requireUsers(parse('admin: { proxyLogin: { from: [127.0.0.1], operators: { groups: [ops] } } }'));
});

function faultOf(yaml: string): string {
  try {
    parse(yaml);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('it was taken');
}

/**
 * What people see when Redis does not let hobbler in: at the start of each service, in doctor, and by `hobbler acl`.
 * Whatever goes wrong, no password is shown.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fleetKeys } from '../../../shared/keys.ts';
import { createLogger } from '../../../shared/log.ts';
import { connectRedis } from '../../../shared/redis/connection.ts';
import { type RedisWithUsers, startRedisWithUsers } from '../../support/redis-users.ts';

const CLI = fileURLToPath(new URL('../../../cli.ts', import.meta.url));
const WORKER = { role: 'worker', host: 'web-1' } as const;
const SECRET = 'wrong-and-very-secret-0123456789';

let redis: RedisWithUsers;
let url: string;
let dir: string;
beforeAll(async () => {
  redis = await startRedisWithUsers();
  dir = mkdtempSync(join(tmpdir(), 'hobbler-refused-'));
});
afterAll(async () => {
  await redis.stop();
  rmSync(dir, { recursive: true });
});
beforeEach(async () => {
  url = await redis.addUser(WORKER);
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function cli(redisUrl: string, ...args: string[]): Promise<Ended> {
  const env = {
    ...process.env,
    HOBBLER_REDIS_URL: redisUrl,
    HOBBLER_HOST: 'web-1',
    HOBBLER_PRODUCER_TOKEN: 'x'.repeat(24),
  };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [CLI, '--state-dir', join(dir, 'state'), ...args],
      { env, timeout: 20_000 },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  });
}

const withPassword = (password: string) => url.replace(/:[^:@]*@/, `:${password}@`);
const take = (...rules: string[]) => redis.root.call('ACL', 'SETUSER', 'hobbler-worker-web-1', ...rules);

describe('a service that Redis does not let in ends at once and says what to do', () => {
  it.each(['worker', 'producer'])('%s, with a wrong password', async (service) => {
    const { code, stderr } = await cli(withPassword(SECRET), service);
    expect(code).toBe(3);
    expect(stderr).toContain('does not take these credentials (WRONGPASS');
    expect(stderr).not.toContain(SECRET);
  });

  it('worker, whose user may not do enough: command, key and the way out', async () => {
    await take('clearselectors');
    const { code, stderr } = await cli(url, 'worker');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(
      /Redis refuses EVAL(?:SHA)? on hobbler:\{web-1\}:lease, hobbler:\{web-1\}:epoch to this user/,
    );
    expect(stderr).toContain('hobbler acl');
  });

  it('worker, whose user may not even ask INFO', async () => {
    await take('-info');
    const { code, stderr } = await cli(url, 'worker');
    expect(code).toBe(3);
    expect(stderr).toMatch(/Redis refuses INFO .*hobbler acl/);
  });

  it('producer, under the user of a worker', async () => {
    const { code, stderr } = await cli(url, 'producer', '--listen', '127.0.0.1:0');
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/Redis refuses HGETALL on hobbler:ledger:pins to this user.*hobbler acl/);
  });
});

describe('doctor', () => {
  const redisFindings = async (redisUrl: string, ...args: string[]) => {
    const { stdout } = await cli(redisUrl, ...args, 'doctor', '--json');
    const { findings } = JSON.parse(stdout) as {
      findings: { name: string; status: string; detail: string; hint?: string }[];
    };
    return findings.filter(({ name }) => name === 'redis user' || name === 'redis');
  };

  it('finds a user that may do what it must, and no more', async () => {
    expect(await redisFindings(url)).toMatchObject([
      { name: 'redis', status: 'ok' },
      { name: 'redis user', status: 'ok', detail: expect.stringContaining("reaches no other host's orders") },
    ]);
  });

  it('names each thing that is refused', async () => {
    await take('clearselectors', `(%R~${fleetKeys.hold} +get)`);
    const findings = await redisFindings(url);
    expect(findings.filter(({ status }) => status === 'fail').length).toBeGreaterThan(3);
    expect(findings.find(({ detail }) => detail.startsWith('taking jobs is refused'))).toMatchObject({
      detail: expect.stringContaining('EVAL on hobbler:{web-1}:orders:wait'),
      hint: expect.stringContaining('hobbler acl web-1'),
    });
    expect(findings.find(({ detail }) => detail.startsWith('seeing the hold of the fleet'))).toBeUndefined();
  });

  it('says it of a wrong password, and does not show it', async () => {
    const [finding] = await redisFindings(withPassword(SECRET));
    expect(finding).toMatchObject({ status: 'fail', detail: expect.stringContaining('WRONGPASS') });
    expect(JSON.stringify(finding)).not.toContain(SECRET);
  });
});

describe('hobbler acl', () => {
  it('prints a line that redis-cli takes, without the password', async () => {
    const file = join(dir, 'password');
    writeFileSync(file, `${SECRET}\n`);
    const { stdout, code } = await cli(url, 'acl', 'web-9', '--password-file', file, '--as', 'setuser');
    expect(code).toBe(0);
    expect(stdout).not.toContain(SECRET);
    expect(await redis.root.call('ACL', ...stdout.trim().split(' ').slice(1))).toBe('OK');
    const connection = connectRedis(
      { url: withPassword(SECRET).replace('web-1', 'web-9'), name: 'test' },
      createLogger('test', 'silent'),
    );
    expect(await connection.hgetall('hobbler:{web-9}:desired')).toEqual({});
    connection.disconnect();
  });

  it('prints nothing that would be taken with a password that everybody knows', async () => {
    const { stdout } = await cli(url, 'acl', '--admin', '--as', 'setuser');
    await expect(redis.root.call('ACL', ...stdout.trim().split(' ').slice(1))).rejects.toThrow('Syntax error');
  });

  it.each([
    ['nobody', []],
    ['two', ['web-1', '--producer']],
    ['no host', ['web*']],
    ['the fleet', ['*']],
    ['no form', ['web-1', '--as', 'yaml']],
    ['a file that is not there', ['web-1', '--password-file', '/nowhere']],
  ])('is refused for %s', async (_what, args) => {
    const { code, stdout, stderr } = await cli(url, 'acl', ...args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^hobbler: /);
  });

  it('refuses a password that can be guessed, and does not repeat it', async () => {
    const file = join(dir, 'short');
    writeFileSync(file, 'hunter2hunter2\n');
    const { code, stderr } = await cli(url, 'acl', 'web-1', '--password-file', file);
    expect(code).toBe(2);
    expect(stderr).toContain('24 or more');
    expect(stderr).not.toContain('hunter2');
  });
});

it('a reply that is logged whole shows no password', async () => {
  const lines: string[] = [];
  const log = createLogger('test', 'debug', { write: (line: string) => void lines.push(line) });
  const connection = connectRedis({ url: withPassword(SECRET), name: 'test' }, log);
  await connection.ping().catch((error: unknown) => log.error({ err: error }, 'ping'));
  await connection
    .call('AUTH', 'hobbler-producer', SECRET)
    .catch((error: unknown) => log.error({ err: error }, 'auth'));
  connection.disconnect();
  expect(lines.join('')).toContain('WRONGPASS');
  expect(lines.join('')).not.toContain(SECRET);
});

it('what Redis refuses to a service that runs stands in its log, once for each command', async () => {
  const lines: string[] = [];
  const log = createLogger('test', 'info', { write: (line: string) => void lines.push(line) });
  const connection = connectRedis({ url, name: 'test' }, log);
  await connection.get(fleetKeys.hold);
  await take('clearselectors');
  for (let n = 0; n < 3; n++) await connection.get(fleetKeys.hold).catch(() => {});
  await connection.pipeline().hset('hobbler:{web-1}:observed', 'a', 'b').exec();
  connection.disconnect();
  const said = lines.filter((line) => line.includes('Redis refuses'));
  expect(said).toHaveLength(2);
  expect(said.join()).toContain('GET on hobbler:hold to this user');
  expect(said.join()).toContain('HSET on hobbler:{web-1}:observed');
});

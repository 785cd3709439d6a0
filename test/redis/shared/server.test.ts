/**
 * The Redis of a first run: whichever one is found carries everything that hobbler asks of a Redis, keeps others out,
 * and leaves nothing behind, however this process ends.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { inspectRedis, isLoopback, type Redis, redisNowMs, requireFitRedis } from '../../../shared/redis/connection.ts';
import { type FoundRedis, findRedis } from '../../../shared/redis/server.ts';
import { descendantsOf, readAll } from '../../support/proc.ts';
import { expectNothingLeft, isAlive, register, signalExactly, startProcess, until } from '../../support/processes.ts';
import { connectTest } from '../../support/redis.ts';

const log = silentLogger();
const found: FoundRedis[] = [];
async function find(programs: readonly string[]): Promise<FoundRedis> {
  const one = await findRedis({ url: undefined, log, programs });
  found.push(one);
  return one;
}
afterEach(async () => {
  for (const one of found.splice(0)) await one.stop();
  await expectNothingLeft();
});

const ownDirs = () => readdirSync(tmpdir()).filter((name) => name.startsWith('hobbler-redis-'));

describe('a given URL', () => {
  it('is taken as it is, starts nothing, and shows no password', async () => {
    const one = await findRedis({ url: 'redis://me:secret@redis.example:6380/2', log });
    expect(one.url).toBe('redis://me:secret@redis.example:6380/2');
    expect(one.what).toBe('the Redis at redis://me:***@redis.example:6380/2');
    expect(descendantsOf(process.pid)).toEqual([]);
    await one.stop();
  });
});

describe('a private redis-server', () => {
  it('is fit, says what it is, and lies where only this user gets in', async () => {
    const one = await find(['redis-server']);
    expect(one.what).toMatch(/^a private redis-server \d+\.\d+\.\d+, since REDIS_URL is not set: .*forgotten/);
    expect(isLoopback(one.url)).toBe(true);
    const redis = connectTest(one);
    await requireFitRedis(redis, one.url);
    redis.disconnect();
    expect(statSync(dirname(new URL(one.url).pathname)).mode & 0o777).toBe(0o700);
  });

  it('is gone after stop(), with its directory', async () => {
    const one = await find(['redis-server']);
    const pids = descendantsOf(process.pid);
    expect(pids.map((stat) => stat.name)).toContain('redis-server');
    await one.stop();
    await until(() => !pids.some(isAlive), { deadlineMs: 1_000, what: 'the end of its processes' });
    expect(existsSync(dirname(new URL(one.url).pathname))).toBe(false);
  });

  it.each(['running', 'stopped'])('is gone within a second after we are killed, %s', async (how) => {
    const before = ownDirs();
    const program = `import { findRedis } from ${JSON.stringify(new URL('../../../shared/redis/server.ts', import.meta.url))};
      import { silentLogger } from ${JSON.stringify(new URL('../../../shared/log.ts', import.meta.url))};
      console.log((await findRedis({ url: undefined, log: silentLogger() })).url);
      setInterval(() => {}, 1000);`;
    const host = await startProcess(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const url = await new Promise<string>((resolve) => host.child.stdout!.once('data', (text) => resolve(`${text}`)));
    expect(url).toMatch(/^unix:/);
    const server = descendantsOf(host.pid).find((stat) => stat.name === 'redis-server')!;
    const all = descendantsOf(host.pid).map(({ pid }) => register(pid));
    if (how === 'stopped') signalExactly(server, 'SIGSTOP');
    signalExactly(host, 'SIGKILL');
    await until(() => !all.some(isAlive), { deadlineMs: 1_000, what: 'the end of redis-server and its shell' });
    expect(ownDirs()).toEqual(before);
  });

  it('survives the Ctrl-C that is meant for hobbler: it is in a session of its own', async () => {
    await find(['redis-server']);
    const groups = descendantsOf(process.pid).map((stat) => stat.processGroup);
    const ours = readAll().find((stat) => stat.pid === process.pid)!.processGroup;
    expect(groups.length).toBeGreaterThan(0);
    expect(groups).not.toContain(ours);
  });

  it('that does not start gives way to the next, and leaves nothing', async () => {
    const before = ownDirs();
    const one = await find(['no-such-program', 'true']);
    expect(one.what).toMatch(/^an embedded JavaScript Redis/);
    expect(ownDirs()).toEqual(before);
    expect(descendantsOf(process.pid)).toEqual([]);
  });
});

describe('the embedded server', () => {
  let one: FoundRedis;
  let redis: Redis;
  beforeEach(async () => {
    one = await find([]);
    redis = connectTest(one);
  });
  afterEach(() => redis.disconnect());

  it('says that it is slow and forgets, and does not show its password', () => {
    expect(one.what).toMatch(/embedded JavaScript Redis.*30 to 45 times slower.*forgotten/);
    expect(one.what).not.toContain(new URL(one.url).password);
  });

  it('is not refused by our own inspection', async () => {
    const checks = await inspectRedis(redis);
    expect(checks.map(({ name, ok }) => [name, ok])).toEqual([
      ['version', true],
      ['maxmemory-policy', true],
      ['appendonly', true],
    ]);
    expect(checks[1]!.detail).toMatch(/unknown/);
    await requireFitRedis(redis, one.url);
  });

  it('tells the time and keeps capped streams', async () => {
    expect(Math.abs((await redisNowMs(redis)) - Date.now())).toBeLessThan(1_000);
    for (let entry = 0; entry < 12; entry++) await redis.xadd('s', 'MAXLEN', '~', 10, '*', 'entry', entry);
    expect(await redis.xlen('s')).toBeLessThanOrEqual(12);
  });

  it('refuses who does not know the password', async () => {
    const { hostname, port } = new URL(one.url);
    const stranger = connectTest({ url: `redis://${hostname}:${port}` });
    await expect(stranger.set('a', 'b')).rejects.toThrow(/NOAUTH/);
    stranger.disconnect();
  });

  it('listens on loopback alone', async () => {
    const port = Number(new URL(one.url).port);
    const outside = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ internal, address }) => !internal && !address.startsWith('fe80'));
    for (const { address } of outside) {
      const outcome = await new Promise((resolve) => {
        const socket = connect({ host: address, port });
        socket.once('connect', () => resolve('connected')).once('error', (error: Error) => resolve(error.message));
      });
      expect(outcome).toMatch(/ECONNREFUSED/);
    }
  });

  it('stops with connections open, at once, and frees its port', async () => {
    await redis.ping();
    const startMs = performance.now();
    await one.stop();
    expect(performance.now() - startMs).toBeLessThan(500);
    const outcome = await new Promise((resolve) => {
      connect({ host: '127.0.0.1', port: Number(new URL(one.url).port) })
        .once('connect', () => resolve('connected'))
        .once('error', (error: Error) => resolve(error.message));
    });
    expect(outcome).toMatch(/ECONNREFUSED/);
  });

  it('prints nothing, and does not keep a program from ending once stopped', () => {
    const program = `import { findRedis } from ${JSON.stringify(new URL('../../../shared/redis/server.ts', import.meta.url))};
      import { silentLogger } from ${JSON.stringify(new URL('../../../shared/log.ts', import.meta.url))};
      const one = await findRedis({ url: undefined, log: silentLogger(), programs: [] });
      await one.stop();`;
    const result = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      timeout: 10_000,
    });
    expect(result).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });
});

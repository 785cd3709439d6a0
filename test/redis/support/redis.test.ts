/**
 * The Redis under the redis lane, as a child and in a container by testcontainers: it is fit to carry orders, and it
 * really goes away, hangs and comes back, as the tests of outages need it to.
 */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { type Redis, requireFitRedis } from '../../../shared/redis/connection.ts';
import { readDesired } from '../../../shared/redis/desired.ts';
import { OrderIssuer } from '../../../shared/redis/issuer.ts';
import { describeWithEngine, type Engine, startEngine } from '../../support/docker.ts';
import { until } from '../../support/processes.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';

const chosen = process.env.HOBBLER_TEST_REDIS;
afterAll(() => choose(chosen));

function choose(kind: string | undefined): void {
  if (kind === undefined) delete process.env.HOBBLER_TEST_REDIS;
  else process.env.HOBBLER_TEST_REDIS = kind;
}

describe('a redis-server child', () => {
  beforeAll(() => choose('child'));
  behavesAsTestsNeed('child');

  it('says why when redis-server does not start', async () => {
    await expect(startRedis({ args: ['--no-such-option', 'x'] })).rejects.toThrow(/redis-server ended with 1/);
  });
});

describeWithEngine('a Redis in a container, by testcontainers', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await startEngine();
    choose('docker');
  });
  afterAll(() => engine?.stop());
  behavesAsTestsNeed('docker');
});

function behavesAsTestsNeed(kind: TestRedis['kind']): void {
  let server: TestRedis;
  let redis: Redis;
  beforeEach(async () => {
    server = await startRedis();
    redis = connectTest(server);
  });
  afterEach(async () => {
    redis.disconnect();
    await server.stop();
  });

  it('is fit to carry orders, and carries one', async () => {
    expect(server.kind).toBe(kind);
    await requireFitRedis(redis, server.url);
    const issuer = new OrderIssuer(redis, undefined, silentLogger());
    const request = {
      action: 'tarpit',
      host: 'web-1',
      target: 'user:alice',
      forMs: 900_000,
      reason: '',
      by: 'policy',
    } as const;
    const { order } = await issuer.issue(request);
    expect((await readDesired(redis, 'web-1')).records.get('user:alice')?.order).toEqual(order);
  });

  it('keeps its data through a restart and through a kill', async () => {
    await redis.set('a', '1');
    await server.restart();
    expect(await redis.get('a')).toBe('1');
    await redis.set('a', '2');
    // appendfsync everysec loses a second when the machine goes, nothing when only the process does
    await server.kill();
    await server.restart();
    const value = await until(() => redis.get('a'), { deadlineMs: 5_000, what: 'an answer after the restart' });
    expect(value).toBe('2');
  });

  it('answers nothing while it is paused, and what was asked once it is resumed', async () => {
    await redis.ping();
    await server.pause();
    let answered = false;
    const pong = redis.ping().then(() => {
      answered = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(answered).toBe(false);
    await server.resume();
    await pong;
  });

  it('removes what it made when it is stopped, also while paused', async () => {
    await server.pause();
    await server.stop();
    if (server.kind === 'child') expect(existsSync(dirname(new URL(server.url).pathname))).toBe(false);
    await server.stop();
  });
}

/** The Redis under the redis lane really goes away, hangs and comes back, as the tests of outages need it to. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Redis } from '../../../shared/redis/connection.ts';
import { until } from '../../support/processes.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';

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

it('says why when redis-server does not start', async () => {
  if (server.kind === 'docker') return;
  await expect(startRedis({ args: ['--no-such-option', 'x'] })).rejects.toThrow(/redis-server ended with 1/);
});

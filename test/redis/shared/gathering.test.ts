/** A connection that gathers: what is asked in one turn of the event loop reaches Redis in one packet, each with its answer. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLogger } from '../../../shared/log.ts';
import { connectRedis, type Redis } from '../../../shared/redis/connection.ts';
import { loadScript, runScript } from '../../../shared/redis/scripts.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';

let redis: TestRedis;
let observer: Redis;
let connection: Redis;
beforeAll(async () => {
  redis = await startRedis();
  observer = connectTest(redis);
  connection = connectRedis({ url: redis.url, name: 'test' }, silentLogger(), { gathers: true });
  await connection.ping();
});
afterAll(async () => {
  connection.disconnect();
  observer.disconnect();
  await redis.stop();
});

const packets = async () => Number(/^total_reads_processed:(\d+)/m.exec(await observer.info('stats'))?.[1]);

test('a hundred commands of one turn are one packet, and each gets its own answer or error', async () => {
  await connection.set('text', 'x');
  const before = await packets();
  const answers = await Promise.allSettled([
    ...Array.from({ length: 99 }, (_, n) => connection.set(`key:${n}`, n)),
    connection.hget('text', 'field'),
  ]);
  // The observer's own look is one of them.
  expect((await packets()) - before).toBeLessThanOrEqual(3);
  expect(answers.slice(0, 99).every((answer) => answer.status === 'fulfilled' && answer.value === 'OK')).toBe(true);
  expect(answers[99]).toMatchObject({ status: 'rejected', reason: { message: expect.stringMatching(/^WRONGTYPE/) } });
  expect(await observer.get('key:98')).toBe('98');
});

test('a script that Redis does not know yet is sent again, among others', async () => {
  await observer.script('FLUSH');
  const script = loadScript('put-orders');
  const put = (target: string) => runScript(connection, script, ['orders'], [10, target, 1, '{"version":1}']);
  expect(await Promise.all([put('uid:1'), put('uid:2'), connection.get('text')])).toEqual([
    [['written']],
    [['written']],
    'x',
  ]);
});

test('while Redis does not answer commands fail in time, and those after it are answered', {
  timeout: 60_000,
}, async () => {
  await redis.pause();
  const lost = Promise.allSettled([connection.get('text'), connection.get('text')]);
  try {
    expect((await lost).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  } finally {
    await redis.resume();
  }
  expect(await connection.get('text')).toBe('x');
});

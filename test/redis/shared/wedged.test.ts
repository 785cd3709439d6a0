/** A connection that stands and carries nothing is noticed, said, and replaced, for commands and for the queue. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Logger } from '../../../shared/log.ts';
import { silentLogger } from '../../../shared/log.ts';
import { addOrderJob, openConsumer, openQueue } from '../../../shared/queue.ts';
import { connectRedis } from '../../../shared/redis/connection.ts';
import { tarpitExample } from '../../support/orders.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { type SwallowingProxy, startSwallowingProxy } from '../../support/swallowing-proxy.ts';
import { until } from '../../support/until.ts';

let redis: TestRedis;
let proxy: SwallowingProxy;
beforeAll(async () => {
  redis = await startRedis();
  proxy = await startSwallowingProxy(redis.url);
});
afterAll(async () => {
  await proxy.stop();
  await redis.stop();
});

test('commands go on over a new connection, and it is said', { timeout: 60_000 }, async () => {
  const said: string[] = [];
  const log = { ...silentLogger(), warn: (_: unknown, text: string) => said.push(text) } as unknown as Logger;
  const connection = connectRedis({ url: proxy.url, name: 'test' }, log);
  expect(await connection.ping()).toBe('PONG');
  proxy.swallow();
  const answers = async () => (await connection.ping()) === 'PONG';
  await until(() => answers().catch(() => false), { deadlineMs: 30_000, what: 'an answer' });
  expect(said).toEqual([expect.stringMatching(/Socket timeout/)]);
  connection.disconnect();
});

test('a queue that was quiet takes the jobs that came meanwhile', { timeout: 60_000 }, async () => {
  const taken: string[] = [];
  const consumer = openConsumer({
    host: 'web-1',
    settings: { url: proxy.url, name: 'test' },
    concurrency: 1,
    onJob: async (job) => {
      taken.push(job.name);
      return { status: 'applied', processes: 0 };
    },
    onError: () => {},
    drainDelayS: 1,
  });
  consumer.start();
  const own = connectTest(redis);
  const queue = openQueue('web-1', own);
  await addOrderJob(queue, tarpitExample());
  await until(() => taken.length === 1, { deadlineMs: 10_000, what: 'the first job' });
  proxy.swallow();
  await addOrderJob(queue, tarpitExample());
  await until(() => taken.length === 2, { deadlineMs: 45_000, what: 'the second job' });
  await consumer.stop();
  await queue.close();
  own.disconnect();
});

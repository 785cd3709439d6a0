/** The queue: jobs from us and from outside arrive once and whole, and a consumer stops at once, Redis or no Redis. */
import { Queue as PlainQueue } from 'bullmq';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { OrderResult } from '../../../shared/order.ts';
import { addOrderJob, type Consumer, failForGood, type Job, openConsumer, openQueue } from '../../../shared/queue.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { describeOnEveryServer } from '../../support/every-server.ts';
import { tarpitExample, untarpitExample } from '../../support/orders.ts';
import { until } from '../../support/processes.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';

const STOP_LIMIT_MS = 1_000;
const consumers: Consumer[] = [];
let seen: Job[] = [];
let errors: Error[] = [];

function consume(url: string, onJob?: (job: Job) => Promise<OrderResult>): Consumer {
  seen = [];
  errors = [];
  const consumer = openConsumer({
    host: 'web-1',
    settings: { url, name: 'hobbler-test-worker' },
    concurrency: 1,
    onJob: async (job) => {
      seen.push(job);
      return onJob ? onJob(job) : { status: 'applied', processes: 1 };
    },
    onError: (error) => errors.push(error),
  });
  consumers.push(consumer);
  return consumer;
}

const untilSeen = (count: number) =>
  until(() => seen.length >= count, { deadlineMs: 5_000, what: () => `${count} jobs; saw ${seen.length}` });

/** As an accounting system would open it that knows nothing of ours but docs/contract.md. */
function openPlainQueue({ options: { host, port, password, path } }: Redis): PlainQueue {
  const connection = path ? { path } : { host: host!, port: port!, ...(password ? { password } : {}) };
  return new PlainQueue('orders', { prefix: 'hobbler:{web-1}', connection });
}

describeOnEveryServer('the queue of a host', (on) => {
  afterEach(async () => {
    for (const consumer of consumers.splice(0)) await consumer.stop();
  });
  it('carries an order to its consumer, and the result back where people look', async () => {
    const queue = openQueue('web-1', on.redis);
    const id = await addOrderJob(queue, tarpitExample());
    consume(on.url).start();
    await untilSeen(1);
    expect(seen[0]).toMatchObject({ id, name: 'tarpit', data: tarpitExample() });
    const job = await until(
      async () => {
        const found = await queue.getJob(id);
        return found?.finishedOn ? found : undefined;
      },
      { deadlineMs: 5_000, what: 'the end of the job' },
    );
    expect(job!.returnvalue).toEqual({ status: 'applied', processes: 1 });
    expect(errors).toEqual([]);
  });

  it('takes a job that a plain BullMQ queue added, with nothing of ours', async () => {
    const plain = openPlainQueue(on.redis);
    consume(on.url).start();
    await plain.add('tarpit', tarpitExample());
    await untilSeen(1);
    expect(seen[0]!.data).toEqual(tarpitExample());
    await plain.close();
  });

  it('gives untarpits and operators’ orders first, whatever waits', async () => {
    const queue = openQueue('web-1', on.redis);
    await addOrderJob(queue, tarpitExample({ target: 'uid:1' }));
    await addOrderJob(queue, tarpitExample({ target: 'uid:2' }));
    await addOrderJob(queue, untarpitExample({ target: 'uid:3' }));
    await addOrderJob(queue, tarpitExample({ target: 'uid:4', by: 'operator:ann' }));
    consume(on.url).start();
    await untilSeen(4);
    expect(seen.map((job) => job.data.target)).toEqual(['uid:4', 'uid:3', 'uid:1', 'uid:2']);
  });

  it('takes nothing before it is started', async () => {
    await addOrderJob(openQueue('web-1', on.redis), tarpitExample());
    const consumer = consume(on.url);
    // The connection is up once the consumer shows in CLIENT LIST; a started one would have the job by then.
    await until(async () => ((await on.redis.client('LIST')) as string).includes('hobbler-test-worker'), {
      deadlineMs: 5_000,
      what: 'its connection',
    });
    expect(seen).toEqual([]);
    consumer.start();
    await untilSeen(1);
  });

  it('fails an invalid job at once and visibly, with no second try', async () => {
    const queue = openQueue('web-1', on.redis);
    const id = await addOrderJob(queue, tarpitExample());
    consume(on.url, async () => failForGood('order.target: not a target')).start();
    const job = await until(
      async () => {
        const found = await queue.getJob(id);
        return found?.failedReason ? found : undefined;
      },
      { deadlineMs: 5_000, what: 'its failure' },
    );
    expect(job).toMatchObject({ failedReason: 'order.target: not a target', attemptsMade: 1 });
    expect(await queue.getFailedCount()).toBe(1);
    expect(seen).toHaveLength(1);
  });

  it('keeps the last 100 done jobs, of outsiders too', async () => {
    const queue = openPlainQueue(on.redis);
    consume(on.url).start();
    await queue.addBulk(Array.from({ length: 130 }, () => ({ name: 'tarpit', data: tarpitExample() })));
    await untilSeen(130);
    await until(async () => (await queue.getCompletedCount()) === 100, { deadlineMs: 5_000, what: '100 kept jobs' });
    await queue.close();
  });
});

describe('a consumer', () => {
  let server: TestRedis;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = connectTest(server);
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  it.each([
    ['waits for jobs', false],
    ['has one in work', true],
  ])('that %s stops within a second with Redis hung', async (__, hasJob) => {
    const consumer = consume(server.url, () => new Promise(() => {}));
    consumer.start();
    if (hasJob) {
      await addOrderJob(openQueue('web-1', redis), tarpitExample());
      await untilSeen(1);
    } else {
      const blocked = /name=hobbler:\{web-1\}\S* .*flags=b.*cmd=bzpopmin/;
      await until(async () => blocked.test((await redis.client('LIST')) as string), {
        deadlineMs: 5_000,
        what: 'its blocking fetch',
      });
    }
    await server.pause();
    try {
      const startMs = performance.now();
      await consumer.stop();
      expect(performance.now() - startMs).toBeLessThan(STOP_LIMIT_MS);
    } finally {
      await server.resume();
      await server.flush();
    }
  });

  it('stops within a second with Redis gone', async () => {
    const consumer = consume(server.url);
    consumer.start();
    await server.kill();
    const startMs = performance.now();
    await consumer.stop();
    expect(performance.now() - startMs).toBeLessThan(STOP_LIMIT_MS);
    await server.restart();
  });

  it('that was never started stops as well', async () => {
    await consume(server.url).stop();
  });

  it('takes jobs again by itself after Redis came back', async () => {
    const consumer = consume(server.url);
    consumer.start();
    await server.kill();
    await server.restart();
    const again = connectTest(server);
    await until(() => addOrderJob(openQueue('web-1', again), tarpitExample()), {
      deadlineMs: 5_000,
      what: 'a new job',
    });
    await untilSeen(1);
    again.disconnect();
    await consumer.stop();
  });
});

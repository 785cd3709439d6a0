/** Redis killed, paused and restarted under a producer: nothing acknowledged is lost, and stopping stays quick. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Janitor } from '../../../producer/janitor.ts';
import { createProducerService } from '../../../producer/service.ts';
import { systemClock } from '../../../shared/clock.ts';
import { hostKeys } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import { redisNowMs } from '../../../shared/redis/connection.ts';
import { until } from '../../support/until.ts';
import { ask, ProducerFixture } from './producer-fixture.ts';

let fixture: ProducerFixture;
beforeAll(async () => {
  fixture = await ProducerFixture.open();
});
afterEach(() => fixture.clear());
afterAll(() => fixture.close());

const over = { account: 'alice', used: 2104 };

describe('with Redis away', () => {
  it('readings and orders are answered 503 with the time to come back, and taken when it is back', async () => {
    const producer = await fixture.start({ leaseMs: 3_000 });
    await ask(producer, '/v1/readings', { account: 'before', used: 2104 });
    await until(() => fixture.standing('*', 'user:before'), { deadlineMs: 3_000, what: 'an order' });
    await fixture.server.kill();
    await until(async () => (await ask(producer, '/healthz')).status === 503, {
      deadlineMs: 3_000,
      what: 'bad health',
    });
    const order = { action: 'tarpit', host: '*', target: 'user:x', reason: 'r', by: 'billing' };
    for (const [path, body] of [['/v1/readings', over], ['/v1/orders', order], ['/v1/accounts/alice']] as const) {
      const answer = await ask(producer, path, body);
      expect(answer).toMatchObject({ status: 503, body: { error: { code: 'redis-unavailable' } } });
      expect(answer.headers.get('retry-after')).toBe('5');
    }
    await fixture.server.restart();
    await until(async () => (await ask(producer, '/v1/readings', over)).status === 200, {
      deadlineMs: 10_000,
      what: 'a reading being accepted again',
    });
    await until(() => fixture.standing('*', 'user:alice'), { deadlineMs: 3_000, what: 'its order' });
    // What stood before goes on being renewed, without anybody reporting it again.
    const { version = 0 } = (await fixture.standing('*', 'user:before')) ?? {};
    await until(async () => ((await fixture.standing('*', 'user:before'))?.version ?? 0) > version, {
      deadlineMs: 4_000,
      what: 'a renewal',
    });
  });

  it('every reading that was acknowledged is there after a crash, and none of the others harms', async () => {
    const producer = await fixture.start();
    const acknowledged: string[] = [];
    let isKilled = false;
    for (let n = 0; n < 400 && !isKilled; n++) {
      const account = `user-${n}`;
      const sent = ask(producer, '/v1/readings', { account, used: 2104 });
      if (n === 200) await fixture.server.kill();
      const { status } = await sent;
      if (status === 200) acknowledged.push(account);
      else isKilled = true;
    }
    expect(isKilled).toBe(true);
    expect(acknowledged.length).toBeGreaterThanOrEqual(200);
    await fixture.server.restart();
    await until(async () => (await ask(producer, '/healthz')).status === 200, { deadlineMs: 10_000, what: 'health' });
    for (const account of acknowledged) {
      await until(async () => (await fixture.standing('*', `user:${account}`))?.action === 'tarpit', {
        deadlineMs: 5_000,
        what: `the order for ${account}`,
      });
    }
  });

  it('an order that Redis has lost is asserted again at the next renewal', async () => {
    const producer = await fixture.start({ leaseMs: 3_000 });
    await ask(producer, '/v1/readings', over);
    await until(() => fixture.standing('*', 'user:alice'), { deadlineMs: 3_000, what: 'an order' });
    await fixture.redis.flushall();
    await until(() => fixture.standing('*', 'user:alice'), { deadlineMs: 3_000, what: 'the order again' });
    // And who is remembered by the producer alone is let go by the next reading like anybody else.
    await ask(producer, '/v1/readings', { ...over, used: 5 });
    await until(async () => (await fixture.standing('*', 'user:alice'))?.action === 'untarpit', {
      deadlineMs: 3_000,
      what: 'the untarpit',
    });
  });

  it('paused, so that connections stay open and nothing answers: 503, not silence', { timeout: 40_000 }, async () => {
    const producer = await fixture.start();
    await fixture.server.pause();
    try {
      const answers = await Promise.all([1, 2, 3].map((used) => ask(producer, '/v1/readings', { account: 'a', used })));
      for (const { status } of answers) expect(status).toBe(503);
    } finally {
      await fixture.server.resume();
    }
    await until(async () => (await ask(producer, '/v1/readings', over)).status === 200, {
      deadlineMs: 10_000,
      what: 'a reading being accepted again',
    });
  });

  it.each(['killed', 'paused'])('%s, it stops within a second', async (how) => {
    const producer = await fixture.start({ sources: { meter: { every: '100ms' } } });
    await ask(producer, '/v1/readings', over);
    if (how === 'killed') await fixture.server.kill();
    else await fixture.server.pause();
    const inFlight = ask(producer, '/v1/readings', over).catch(() => undefined);
    const startMs = performance.now();
    await producer.stop();
    expect(performance.now() - startMs).toBeLessThan(1_000);
    await producer.stop();
    await inFlight;
    if (how === 'killed') await fixture.server.restart();
    else await fixture.server.resume();
    await until(async () => (await fixture.redis.ping()) === 'PONG', { deadlineMs: 10_000, what: 'Redis being back' });
  });

  it('at the start, it says so instead of waiting for ever', async () => {
    const service = createProducerService({
      config: fixture.config(),
      redis: { url: 'unix:///nonexistent/redis.sock', name: 'test' },
      clock: systemClock,
      log: silentLogger(),
    });
    await expect(service.start()).rejects.toMatchObject({ code: 'redis-unavailable' });
    await service.stop();
  });
});

describe('the janitor', () => {
  it('forgets what has ended on hosts and fleet, and keeps what still counts', async () => {
    const { redis } = fixture;
    await fixture.beat('web-1');
    await redis.sadd('hobbler:hosts', 'web-2');
    await redis.set(hostKeys.desired('web-2'), 'no hash');
    const nowMs = await redisNowMs(redis);
    const record = (target: string, version: number) => ({
      [target]: JSON.stringify({ v: 1, action: 'untarpit', host: 'web-1', target, version, issuedAt: version }),
    });
    const ended = nowMs - 26 * 3_600_000;
    await redis.hset(hostKeys.desired('web-1'), {
      ...record('user:old', ended),
      ...record('user:new', nowMs),
      'user:broken': '{',
    });
    expect(await new Janitor(redis, systemClock, silentLogger()).runOnce()).toBe(1);
    expect((await redis.hkeys(hostKeys.desired('web-1'))).sort()).toEqual(['user:broken', 'user:new']);
  });
});

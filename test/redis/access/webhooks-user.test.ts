/** The producer's Redis user may do all that webhooks and idempotency need, and Redis refuses it nothing on the way. */
import { expect, it } from 'vitest';
import { producerSchema } from '../../../producer/config.ts';
import { createProducerService } from '../../../producer/service.ts';
import { systemClock } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import { startRedisWithUsers } from '../../support/redis-users.ts';
import { HttpStub } from '../client/http-stub.ts';
import { TOKEN } from '../producer/producer-fixture.ts';

it('tells of accounts, through failures and waits, and gives repeated requests their answer', async () => {
  const redis = await startRedisWithUsers();
  const stub = await HttpStub.open({ status: 500 }, { status: 204 });
  const producer = createProducerService({
    config: producerSchema.parse({
      http: { port: 0, tokens: [TOKEN] },
      limits: { default: { used: 2_000 } },
      dwell: '0s',
      webhooks: { perAccount: '1s' },
    }),
    endpoints: [
      { name: 'ops', url: stub.url, events: ['entered', 'left'], allowPrivate: true, secrets: [Buffer.alloc(32, 1)] },
    ],
    redis: { url: await redis.addUser({ role: 'producer' }), name: 'hobbler-producer' },
    clock: systemClock,
    log: silentLogger(),
  });
  try {
    await producer.start();
    for (const [used, window] of [
      [2_104, 'monday'],
      [3, 'tuesday'],
      [2_500, 'wednesday'],
    ]) {
      for (let n = 0; n < 2; n++) {
        const answer = await fetch(`${producer.url}/v1/readings`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${TOKEN}`,
            'content-type': 'application/json',
            'idempotency-key': `key-${window}`,
          },
          body: JSON.stringify({ account: 'alice', used, window }),
        });
        expect(answer.status).toBe(200);
      }
    }
    await expect
      .poll(() => stub.asked.map(({ body }) => JSON.parse(body).type), { timeout: 25_000 })
      .toEqual(['account.entered', 'account.entered']);
    expect(await redis.refusedTo({ role: 'producer' })).toEqual([]);
  } finally {
    await producer.stop();
    await stub.close();
    await redis.stop();
  }
});

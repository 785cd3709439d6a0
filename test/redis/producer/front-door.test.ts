/** The front door: who may do what, how much, and what a repeated request does. */
import { request as httpRequest } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ProducerService } from '../../../producer/service.ts';
import { fleetKeys } from '../../../shared/keys.ts';
import { type Answer, ask, ProducerFixture, TOKEN } from './producer-fixture.ts';

let fixture: ProducerFixture;
beforeAll(async () => {
  fixture = await ProducerFixture.open();
});
afterEach(() => fixture.clear());
afterAll(() => fixture.close());

const tokens = ['readings:write', 'orders:write', 'accounts:read', 'metrics:read'].map((scope) => ({
  name: scope.replace(':', '-'),
  token: `${TOKEN}-${scope}`,
  scopes: [scope],
}));
const order = { action: 'tarpit', host: '*', target: 'user:alice', reason: 'r', by: 'billing' };
const reading = { account: 'alice', used: 2_104 };

describe('a token', () => {
  const doors: [scope: string, path: string, body?: unknown][] = [
    ['readings:write', '/v1/readings', reading],
    ['orders:write', '/v1/orders', order],
    ['accounts:read', '/v1/accounts/alice'],
    ['metrics:read', '/metrics'],
  ];

  it('opens the doors of its scopes and no other, and is told which scope it lacks', async () => {
    const producer = await fixture.start({ http: { tokens } });
    for (const [scope, path, body] of doors) {
      for (const { token, scopes, name } of tokens) {
        const answer = await ask(producer, path, body, { token });
        if (scopes.includes(scope)) expect(answer.status, `${name} at ${path}`).toBeLessThan(300);
        else {
          expect(answer).toMatchObject({ status: 403, body: { error: { code: 'denied' } } });
          expect(answer.body.error.message).toContain(name);
          expect(answer.headers.get('www-authenticate')).toBe(`Bearer error="insufficient_scope", scope="${scope}"`);
        }
      }
    }
  });

  it('has its own allowance of readings, and says when there is more', async () => {
    const own = { ...tokens[0]!, readingsPerMinute: 60 };
    const producer = await fixture.start({ http: { tokens: [own, TOKEN] } });
    const batch = Array.from({ length: 60 }, (_, n) => ({ account: `user-${n}`, used: 1 }));
    expect((await ask(producer, '/v1/readings', batch, own)).status).toBe(200);
    const refused = await ask(producer, '/v1/readings', batch, own);
    expect(refused).toMatchObject({ status: 429, body: { error: { code: 'bound-exceeded' } } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(30);
    expect((await ask(producer, '/v1/readings', batch)).status).toBe(200);
  });
});

describe('too much at once', () => {
  /** Sends the head and the first bytes of a body, and no more; resolves when the door answers. */
  function begin(producer: ProducerService, announcedBytes: number) {
    const { hostname, port } = new URL(producer.url!);
    const headers = {
      authorization: `Bearer ${TOKEN}`,
      'content-type': 'application/json',
      'content-length': announcedBytes,
    };
    const sending = httpRequest({ hostname, port, path: '/v1/readings', method: 'POST', headers });
    const status = new Promise<number>((resolve) => {
      sending.on('response', (response) => {
        response.resume();
        resolve(response.statusCode!);
      });
      sending.on('error', () => resolve(0));
    });
    sending.write('[');
    return { status, end: () => sending.destroy() };
  }

  it('is refused before it is read: bodies in memory are bounded, and room is given back', async () => {
    const producer = await fixture.start();
    const open = Array.from({ length: 4 }, () => begin(producer, 8 * 1024 * 1024));
    // They are read as they come, so the fifth is refused once the four have been let in.
    let refused: Answer | undefined;
    await expect
      .poll(
        async () => {
          refused = await ask(producer, '/v1/readings', reading);
          return refused.status;
        },
        { timeout: 10_000 },
      )
      .toBe(429);
    expect(refused!.headers.get('retry-after')).toBe('1');
    for (const { end } of open) end();
    await expect.poll(async () => (await ask(producer, '/v1/readings', reading)).status, { timeout: 10_000 }).toBe(200);
  });
});

describe('while Redis answers nothing', () => {
  it('so much of each sender waits and no more; the others still get in', { timeout: 60_000 }, async () => {
    const other = `${TOKEN}-other`;
    const producer = await fixture.start({ http: { tokens: [TOKEN, other] } });
    const waiting = async () =>
      Number(/^hobbler_producer_readings_waiting(?:\{.*\})? (\d+)$/m.exec((await ask(producer, '/metrics')).body)?.[1]);
    const batch = Array.from({ length: 50_000 }, (_, n) => ({ account: `user-${n}`, used: 1 }));
    await fixture.server.pause();
    try {
      const sent = [ask(producer, '/v1/readings', batch), ask(producer, '/v1/readings', batch)];
      await expect.poll(waiting, { timeout: 10_000 }).toBe(100_000);
      const refused = await ask(producer, '/v1/readings', reading);
      expect(refused).toMatchObject({ status: 429, body: { error: { code: 'bound-exceeded' } } });
      expect(refused.body.error.message).toContain('of this sender');
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      // Let in, and told that it was not written down; so are those that waited, and nothing of theirs is kept.
      expect((await ask(producer, '/v1/readings', reading, { token: other })).status).toBe(503);
      for (const answer of await Promise.all(sent)) expect(answer.status).toBe(503);
      expect(await waiting()).toBe(0);
    } finally {
      await fixture.server.resume();
    }
    await expect.poll(async () => (await ask(producer, '/v1/readings', reading)).status, { timeout: 20_000 }).toBe(200);
  });
});

describe('a repeated request', () => {
  async function keyed(producer: ProducerService, path: string, body: unknown, key: string, token = TOKEN) {
    const response = await fetch(`${producer.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(body),
    });
    // biome-ignore lint/suspicious/noExplicitAny: looked into field by field
    const answer = { status: response.status, body: (await response.json()) as any };
    return { ...answer, isReplayed: response.headers.get('idempotency-replayed') === 'true' };
  }

  it('gives its order once, at whichever producer it arrives', async () => {
    const [one, other] = [await fixture.start(), await fixture.start()];
    const first = await keyed(one, '/v1/orders', order, 'k-1');
    const second = await keyed(other, '/v1/orders', order, 'k-1');
    expect(first).toMatchObject({ status: 202, isReplayed: false });
    expect(second).toEqual({ ...first, isReplayed: true });
    expect(await fixture.redis.xlen(fleetKeys.audit)).toBe(1);
    expect((await keyed(one, '/v1/orders', order, 'k-2')).body.order.version).toBeGreaterThan(first.body.order.version);
  });

  it('gets the same refusals of readings', async () => {
    const producer = await fixture.start();
    const batch = [reading, { account: 'bob' }];
    const first = await keyed(producer, '/v1/readings', batch, 'k');
    expect(first).toMatchObject({ status: 207, body: { accepted: 1, refused: [{ index: 1 }] } });
    expect(await keyed(producer, '/v1/readings', batch, 'k')).toEqual({ ...first, isReplayed: true });
  });

  it('is another request under another key, of another sender, and at another door', async () => {
    const producer = await fixture.start({ http: { tokens: [TOKEN, `${TOKEN}-2`] } });
    await keyed(producer, '/v1/orders', order, 'k');
    expect((await keyed(producer, '/v1/orders', order, 'k', `${TOKEN}-2`)).isReplayed).toBe(false);
    expect((await keyed(producer, '/v1/readings', reading, 'k')).isReplayed).toBe(false);
  });

  it('with another body is a mistake, and said', async () => {
    const producer = await fixture.start();
    await keyed(producer, '/v1/orders', order, 'k');
    expect(await keyed(producer, '/v1/orders', { ...order, target: 'user:bob' }, 'k')).toMatchObject({
      status: 422,
      body: { error: { message: expect.stringContaining('Idempotency-Key') } },
    });
  });

  it('while the first is at work waits for its answer', async () => {
    const producer = await fixture.start();
    const answers = await Promise.all(Array.from({ length: 5 }, () => keyed(producer, '/v1/orders', order, 'k')));
    expect(answers.filter(({ status, isReplayed }) => status === 202 && !isReplayed)).toHaveLength(1);
    for (const { status, body } of answers.filter(({ status }) => status !== 202)) {
      expect({ status, body }).toMatchObject({ status: 409, body: { error: { code: 'in-progress' } } });
    }
    expect(await fixture.redis.xlen(fleetKeys.audit)).toBe(1);
  });

  it('that failed is tried anew', async () => {
    const producer = await fixture.start({ http: { tokens: [{ ...tokens[0]!, readingsPerMinute: 1 }] } });
    const { token } = tokens[0]!;
    await keyed(producer, '/v1/readings', reading, 'k-1', token);
    for (let n = 0; n < 2; n++) {
      expect(await keyed(producer, '/v1/readings', reading, 'k-2', token)).toMatchObject({
        status: 429,
        isReplayed: false,
      });
    }
  });

  it.each(['', 'a b', 'x'.repeat(129), 'ü'])('needs a key that is one: %j is not', async (key) => {
    const producer = await fixture.start();
    const answer = await fetch(`${producer.url}/v1/readings`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(reading),
    });
    expect(answer.status).toBe(400);
  });

  it('with a long answer is judged again, which changes nothing, and Redis keeps no long answers', async () => {
    const producer = await fixture.start();
    const batch = Array.from({ length: 500 }, (_, n) => ({ account: `user-${n}`, used: -1 }));
    const first = await keyed(producer, '/v1/readings', batch, 'k');
    expect(await keyed(producer, '/v1/readings', batch, 'k')).toEqual(first);
    expect(await fixture.redis.keys('hobbler:idempotency:*')).toEqual([]);
  });
});

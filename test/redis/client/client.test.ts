/** The client that programs import: against a real producer, and against servers that are full, broken, or none. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Reading } from '../../../client/messages.ts';
import { createProducer, ProducerError } from '../../../client/producer.ts';
import type { ProducerService } from '../../../producer/service.ts';
import { ProducerFixture, TOKEN } from '../producer/producer-fixture.ts';
import { HttpStub, type Reply } from './http-stub.ts';

describe('with a producer', () => {
  let fixture: ProducerFixture;
  let service: ProducerService;
  beforeAll(async () => {
    fixture = await ProducerFixture.open();
  });
  beforeEach(async () => {
    service = await fixture.start();
    await fixture.beat('web-1');
  });
  afterEach(() => fixture.clear());
  afterAll(() => fixture.close());
  const client = (options: object = {}) => createProducer({ url: service.url!, token: TOKEN, ...options });

  test('readings go in, an order comes of them, and the account tells why', async () => {
    const sent = await client().sendReadings([
      { account: 'alice', used: 2_104 },
      { account: 'bob', used: 3 },
    ]);
    expect(sent).toEqual({ accepted: 2, refused: 0, refusals: [] });
    await expect.poll(() => fixture.standing('*', 'user:alice')).toMatchObject({ action: 'tarpit', account: 'alice' });
    expect(await client().account('alice')).toMatchObject({ account: 'alice', isSlowed: true });
    expect(await client().account('bob')).toMatchObject({ isSlowed: false });
    expect(await client().account('nobody / else')).toBeNull();
  });

  test('of a long stream every refusal is named by its place, whatever batch it was in', async () => {
    async function* readings(): AsyncGenerator<Reading> {
      for (let n = 0; n < 95; n++) yield { account: `user-${n}`, used: n % 10 === 7 ? -1 : n };
    }
    const told: number[] = [];
    const result = await client({ batchReadings: 20 }).sendReadings(readings(), {
      onRefused: ({ index, why }) => {
        expect(why).toContain('used');
        told.push(index);
      },
    });
    expect(told).toEqual([7, 17, 27, 37, 47, 57, 67, 77, 87]);
    expect(result).toMatchObject({ accepted: 86, refused: 9, refusals: told.map((index) => ({ index })) });
  });

  test('a batch of which nothing is taken is no error: its readings are', async () => {
    expect(await client().sendLines(['{', '', '{"account":"a"}'])).toMatchObject({
      accepted: 0,
      refused: 2,
      refusals: [
        { index: 0, why: expect.stringContaining('not JSON') },
        { index: 2, why: expect.stringContaining('used') },
      ],
    });
  });

  test('a line that is too long is refused here, in the words of the producer', async () => {
    const long = `{"account":"${'x'.repeat(20_000)}"}`;
    const { refusals } = await client().sendLines([long]);
    const answer = await fetch(`${service.url}/v1/readings`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-ndjson' },
      body: long,
    });
    expect(refusals).toEqual(((await answer.json()) as { refused: unknown }).refused);
  });

  test('orders are given', async () => {
    const { order, jobs } = await client().order({
      action: 'tarpit',
      host: 'web-1',
      target: 'user:carol',
      for: '5m',
      reason: 'by hand',
      by: 'billing',
    });
    expect(order).toMatchObject({ action: 'tarpit', target: 'user:carol', by: 'billing' });
    expect(Object.keys(jobs)).toEqual(['web-1']);
    const wrong = client().order({ action: 'tarpit', host: 'web-1', target: 'user:', reason: 'x', by: 'billing' });
    await expect(wrong).rejects.toMatchObject({ name: 'ProducerError', status: 400, code: 'invalid-input' });
  });

  test('a wrong token is not tried again', async () => {
    const refused = client({ token: 'not-the-token-of-this-one' }).sendReadings([{ account: 'a', used: 1 }]);
    await expect(refused).rejects.toMatchObject({ status: 401, code: 'unauthorized' });
  });

  test('while Redis is away it waits, and no reading is lost', async () => {
    await fixture.server.pause();
    const waits: string[] = [];
    const sending = client({ onWaiting: (why: string) => waits.push(why) }).sendReadings([
      { account: 'dora', used: 2_500 },
    ]);
    await expect.poll(() => waits.length, { timeout: 20_000 }).toBeGreaterThan(0);
    await fixture.server.resume();
    expect(await sending).toMatchObject({ accepted: 1 });
    await expect
      .poll(() => fixture.standing('*', 'user:dora'), { timeout: 10_000 })
      .toMatchObject({ action: 'tarpit' });
  });
});

describe('with a server that is', () => {
  let stub: HttpStub | undefined;
  afterEach(() => stub?.close());
  const READING: Reading = { account: 'a', used: 1 };
  const done: Reply = { status: 200, body: { accepted: 1, refused: [] } };
  const full: Reply = {
    status: 429,
    headers: { 'retry-after': '0' },
    body: { error: { code: 'bound-exceeded', message: 'too many readings wait' } },
  };

  const open = async (...replies: [Reply, ...Reply[]]) => {
    stub = await HttpStub.open(...replies);
    return stub;
  };

  test('full for a while: the same request again, under the same key, when it said', async () => {
    const { url, asked } = await open(full, full, done);
    const waits: number[] = [];
    const client = createProducer({ url, onWaiting: (_why, pauseMs) => waits.push(pauseMs) });
    expect(await client.sendReadings([READING])).toMatchObject({ accepted: 1 });
    expect(waits).toEqual([0, 0]);
    expect(new Set(asked.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    expect(new Set(asked.map(({ body }) => body))).toEqual(new Set(['{"account":"a","used":1}']));
    await client.sendReadings([READING]);
    expect(asked[3]!.headers['idempotency-key']).not.toBe(asked[0]!.headers['idempotency-key']);
  });

  test.each<[string, Reply]>([
    ['breaking connections', 'break'],
    ['a proxy without an upstream', { status: 502, body: '<html>Bad Gateway</html>' }],
    ['at work on the first try still', { status: 409, body: { error: { code: 'in-progress', message: 'wait' } } }],
  ])('%s, once: tried again', async (_title, reply) => {
    const { url, asked } = await open(reply, done);
    expect(await createProducer({ url }).sendReadings([READING])).toMatchObject({ accepted: 1 });
    expect(asked).toHaveLength(2);
  });

  test('full for ever: given up after the time that was given, with its own words', async () => {
    const { url } = await open({ ...full, headers: { 'retry-after': '30' } });
    const sending = createProducer({ url, retryForMs: 5_000 }).sendReadings([READING]);
    await expect(sending).rejects.toMatchObject({
      status: 429,
      code: 'bound-exceeded',
      message: 'too many readings wait',
    });
  });

  test('silent: given up as unreachable', async () => {
    const { url } = await open('silence');
    const sending = createProducer({ url, retryForMs: 0, timeoutMs: 50 }).sendReadings([READING]);
    await expect(sending).rejects.toMatchObject({ status: null, code: 'unreachable' });
  });

  test('not there: given up as unreachable, with the reason of the system', async () => {
    const { url } = await open(done);
    await stub!.close();
    const sending = createProducer({ url, retryForMs: 0 }).sendReadings([READING]);
    await expect(sending).rejects.toThrow(/ECONNREFUSED/);
    await expect(sending).rejects.toBeInstanceOf(ProducerError);
  });

  test.each<[string, Reply]>([
    ['another service', { status: 200, body: '<html>hello</html>' }],
    ['another API', { status: 200, body: { ok: true } }],
  ])('%s: said, and nothing counted as taken', async (_title, reply) => {
    const { url } = await open(reply);
    await expect(createProducer({ url }).sendReadings([READING])).rejects.toMatchObject({ code: 'not-a-producer' });
  });

  test('pointing elsewhere: the token is not carried there', async () => {
    const elsewhere = await HttpStub.open(done);
    const { url } = await open({ status: 307, headers: { location: `${elsewhere.url}/v1/readings` } });
    const sending = createProducer({ url, token: TOKEN, retryForMs: 0 }).sendReadings([READING]);
    await expect(sending).rejects.toMatchObject({ status: null });
    expect(elsewhere.asked).toEqual([]);
    await elsewhere.close();
  });

  test('behind a path of a proxy: asked there, with the token', async () => {
    const { url, asked } = await open(done);
    await createProducer({ url: `${url}/tarpit`, token: TOKEN }).sendReadings([READING]);
    expect(asked[0]).toMatchObject({ method: 'POST', path: '/tarpit/v1/readings' });
    expect(asked[0]!.headers.authorization).toBe(`Bearer ${TOKEN}`);
  });

  test('called off while it waits: ended with the reason', async () => {
    const { url } = await open({ ...full, headers: { 'retry-after': '30' } });
    const calling = new AbortController();
    const client = createProducer({ url, onWaiting: () => calling.abort(new Error('enough')) });
    await expect(client.sendReadings([READING], { signal: calling.signal })).rejects.toThrow('enough');
  });

  test('given large readings: no request is larger than half of what a producer takes', async () => {
    const { url, asked } = await open(done);
    const line = JSON.stringify({ account: 'a', used: 1, window: 'x'.repeat(15_000) });
    await createProducer({ url }).sendLines(Array(600).fill(line));
    expect(asked.length).toBeGreaterThan(1);
    expect(Math.max(...asked.map(({ body }) => body.length))).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(asked.reduce((lines, { body }) => lines + body.split('\n').length, 0)).toBe(600);
  });
});

test.each([['ftp://x'], ['nonsense'], ['']])('%j is no address of a producer', (url) => {
  expect(() => createProducer({ url })).toThrow(TypeError);
});

test.each([0, 1.5, 1_001])('%d readings are no batch', (batchReadings) => {
  expect(() => createProducer({ url: 'http://127.0.0.1:1', batchReadings })).toThrow(TypeError);
});

/** From a reading to the order that stands in Redis, and back out, through the doors that accounting systems use. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { emptyState } from '../../../producer/policy/state.ts';
import { explainedKey, fleetKeys, historyKey, hostKeys, ledgerKey } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { Order } from '../../../shared/order.ts';
import { redisNowMs } from '../../../shared/redis/connection.ts';
import { OrderIssuer } from '../../../shared/redis/issuer.ts';
import { until } from '../../support/until.ts';
import { ask, ProducerFixture } from './producer-fixture.ts';

let fixture: ProducerFixture;
beforeAll(async () => {
  fixture = await ProducerFixture.open();
});
afterEach(() => fixture.clear());
afterAll(() => fixture.close());

const over = { account: 'alice', used: 2104 };
/** Waits for the order that stands for alice on the fleet to be of this kind. */
const untilOrdered = async (action: string, host = '*', target = 'user:alice'): Promise<Order> => {
  const isOrdered = async () => {
    const order = await fixture.standing(host, target);
    return order?.action === action ? order : undefined;
  };
  return (await until(isOrdered, { deadlineMs: 3_000, what: `${action} of ${target} on ${host}` })) as Order;
};

describe('readings', () => {
  it('over the limit put the account into the tarpit on every host, and wake those that are alive', async () => {
    await fixture.beat('web-1');
    const producer = await fixture.start();
    expect(await ask(producer, '/v1/readings', over)).toMatchObject({
      status: 200,
      body: { accepted: 1, refused: [] },
    });
    const order = await untilOrdered('tarpit');
    expect(order).toMatchObject({
      by: 'policy',
      account: 'alice',
      reason: expect.stringMatching(/^cpu 2104 s of 2000 s, until 00:00 UTC$/),
      hobble: { runMs: 10, stopMs: 200, mechanism: 'auto' },
    });
    await until(async () => (await fixture.jobs('web-1')).length > 0, { deadlineMs: 2_000, what: 'a job' });
    expect(await fixture.jobs('web-1')).toEqual(['tarpit user:alice']);
  });

  it('of a new window below the limit let it go again', async () => {
    const producer = await fixture.start();
    await ask(producer, '/v1/readings', { ...over, window: 'monday' });
    await untilOrdered('tarpit');
    await ask(producer, '/v1/readings', { ...over, used: 3, window: 'tuesday' });
    expect(await untilOrdered('untarpit')).toMatchObject({ reason: 'new window: cpu 3 s of 2000 s' });
    await until(
      async () => (await fixture.redis.hkeys(ledgerKey('alice'))).every((field) => !field.startsWith('owed')),
      {
        deadlineMs: 2_000,
        what: 'the debt being settled',
      },
    );
  });

  it('that come no more: the reset lets the account go by itself', async () => {
    const producer = await fixture.start();
    await ask(producer, '/v1/readings', { ...over, resetsAt: new Date(Date.now() + 1_200).toISOString() });
    const order = await untilOrdered('tarpit');
    expect((order as { expiresAt: number }).expiresAt - order.issuedAt).toBeLessThanOrEqual(1_200);
    expect(await untilOrdered('untarpit')).toMatchObject({ reason: expect.stringMatching(/^the window reset at/) });
  });

  it('may name host and target themselves, and come as an array or as lines', async () => {
    await fixture.beat('web-1');
    const producer = await fixture.start();
    const batch = [
      { account: 'a', used: 1, limit: 1, host: 'web-1', target: 'uid:1001' },
      { account: 'b', used: -1 },
      { account: 'c', used: 1, limit: 1 },
    ];
    const refused = [{ index: 1, why: 'reading.used: Too small: expected number to be >=0; got -1' }];
    expect(await ask(producer, '/v1/readings', batch)).toMatchObject({ status: 207, body: { accepted: 2, refused } });
    await untilOrdered('tarpit', 'web-1', 'uid:1001');
    await untilOrdered('tarpit', '*', 'user:c');

    const lines = `${JSON.stringify({ account: 'd', used: 9, limit: 1 })}\n{nonsense\n\n`;
    const answer = await ask(producer, '/v1/readings', lines, { type: 'application/x-ndjson' });
    expect(answer).toMatchObject({ status: 207, body: { accepted: 1, refused: [{ index: 1 }] } });
    await untilOrdered('tarpit', '*', 'user:d');
  });

  it('a batch of 10,000 is judged within seconds, and its orders all stand', { timeout: 60_000 }, async () => {
    const producer = await fixture.start();
    const batch = Array.from({ length: 10_000 }, (_, n) => ({ account: `user-${n}`, used: n % 10 === 0 ? 2104 : 5 }));
    const startMs = performance.now();
    expect(await ask(producer, '/v1/readings', batch)).toMatchObject({ status: 200, body: { accepted: 10_000 } });
    expect(performance.now() - startMs).toBeLessThan(5_000);
    await until(async () => (await fixture.redis.hlen(fleetKeys.desired)) === 1_000, {
      deadlineMs: 20_000,
      what: '1,000 orders',
    });
  });

  it('of two batches at once about one account are judged one after the other', async () => {
    const producer = await fixture.start();
    const readings = Array.from({ length: 40 }, (_, n) =>
      ask(producer, '/v1/readings', { ...over, used: 1900 + n * 10 }),
    );
    for (const { status } of await Promise.all(readings)) expect(status).toBe(200);
    await untilOrdered('tarpit');
  });

  it('from a file or a stream of lines are fed and counted', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hobbler-readings-'));
    try {
      await writeFile(join(dir, 'readings.jsonl'), `${JSON.stringify(over)}\nnonsense\n`);
      const producer = await fixture.start({ sources: { files: [join(dir, 'readings.jsonl'), join(dir, 'none')] } });
      expect(await producer.filesFed).toMatchObject([{ accepted: 1, refused: 1, refusals: [{ line: 2 }] }]);
      await untilOrdered('tarpit');
      expect(await producer.feed(Readable.from(['{"account":"bob","used":1}\n']))).toMatchObject({ accepted: 1 });
      await expect(producer.feedFile(join(dir, 'none'))).rejects.toThrow(/none: cannot be read/);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('in a dry run are judged, and nothing is ordered', async () => {
    const producer = await fixture.start({ dryRun: true });
    await ask(producer, '/v1/readings', over);
    const page = await ask(producer, '/v1/accounts/alice');
    expect(page.body).toMatchObject({ isSlowed: true });
    expect(
      await ask(producer, '/v1/orders', { action: 'tarpit', host: '*', target: 'user:a', reason: 'r', by: 'b' }),
    ).toMatchObject({
      status: 200,
      body: { dryRun: true, order: null },
    });
    const keys = await fixture.redis.keys('*hobbler*');
    expect(keys).toContain(ledgerKey('alice'));
    const memory = [ledgerKey('alice'), historyKey('alice'), explainedKey('alice')];
    expect(keys.filter((key) => !memory.includes(key))).toEqual([]);
  });
});

describe('a producer that was away', () => {
  it('renews what stood, and lets go at once whose window reset meanwhile', async () => {
    const first = await fixture.start({ leaseMs: 3_000 });
    await ask(first, '/v1/readings', [over, { account: 'bob', used: 9, limit: 1, resetsAt: Date.now() + 900 }]);
    const before = await untilOrdered('tarpit');
    await untilOrdered('tarpit', '*', 'user:bob');
    await first.stop();
    await until(() => Date.now() > before.issuedAt + 1_000, { deadlineMs: 2_000, what: "the reset of bob's window" });
    await fixture.start({ leaseMs: 3_000 });
    await until(async () => ((await fixture.standing('*', 'user:alice'))?.version ?? 0) > before.version, {
      deadlineMs: 3_000,
      what: 'a renewal',
    });
    await untilOrdered('untarpit', '*', 'user:bob');
  });

  it('gives the untarpit that it owed when it died', async () => {
    const first = await fixture.start();
    await ask(first, '/v1/readings', { ...over, window: 'a' });
    await untilOrdered('tarpit');
    await first.stop();
    // As if it had died between writing the verdict down and giving the order.
    await fixture.redis.hset(ledgerKey('alice'), {
      'state:account': JSON.stringify(emptyState('alice', 'account')),
      'owed:account': JSON.stringify({ sinceMs: Date.now(), places: [{ host: '*', target: 'user:alice' }] }),
    });
    await fixture.start();
    expect(await untilOrdered('untarpit')).toMatchObject({ reason: 'nothing keeps it in', by: 'policy' });
    await until(async () => (await fixture.redis.hexists(ledgerKey('alice'), 'owed:account')) === 0, {
      deadlineMs: 2_000,
      what: 'the debt being settled',
    });
  });

  it('lets go of what an older hobbler had in the tarpit, and judges it anew', async () => {
    const record = { v: 1, account: 'alice', verdict: 'tarpit', places: [{ host: '*', target: 'user:alice' }] };
    await fixture.redis.hset(ledgerKey('alice'), 'record:account', JSON.stringify(record));
    const producer = await fixture.start();
    await untilOrdered('untarpit');
    await ask(producer, '/v1/readings', over);
    await untilOrdered('tarpit');
    expect((await fixture.redis.hkeys(ledgerKey('alice'))).sort()).toEqual([
      'places:account',
      'revision',
      'state:account',
    ]);
  });

  it('that never comes back sets everyone free: orders are leases, renewed while it lives (invariant 2)', async () => {
    const producer = await fixture.start({ leaseMs: 3_000 });
    await ask(producer, '/v1/readings', over);
    const first = await untilOrdered('tarpit');
    const renewed = await until(
      async () => {
        const order = await fixture.standing('*', 'user:alice');
        return order && order.version > first.version ? order : undefined;
      },
      { deadlineMs: 3_000, what: 'a renewal' },
    );
    await producer.stop();
    const { expiresAt } = renewed as { expiresAt: number };
    expect(expiresAt - (await redisNowMs(fixture.redis))).toBeLessThanOrEqual(3_000);
    expect(await fixture.standing('*', 'user:alice')).toEqual(renewed);
  });

  it.each([
    ['no JSON', '{"v":2,'],
    ['another shape', '{"v":2,"standing":{"hobble":{}}}'],
    ['the state of a newer hobbler', '{"v":3}'],
  ])('never tarpits on a ledger with %s in it, and says so', async (_title, text) => {
    await fixture.redis.hset(ledgerKey('alice'), { 'state:account': text, meter: 'x', 'owed:account': '7' });
    const producer = await fixture.start();
    const page = await ask(producer, '/v1/accounts/alice');
    expect(page.body).toMatchObject({ isSlowed: false, unreadable: ['state:account', 'meter', 'owed:account'] });
    expect(await fixture.standing('*', 'user:alice')).toBeUndefined();
    await ask(producer, '/v1/readings', { account: 'alice', used: 1 });
    await untilOrdered('untarpit');
    expect((await ask(producer, '/v1/accounts/alice')).body).toMatchObject({ verdicts: [{ limits: [{ used: 1 }] }] });
  });

  it('a ledger key that is no hash at all keeps no account from being judged', async () => {
    await fixture.redis.set(ledgerKey('alice'), 'surprise');
    const producer = await fixture.start();
    expect(await ask(producer, '/v1/readings', [over, { account: 'bob', used: 2104 }])).toMatchObject({ status: 200 });
    await untilOrdered('tarpit');
    await untilOrdered('tarpit', '*', 'user:bob');
  });
});

describe('beside others who give orders', () => {
  it("an operator's release of one host outlasts the policy's renewals", async () => {
    await fixture.beat('web-1');
    const producer = await fixture.start({ leaseMs: 3_000 });
    await ask(producer, '/v1/readings', over);
    const given = await untilOrdered('tarpit');
    const issuer = new OrderIssuer(fixture.redis, undefined, silentLogger());
    await issuer.issue({
      action: 'untarpit',
      host: 'web-1',
      target: 'user:alice',
      reason: 'asked',
      by: 'operator:eve',
    });
    await until(async () => (await ask(producer, '/v1/accounts/alice')).body.isSlowed === false, {
      deadlineMs: 3_000,
      what: 'the producer keeping out',
    });
    const { version } = (await fixture.standing('*', 'user:alice')) ?? { version: 0 };
    expect((await fixture.standing('web-1', 'user:alice'))?.version).toBeGreaterThan(version);
    expect(version).toBeGreaterThanOrEqual(given.version);
  });

  it('an accounting system that decides itself gives orders by HTTP', async () => {
    await fixture.beat('web-1');
    const producer = await fixture.start();
    const body = { action: 'tarpit', host: 'web-1', target: 'user:alice', for: '30m', reason: 'over', by: 'billing' };
    const answer = await ask(producer, '/v1/orders', body);
    expect(answer).toMatchObject({ status: 202, body: { order: { by: 'billing', v: 1, host: 'web-1' } } });
    expect(answer.body.order.expiresAt - answer.body.order.issuedAt).toBe(1_800_000);
    expect(Object.keys(answer.body.jobs)).toEqual(['web-1']);
    expect(await fixture.standing('web-1', 'user:alice')).toEqual(answer.body.order);
  });
});

describe("the workers' meter", () => {
  const write = async (host: string, boot: string, seconds: Record<string, number>) => {
    await fixture.redis.sadd(fleetKeys.hosts, host);
    const fields = Object.entries(seconds).map(([target, value]) => [target, value.toFixed(2)]);
    await fixture.redis.hset(hostKeys.meter(host), {
      boot,
      at: String(await redisNowMs(fixture.redis)),
      ...Object.fromEntries(fields),
    });
  };
  const used = async (producer: { url: string | null }, account: string) =>
    (await ask(producer, `/v1/accounts/${account}`))?.body.verdicts?.[0]?.limits[0]?.used as number | undefined;

  it('adds up over the fleet, through restarts of hosts and of the producer, and slows who is over', async () => {
    const section = { sources: { meter: { every: '100ms' } }, limits: { default: { used: 20 } } };
    await write('web-1', 'b1', { 'user:alice': 1_000, 'user:bob': 1 });
    await write('web-2', 'b1', { 'user:alice': 500 });
    await fixture.redis.set(hostKeys.meter('web-3'), 'no hash');
    await fixture.redis.sadd(fleetKeys.hosts, 'web-3');
    const first = await fixture.start(section);
    const untilUsed = (producer: { url: string | null }, expected: number) =>
      until(async () => Math.abs(((await used(producer, 'alice')) ?? -1) - expected) < 0.01, {
        deadlineMs: 3_000,
        what: `${expected} s used`,
      });
    await untilUsed(first, 0);
    await write('web-1', 'b1', { 'user:alice': 1_005 });
    await write('web-2', 'b2', { 'user:alice': 2 });
    await untilUsed(first, 7);
    await first.stop();
    await write('web-1', 'b1', { 'user:alice': 1_010 });
    const second = await fixture.start(section);
    await untilUsed(second, 12);
    expect(await fixture.standing('*', 'user:alice')).toBeUndefined();
    await write('web-1', 'b1', { 'user:alice': 1_018.5 });
    await untilUsed(second, 20.5);
    expect(await untilOrdered('tarpit')).toMatchObject({ reason: expect.stringMatching(/^cpu 20.5 s of 20 s/) });
    expect(await fixture.standing('*', 'user:bob')).toBeUndefined();
  });

  it('counts a uid for the account to which the config gives it', async () => {
    const accounts = { acme: { targets: [{ host: 'web-1', target: 'uid:1001' }] } };
    await write('web-1', 'b1', { 'uid:1001': 5, 'uid:1002': 5 });
    const producer = await fixture.start({ accounts, sources: { meter: { every: '100ms' } } });
    await until(async () => (await used(producer, 'acme')) === 0, { deadlineMs: 3_000, what: 'a first look' });
    await write('web-1', 'b1', { 'uid:1001': 2_500 });
    await untilOrdered('tarpit', 'web-1', 'uid:1001');
    expect(await fixture.redis.keys('hobbler:ledger:*')).toEqual([ledgerKey('acme')]);
  });
});

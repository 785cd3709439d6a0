/** Giving orders: versions grow whoever writes, signatures hold, and only hosts that live are woken. */
import { beforeAll, expect, it } from 'vitest';
import { fleetKeys, hostKeys } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import { MAX_LEASE_MS, type Order, parseOrder } from '../../../shared/order.ts';
import { openQueue } from '../../../shared/queue.ts';
import { redisNowMs } from '../../../shared/redis/connection.ts';
import { putDesired, readDesired, readFleetChanges } from '../../../shared/redis/desired.ts';
import { OrderIssuer, type OrderRequest } from '../../../shared/redis/issuer.ts';
import { generateKeys, parsePrivateKey, Verifier } from '../../../shared/signature.ts';
import { describeOnEveryServer } from '../../support/every-server.ts';
import { tarpitExample } from '../../support/orders.ts';
import { connectTest } from '../../support/redis.ts';
import { beat } from '../../support/reports.ts';

const REQUEST: OrderRequest = {
  action: 'tarpit',
  host: 'web-1',
  target: 'user:alice',
  forMs: 900_000,
  reason: 'cpu 2104 s of 2000 s today',
  by: 'policy',
};

describeOnEveryServer('the issuer', (on) => {
  let issuer: OrderIssuer;
  beforeAll(async () => {
    issuer = new OrderIssuer(on.redis, undefined, silentLogger());
  });
  const standing = async (host = 'web-1', target = 'user:alice') =>
    (await readDesired(on.redis, host)).records.get(target)?.order;
  const jobsOf = async (host: string) => {
    const queue = openQueue(host, on.redis);
    const jobs = await queue.getJobs(['waiting']);
    return jobs.map((job) => ({ name: job.name, order: job.data as Order }));
  };

  it('completes an order from Redis’s clock, writes it, and wakes its host with exactly that', async () => {
    const nowMs = await redisNowMs(on.redis);
    await beat(on.redis, 'web-1', nowMs);
    const { order, jobs } = await issuer.issue(REQUEST);
    expect(order).toMatchObject({ v: 1, host: 'web-1', hobble: { runMs: 10, stopMs: 200, mechanism: 'auto' } });
    expect(order.issuedAt).toBeGreaterThanOrEqual(nowMs);
    expect(order.version).toBe(order.issuedAt);
    expect(order).toHaveProperty('expiresAt', order.issuedAt + 900_000);
    expect(await standing()).toEqual(order);
    expect(Object.keys(jobs)).toEqual(['web-1']);
    expect(await jobsOf('web-1')).toEqual([{ name: 'tarpit', order }]);
  });

  it('gives a version above what stands, even when that is ahead of the clock', async () => {
    const aheadMs = (await redisNowMs(on.redis)) + 30_000;
    await putDesired(on.redis, tarpitExample({ version: aheadMs }));
    expect((await issuer.issue({ ...REQUEST, action: 'untarpit' })).order.version).toBe(aheadMs + 1);
  });

  it('overtakes a fleet order for the same target, so that an untarpit of one host counts there', async () => {
    const fleet = await issuer.issue({ ...REQUEST, host: '*' });
    const own = await issuer.issue({ ...REQUEST, action: 'untarpit' });
    expect(own.order.version).toBeGreaterThan(fleet.order.version);
  });

  it('lets eight issuers work on one target at once: no version twice, and the highest stands', async () => {
    const connections = Array.from({ length: 8 }, () => connectTest(on));
    const issued = await Promise.all(
      connections.map(async (connection, n) => {
        const own = new OrderIssuer(connection, undefined, silentLogger());
        const orders: Order[] = [];
        for (let round = 0; round < 5; round++)
          orders.push(
            await own.renew({ ...REQUEST, action: round % 2 ? 'untarpit' : 'tarpit', reason: `${n}.${round}` }),
          );
        return orders;
      }),
    );
    for (const connection of connections) connection.disconnect();
    const orders = issued.flat().sort((a, b) => a.version - b.version);
    expect(new Set(orders.map((order) => order.version)).size).toBe(40);
    expect(await standing()).toEqual(orders.at(-1));
  });

  it('signs what it writes, and the same bytes reach state and queue', async () => {
    const keys = generateKeys();
    const signer = { keyId: 'producer-1', privateKey: parsePrivateKey(keys.privateKeyPem, 'test') };
    const verifier = new Verifier([{ id: 'producer-1', role: 'producer', publicKey: keys.publicKey }]);
    await beat(on.redis, 'web-1', await redisNowMs(on.redis));
    await new OrderIssuer(on.redis, signer, silentLogger()).issue({ ...REQUEST, account: 'alice' });
    const record = (await readDesired(on.redis, 'web-1')).records.get('user:alice');
    expect(verifier.verify(record!.raw)).toEqual({ trusted: true });
    const [job] = await jobsOf('web-1');
    expect(verifier.verify(job!.order)).toEqual({ trusted: true });
    expect(verifier.verify({ ...job!.order, version: job!.order.version + 1 }).trusted).toBe(false);
  });

  it('wakes for a fleet order the hosts that live, late ones too, and no lost or unreadable one', async () => {
    const nowMs = await redisNowMs(on.redis);
    await beat(on.redis, 'alive', nowMs);
    await beat(on.redis, 'late', nowMs - 20_000);
    await beat(on.redis, 'lost', nowMs - 60_000);
    await on.redis.sadd(fleetKeys.hosts, 'never-beat', 'broken');
    await on.redis.set(hostKeys.status('broken'), '{');
    const { order, jobs } = await issuer.issue({ ...REQUEST, host: '*' });
    expect(Object.keys(jobs).sort()).toEqual(['alive', 'late']);
    expect(await jobsOf('lost')).toEqual([]);
    const { records } = await readFleetChanges(on.redis, 0);
    expect(records.get('user:alice')?.order).toEqual(order);
  });

  it('only writes for a host that is away: it reads the state when it comes back', async () => {
    expect((await issuer.issue(REQUEST)).jobs).toEqual({});
    expect(await standing()).toMatchObject({ action: 'tarpit' });
  });

  it('wakes nobody for a renewal', async () => {
    await beat(on.redis, 'web-1', await redisNowMs(on.redis));
    const order = await issuer.renew(REQUEST);
    expect(await standing()).toEqual(order);
    expect(await jobsOf('web-1')).toEqual([]);
  });

  it('puts untarpits and an operator’s orders before what waits', async () => {
    await beat(on.redis, 'web-1', await redisNowMs(on.redis));
    await issuer.issue(REQUEST);
    await issuer.issue({ ...REQUEST, target: 'user:bob' });
    await issuer.issue({ ...REQUEST, action: 'untarpit', target: 'user:eve' });
    // getJobs lists the newest end first; the last of it is fetched next
    expect((await jobsOf('web-1')).map(({ order }) => order.target)).toContain('user:eve');
    const next = (await on.redis.lrange('hobbler:{web-1}:orders:wait', -1, -1))[0];
    expect(await on.redis.hget(`hobbler:{web-1}:orders:${next}`, 'name')).toBe('untarpit');
  });

  it('never lets an order live longer than a day (invariant 2)', async () => {
    const { order } = await issuer.issue({ ...REQUEST, forMs: 30 * MAX_LEASE_MS });
    expect(order).toHaveProperty('expiresAt', order.issuedAt + MAX_LEASE_MS);
  });

  it.each<[string, Partial<OrderRequest>, RegExp]>([
    ['a broken target', { target: 'pid:1' }, /order\.target: .*start time/],
    ['no time to live', { forMs: 0 }, /order\.expiresAt: expected later than issuedAt/],
    ['a stop phase past its bound', { hobble: { stopMs: 60_000 } }, /order\.hobble\.stopMs: /],
    ['a host of another form', { host: 'Web_1' }, /order\.host: /],
  ])('refuses %s and writes nothing', async (__, changes, message) => {
    await expect(issuer.issue({ ...REQUEST, ...changes })).rejects.toThrow(message);
    expect(await on.redis.keys('hobbler:*')).toEqual([]);
  });

  it('writes down who ordered what and why', async () => {
    const { order } = await issuer.issue({ ...REQUEST, by: 'operator:ann' });
    const [entry] = await on.redis.xrevrange(fleetKeys.audit, '+', '-', 'COUNT', 1);
    const fields = Object.fromEntries(pairs(entry![1]));
    expect(fields).toEqual({
      action: 'tarpit',
      host: 'web-1',
      target: 'user:alice',
      ...(REQUEST.account === undefined ? {} : { account: REQUEST.account }),
      version: String(order.version),
      reason: REQUEST.reason,
      by: 'operator:ann',
    });
  });

  it('writes down which act an order is part of, in the audit and not in the order', async () => {
    const { order, entry, jobs } = await issuer.issue({ ...REQUEST, act: '5-0' }, false);
    const [[id, flat]] = (await on.redis.xrevrange(fleetKeys.audit, '+', '-', 'COUNT', 1)) as [[string, string[]]];
    expect(id).toBe(entry);
    expect(Object.fromEntries(pairs(flat))).toMatchObject({ act: '5-0' });
    expect(order).not.toHaveProperty('act');
    expect(jobs).toEqual({});
  });

  it('gives orders that its own schema takes', async () => {
    const { order } = await issuer.issue({ ...REQUEST, hobble: { runMs: 20, every: true } });
    expect(parseOrder(JSON.parse(JSON.stringify(order)))).toEqual(order);
    expect(order).toMatchObject({ hobble: { runMs: 20, stopMs: 200, every: true } });
  });
});

function pairs(list: string[]): [string, string][] {
  return Array.from({ length: list.length / 2 }, (_, n) => [list[2 * n]!, list[2 * n + 1]!]);
}

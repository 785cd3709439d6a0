/** The acts beyond a single release: by hand, for longer, kept out, the fleet at once, a host that is gone. On a real Redis. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AdminService } from '../../../admin/service.ts';
import { fleetKeys, hostKeys, ledgerKeys } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import { type Order, parseOrderText } from '../../../shared/order.ts';
import { openQueue } from '../../../shared/queue.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { OrderIssuer } from '../../../shared/redis/issuer.ts';
import { type Pin, readPins } from '../../../shared/redis/pins.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { Browser, nextReading, startAdmin, writeHost, writeReport } from './admin-fixture.ts';

let server: TestRedis;
let redis: Redis;
let admin: AdminService;
let operator: Browser;

beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
  const started = await startAdmin(server.url);
  admin = started.admin;
  operator = await new Browser(started.url).logIn('ann');
});
afterAll(async () => {
  await admin?.stop();
  redis?.disconnect();
  await server?.stop();
});
beforeEach(async () => {
  await writeHost(redis, 'web-1');
  await writeHost(redis, 'web-2');
});
afterEach(() => server.flush());

async function tarpit(host: string, target: string, account: string, reportedOn: string[]): Promise<Order> {
  const issuer = new OrderIssuer(redis, undefined, silentLogger());
  const request = { action: 'tarpit' as const, host, target, account, reason: 'cpu', by: 'policy', forMs: 900_000 };
  const { order } = await issuer.issue(request);
  for (const name of reportedOn) await writeReport(redis, name, { target, account, version: order.version });
  return order;
}

/** Does it, and returns the page that follows what comes of it. */
async function act(path: string, fields: Record<string, string>): Promise<{ at: string; page: string }> {
  const response = await operator.submit(path, { reason: 'because', ...fields });
  const at = response.headers.get('location') ?? '';
  expect(at, await response.text()).toMatch(/^\/audit\/\d+-\d+$/);
  return { at, page: await (await operator.get(at)).text() };
}

async function later(at: string): Promise<string> {
  await nextReading();
  return (await operator.get(at)).text();
}

async function desired(key: string): Promise<Record<string, Order>> {
  const records = await redis.hgetall(key);
  return Object.fromEntries(Object.entries(records).map(([target, text]) => [target, parseOrderText(text)]));
}
const pinOf = async (account: string): Promise<Pin | undefined> => (await readPins(redis)).pins.get(account);
const auditOf = async (act: string) =>
  (await redis.xrange(fleetKeys.audit, '-', '+'))
    .map(([, flat]) =>
      Object.fromEntries(Array.from({ length: flat.length / 2 }, (_, n) => [flat[2 * n]!, flat[2 * n + 1]!])),
    )
    .filter((fields) => fields.act === act);

describe('a tarpit by hand', () => {
  const wish = { host: 'web-1', target: 'user:bob', account: 'robert', for: '45m', level: 'tenth' };

  test('is shown before it is done, then given, and pending until the worker reports it', async () => {
    const look = await (await operator.get(`/tarpit?${new URLSearchParams({ ...wish, step: 'look' })}`)).text();
    expect(look).toContain('20 of 200 ms');
    expect(await redis.exists(hostKeys.desired('web-1'))).toBe(0);

    const { at, page } = await act('/tarpit', wish);
    expect(page).toContain('1 pending');
    const order = (await desired(hostKeys.desired('web-1')))['user:bob']!;
    expect(order).toMatchObject({
      action: 'tarpit',
      account: 'robert',
      by: 'operator:ann',
      reason: 'because',
      hobble: { runMs: 20, stopMs: 180, mechanism: 'auto' },
      expiresAt: order.issuedAt + 45 * 60_000,
    });
    await writeReport(redis, 'web-1', { target: 'user:bob', version: order.version, processes: 2 });
    expect(await later(at)).toContain('hobbling 2 processes by signal');
    await writeReport(redis, 'web-1', { target: 'user:bob', version: order.version, state: 'denied', why: 'exempt' });
    expect(await later(at)).toContain('denied: exempt');
  });

  test('takes a duty cycle and a mechanism of one’s own', async () => {
    await act('/tarpit', { ...wish, level: 'own', runMs: '30', stopMs: '70', mechanism: 'freezer' });
    const order = (await desired(hostKeys.desired('web-1')))['user:bob']!;
    expect(order).toMatchObject({ hobble: { runMs: 30, stopMs: 70, mechanism: 'freezer' } });
  });

  test('lasts longer when it is extended, at the same duty cycle and on the same hosts', async () => {
    const before = await tarpit('*', 'user:alice', 'alice', ['web-1', 'web-2']);
    await act('/extend', { host: 'web-2', target: 'user:alice', for: '2h' });
    const order = (await desired(fleetKeys.desired))['user:alice']!;
    expect(order).toMatchObject({ action: 'tarpit', by: 'operator:ann', hobble: { runMs: 10, stopMs: 200 } });
    expect(order.version).toBeGreaterThan(before.version);
    expect(order).toMatchObject({ expiresAt: order.issuedAt + 2 * 3_600_000 });
    expect(await redis.exists(hostKeys.desired('web-2'))).toBe(0);
  });
});

describe('a release', () => {
  test('that keeps the account out sets the pin first, and both are parts of one act', async () => {
    await tarpit('web-1', 'user:alice', 'alice', ['web-1']);
    const { at, page } = await act('/release', { host: 'web-1', target: 'user:alice', keep: '4h' });
    expect(page).toContain('1 pending');
    expect(page).toContain('1 done');
    const pin = await pinOf('alice');
    expect(pin).toMatchObject({ kind: 'release', by: 'operator:ann', why: 'because' });
    expect(pin!.untilMs! - pin!.setAtMs).toBe(4 * 3_600_000);
    const parts = await auditOf(at.slice('/audit/'.length));
    expect(parts.map(({ action, target }) => `${action} ${target}`)).toEqual(['pin alice', 'untarpit user:alice']);
    await redis.hdel(hostKeys.observed('web-1'), 'user:alice');
    expect(await later(at)).toContain('Done: the workers say so.');
    const form = await (await operator.get('/release?host=web-1&target=user:alice')).text();
    expect(form).not.toContain('alice is kept out of'); // nothing says whose it is any more
    expect(await (await operator.get('/exempt?account=alice')).text()).toContain('alice is kept out of');
  });

  test('of the fleet ends every order where it stands, and follows all of it', async () => {
    await tarpit('*', 'user:alice', 'alice', ['web-1', 'web-2']);
    await tarpit('web-1', 'user:bob', 'bob', ['web-1']);
    await tarpit('web-2', 'user:carol', 'carol', ['web-2']);
    expect(await (await operator.get('/release-fleet')).text()).toContain('3 untarpits, on 2 hosts');
    const { at, page } = await act('/release-fleet', {});
    expect(page).toContain('4 pending'); // alice on both
    for (const [key, target] of [
      [fleetKeys.desired, 'user:alice'],
      [hostKeys.desired('web-1'), 'user:bob'],
      [hostKeys.desired('web-2'), 'user:carol'],
    ] as const)
      expect((await desired(key))[target]).toMatchObject({ action: 'untarpit', by: 'operator:ann' });
    expect(await redis.exists(ledgerKeys.pins)).toBe(0);
    await redis.del(hostKeys.observed('web-1'), hostKeys.observed('web-2'));
    expect(await later(at)).toContain('Done: the workers say so.');
  });

  test('of a thousand targets answers soon, and shows how far it is', async () => {
    const order = await tarpit('web-1', 'user:alice', 'alice', ['web-1']);
    const pipeline = redis.pipeline();
    const report = await writeReport(redis, 'web-1', { target: 'user:alice', version: order.version });
    for (let uid = 0; uid < 1_000; uid++) {
      const one = JSON.stringify({ ...report, target: `uid:${uid}`, account: null });
      pipeline.hset(hostKeys.observed('web-1'), `uid:${uid}`, one);
    }
    await pipeline.exec();
    await nextReading();
    const { at } = await act('/release-host', { host: 'web-1' });
    const page = await until(
      async () => {
        const text = await later(at);
        return text.includes('still being given') ? null : text;
      },
      { deadlineMs: 20_000, what: 'all orders to be given' },
    );
    expect(page).toContain('1001 pending');
    expect(page).toContain('and 801 more');
  });
});

describe('an account', () => {
  test('that is kept out is pinned and let go everywhere, until that is lifted', async () => {
    await tarpit('*', 'user:alice', 'alice', ['web-1']);
    await tarpit('web-2', 'uid:1001', 'alice', ['web-2']);
    await tarpit('web-2', 'user:bob', 'bob', ['web-2']);
    await act('/exempt', { account: 'alice', keep: 'always' });
    expect(await pinOf('alice')).toMatchObject({ kind: 'release', untilMs: null });
    expect((await desired(fleetKeys.desired))['user:alice']!.action).toBe('untarpit');
    const own = await desired(hostKeys.desired('web-2'));
    expect([own['uid:1001']!.action, own['user:bob']!.action]).toEqual(['untarpit', 'tarpit']);

    const { page } = await act('/unexempt', { account: 'alice' });
    expect(page).toContain('Left to the policy: alice');
    expect(await pinOf('alice')).toBeUndefined();
  });

  test('may have any name that an accounting system gives it', async () => {
    const account = 'Åse & "co" <x> {1}:*';
    await act('/exempt', { account, keep: '1h' });
    expect(await pinOf(account)).toMatchObject({ kind: 'release' });
    expect(await (await operator.get(`/exempt?account=${encodeURIComponent(account)}`)).text()).toContain(
      'Åse &amp; &quot;co&quot;',
    );
  });
});

describe('a host that is gone for good', () => {
  test('is removed with all it left but its audit, and its queue', async () => {
    await tarpit('web-2', 'user:alice', 'alice', ['web-2']);
    await redis.xadd(hostKeys.audit('web-2'), '*', 'action', 'tarpit');
    await redis.set(hostKeys.hold('web-2'), '{}');
    await writeHost(redis, 'web-2', { beatAtMs: Date.now() - 3_600_000 });
    await nextReading();
    expect(await (await operator.get('/remove-host?host=web-2')).text()).toContain('Its last beat was');
    const { page } = await act('/remove-host', { host: 'web-2' });
    expect(page).toContain('it is gone from the list');
    expect(await redis.keys('hobbler:{web-2}:*')).toEqual([hostKeys.audit('web-2')]);
    expect(await redis.smembers(fleetKeys.hosts)).toEqual(['web-1']);
    await writeHost(redis, 'web-2');
    await nextReading();
    const entry = await redis.xrevrange(fleetKeys.audit, '+', '-', 'COUNT', 1);
    expect(await later(`/audit/${entry[0]![0]}`)).toContain('it has come back');
  });

  test('is not removed while it beats, whatever the form says', async () => {
    await openQueue('web-1', redis).add('tarpit', {});
    expect(await (await operator.get('/remove-host?host=web-1')).text()).not.toContain('<button class="danger"');
    const response = await operator.submit('/remove-host', { host: 'web-1', reason: 'r' });
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('still beats');
    expect(await redis.sismember(fleetKeys.hosts, 'web-1')).toBe(1);
    expect(await openQueue('web-1', redis).getJobCountByTypes('waiting')).toBe(1);
  });
});

test('a part that fails stops no other, and the act says which and why', async () => {
  await tarpit('web-1', 'user:alice', 'alice', ['web-1']);
  const report = await writeReport(redis, 'web-1', { target: 'user:bob', account: null });
  // A report of a target that no order can name, as a broken or newer worker might write.
  const broken = { ...report, target: 'odd:thing', account: null };
  await redis.hset(hostKeys.observed('web-1'), 'odd:thing', JSON.stringify(broken));
  await nextReading();
  const { page } = await act('/release-host', { host: 'web-1' });
  expect(page).toContain('1 not done');
  expect(page).toContain('2 pending');
  expect(page).toContain('odd:thing');
});

/** What an operator can do, what a viewer and a forger cannot, and what then stands in Redis. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Fleet } from '../../../admin/fleet/model.ts';
import type { AdminService } from '../../../admin/service.ts';
import { fleetKeys, hostKeys, ledgerKeys } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import { parseOrderText } from '../../../shared/order.ts';
import { openQueue } from '../../../shared/queue.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { OrderIssuer } from '../../../shared/redis/issuer.ts';
import { generateKeys, parsePrivateKey, Verifier } from '../../../shared/signature.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { HOSTILE } from '../../unit/admin/examples.ts';
import { Browser, nextReading, startAdmin, writeHost, writeReport } from './admin-fixture.ts';

const keys = generateKeys();
const verifier = new Verifier([{ id: 'admin-1', role: 'operator', publicKey: keys.publicKey }]);

let server: TestRedis;
let redis: Redis;
let admin: AdminService;
let url: string;
let operator: Browser;
let viewer: Browser;

beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
  const signer = { keyId: 'admin-1', privateKey: parsePrivateKey(keys.privateKeyPem, 'test') };
  ({ admin, url } = await startAdmin(server.url, { signer }));
  operator = await new Browser(url).logIn('ann');
  viewer = await new Browser(url).logIn('vic');
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

/** Gives an order as the producer would, and reports it as the workers would. */
async function tarpit(host: string, target: string, reportedOn: string[]) {
  const issuer = new OrderIssuer(redis, undefined, silentLogger());
  const { order } = await issuer.issue({
    action: 'tarpit',
    host,
    target,
    account: 'alice',
    reason: 'cpu',
    by: 'policy',
    forMs: 900_000,
  });
  for (const name of reportedOn) await writeReport(redis, name, { target, version: order.version });
  return order;
}

async function desiredOrder(key: string, target: string) {
  const text = await redis.hget(key, target);
  return text === null ? null : { text, order: parseOrderText(text) };
}

async function page(browser = operator): Promise<string> {
  await nextReading();
  return (await browser.get('/')).text();
}

describe('release', () => {
  test('writes a signed tombstone of a higher version, wakes the host, and shows as pending until the report is gone', async () => {
    const before = await tarpit('web-1', 'user:alice', ['web-1']);
    const form = await (await operator.get('/release?host=web-1&target=user:alice')).text();
    expect(form).toContain('Release user:alice on web-1');

    const response = await operator.submit('/release', {
      host: 'web-1',
      target: 'user:alice',
      reason: 'paid for more',
    });
    const result = response.headers.get('location')!;
    expect(result).toMatch(/^\/audit\/\d+-\d+$/);

    const { text, order } = (await desiredOrder(hostKeys.desired('web-1'), 'user:alice'))!;
    expect(order).toMatchObject({
      action: 'untarpit',
      account: 'alice',
      by: 'operator:ann',
      reason: 'paid for more',
      keyId: 'admin-1',
    });
    expect(order.version).toBeGreaterThan(before.version);
    expect(verifier.verify(JSON.parse(text))).toEqual({ trusted: true });
    const jobs = await openQueue('web-1', redis).getJobs();
    expect(jobs.map((job) => job.name)).toContain('untarpit');

    expect(await (await operator.get('/')).text()).toContain('release pending');
    const pending = await (await operator.get(result)).text();
    expect(pending).toContain('1 pending');
    expect(pending).toContain('paid for more');
    expect(pending).toContain('operator:ann');
    expect(pending).not.toContain('Done:');

    await redis.hdel(hostKeys.observed('web-1'), 'user:alice');
    expect(await page()).not.toContain('release pending');
    expect(await (await operator.get(result)).text()).toContain('Done: the workers say so.');
    expect(await (await viewer.get(result)).text()).toContain('Done: the workers say so.');
  });

  test('of the fleet’s order on one host only leaves the fleet’s order alone', async () => {
    const fleetOrder = await tarpit('*', 'user:alice', ['web-1', 'web-2']);
    const form = await (await operator.get('/release?host=web-1&target=user:alice')).text();
    expect(form).toContain('It stands under an order for the whole fleet.');
    await operator.submit('/release', { host: 'web-1', target: 'user:alice', reason: 'r' });
    expect((await desiredOrder(fleetKeys.desired, 'user:alice'))!.order).toMatchObject({ action: 'tarpit' });
    const own = (await desiredOrder(hostKeys.desired('web-1'), 'user:alice'))!.order;
    expect(own.action).toBe('untarpit');
    expect(own.version).toBeGreaterThan(fleetOrder.version);
    expect((await page()).match(/release pending/g)).toHaveLength(1);
  });

  test('everywhere writes the fleet’s tombstone, and is pending on each host that reports it', async () => {
    await tarpit('*', 'user:alice', ['web-1', 'web-2']);
    await operator.submit('/release', { host: '*', target: 'user:alice', reason: 'r' });
    expect((await desiredOrder(fleetKeys.desired, 'user:alice'))!.order.action).toBe('untarpit');
    const markup = await page();
    expect(markup.match(/release pending/g)).toHaveLength(2);
    expect(markup).toContain('waiting for web-1, web-2');
  });

  test('of all of a host writes a tombstone for each target, reported or only ordered, and for nothing else', async () => {
    await tarpit('web-1', 'user:alice', ['web-1']);
    await tarpit('*', 'user:bob', ['web-1', 'web-2']);
    await tarpit('web-1', 'user:new', []);
    expect(await (await operator.get('/release-host?host=web-1')).text()).toContain('Release 3 targets');
    const bulk = await operator.submit('/release-host', { host: 'web-1', reason: 'host is moved' });
    const orders = Object.values(await redis.hgetall(hostKeys.desired('web-1'))).map((text) => parseOrderText(text));
    expect(orders.map(({ action, target }) => `${action} ${target}`).sort()).toEqual([
      'untarpit user:alice',
      'untarpit user:bob',
      'untarpit user:new',
    ]);
    expect(await redis.exists(hostKeys.desired('web-2'))).toBe(0);
    expect(await (await operator.get(bulk.headers.get('location')!)).text()).toContain('2 pending');
  });

  test('stands in the audit with reason and name', async () => {
    await operator.submit('/release', { host: 'web-1', target: 'uid:1001', reason: `because ${HOSTILE}` });
    const audit = await (await operator.get('/audit')).text();
    expect(audit).toContain('untarpit');
    expect(audit).toContain('uid:1001');
    expect(audit).toContain('operator:ann');
    expect(audit).toContain('because &lt;script&gt;');
    expect(audit).not.toContain('<script>alert');
  });
});

describe('hold', () => {
  test('of a host and of the fleet is written, shown as pending until the worker holds, and lifted', async () => {
    await operator.submit('/hold', { host: 'web-1', reason: 'incident 12' });
    expect(JSON.parse((await redis.get(hostKeys.hold('web-1')))!)).toMatchObject({
      reason: 'incident 12',
      by: 'operator:ann',
    });
    expect(await page()).toContain('hold pending');
    await writeHost(redis, 'web-1', { hold: { scope: 'host', reason: 'incident 12' } });
    expect(await page()).not.toContain('hold pending');
    await operator.submit('/unhold', { host: 'web-1', reason: 'over' });
    expect(await redis.exists(hostKeys.hold('web-1'))).toBe(0);

    await operator.submit('/hold', { host: '*', reason: 'incident 13' });
    expect(await page()).toContain('The fleet is held.');
    await operator.submit('/unhold', { host: '*', reason: 'over' });
    expect(await redis.exists(fleetKeys.hold)).toBe(0);
    const audit = await (await operator.get('/audit')).text();
    for (const what of ['hold', 'unhold', 'incident 12', 'incident 13', 'every host']) expect(audit).toContain(what);
  });
});

describe('who may not act', () => {
  const ACTS: [string, Record<string, string>][] = [
    ['/release', { host: 'web-1', target: 'user:alice', reason: 'r' }],
    ['/release-host', { host: 'web-1', reason: 'r' }],
    ['/release-fleet', { reason: 'r' }],
    ['/tarpit', { host: 'web-1', target: 'user:bob', level: 'usual', for: '30m', reason: 'r' }],
    ['/extend', { host: 'web-1', target: 'user:alice', for: '1h', reason: 'r' }],
    ['/exempt', { account: 'alice', keep: '24h', reason: 'r' }],
    ['/unexempt', { account: 'alice', reason: 'r' }],
    ['/remove-host', { host: 'web-1', reason: 'r' }],
    ['/hold', { host: '*', reason: 'r' }],
    ['/unhold', { host: '*', reason: 'r' }],
  ];

  test.each(ACTS)('a viewer is refused %s, and sees no button for it', async (path, fields) => {
    await tarpit('web-1', 'user:alice', ['web-1']);
    expect((await viewer.submit(path, fields)).status).toBe(403);
    expect((await viewer.get(`${path}?host=web-1&target=user:alice&account=alice`)).status).toBe(403);
    expect(await page(viewer)).not.toContain(`href="${path}`);
    await nothingChanged();
  });

  test.each(ACTS)('a form for %s without the token of this session is refused', async (path, fields) => {
    await tarpit('web-1', 'user:alice', ['web-1']);
    for (const csrf of [undefined, '', 'forged', await viewer.csrf()]) {
      const response = await operator.post(path, { ...fields, ...(csrf === undefined ? {} : { csrf }) });
      expect(response.status).toBe(403);
      expect(await response.text()).toContain('this form is not of your session');
    }
    await nothingChanged();
  });

  test.each(ACTS)('a form for %s from another site is refused, even with the token', async (path, fields) => {
    await tarpit('web-1', 'user:alice', ['web-1']);
    const csrf = await operator.csrf();
    const response = await operator.post(path, { ...fields, csrf }, { origin: 'https://evil.example' });
    expect(response.status).toBe(403);
    await nothingChanged();
  });

  async function nothingChanged() {
    const { order } = (await desiredOrder(hostKeys.desired('web-1'), 'user:alice'))!;
    expect(order).toMatchObject({ action: 'tarpit', by: 'policy' });
    expect(await redis.hlen(hostKeys.desired('web-1'))).toBe(1);
    expect(await redis.exists(fleetKeys.hold, ledgerKeys.pins)).toBe(0);
    expect(await redis.sismember(fleetKeys.hosts, 'web-1')).toBe(1);
    expect(await redis.xlen(fleetKeys.audit)).toBe(1);
  }
});

describe('hostile input', () => {
  test.each<[string, Record<string, string>]>([
    ['/release', { host: 'web-1', target: HOSTILE, reason: 'r' }],
    ['/release', { host: HOSTILE, target: 'user:alice', reason: 'r' }],
    ['/release', { host: 'web-1}:desired', target: 'user:alice', reason: 'r' }],
    ['/release', { host: 'web-1', target: 'pid:1', reason: 'r' }],
    ['/release', { host: 'web-1', target: 'user:alice', reason: '' }],
    ['/release', { host: 'web-1', target: 'user:alice', reason: '   ' }],
    ['/release', { host: 'web-1', target: 'user:alice', reason: 'two\nlines' }],
    ['/release', { host: 'web-1', target: 'user:alice', reason: 'x'.repeat(501) }],
    ['/release', { host: 'web-1', target: `cgroup:/${'x'.repeat(2000)}`, reason: 'r' }],
    ['/release', { target: 'user:alice', reason: 'r' }],
    ['/release-host', { host: '*', reason: 'r' }],
    ['/hold', { host: '', reason: 'r' }],
    ['/hold', { reason: 'r' }],
    ['/unhold', { host: '../etc', reason: 'r' }],
    ['/release', { host: 'web-1', target: 'user:alice', reason: 'r', keep: 'for ever' }],
    ['/release-fleet', { reason: '' }],
    ['/tarpit', { host: 'web-1', target: 'user:bob', level: 'usual', for: '25h', reason: 'r' }],
    ['/tarpit', { host: 'web-1', target: 'user:bob', level: 'usual', for: '0s', reason: 'r' }],
    ['/tarpit', { host: 'web-1', target: 'user:bob', level: 'worst', for: '1h', reason: 'r' }],
    ['/tarpit', { host: 'web-1', target: 'user:bob', level: 'own', for: '1h', reason: 'r' }],
    ['/tarpit', { host: 'web-1', target: 'user:bob', level: 'own', runMs: '0', stopMs: '200', for: '1h', reason: 'r' }],
    ['/tarpit', { host: 'web-1', target: 'user:bob', level: 'own', runMs: '9', stopMs: '1e9', for: '1h', reason: 'r' }],
    ['/tarpit', { host: '*', target: 'pid:42@1', level: 'usual', for: '1h', reason: 'r' }],
    ['/extend', { host: 'web-1', target: 'user:alice', for: 'long', reason: 'r' }],
    ['/exempt', { account: 'a\u0000b', keep: '24h', reason: 'r' }],
    ['/exempt', { account: '', keep: '24h', reason: 'r' }],
    ['/exempt', { account: 'x'.repeat(257), keep: '24h', reason: 'r' }],
    ['/exempt', { account: 'alice', keep: 'no', reason: 'r' }],
    ['/remove-host', { host: '*', reason: 'r' }],
  ])('at POST %s is refused with 400 and words, and nothing is written: %o', async (path, fields) => {
    const keysBefore = await redis.dbsize();
    const response = await operator.submit(path, fields);
    expect(response.status).toBe(400);
    const text = await response.text();
    expect(text).toMatch(/expected|for how long/);
    expect(text).not.toContain('<script>alert');
    expect(await redis.dbsize()).toBe(keysBefore);
  });

  test('a field given twice is refused', async () => {
    const csrf = await operator.csrf();
    const body = `csrf=${csrf}&host=web-1&host=web-2&target=user:alice&reason=r`;
    const response = await operator.post(`/release`, {}, {});
    expect(response.status).toBe(403);
    const twice = await fetch(`${url}/release`, {
      method: 'POST',
      body,
      redirect: 'manual',
      headers: { cookie: operator.cookie, 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(twice.status).toBe(400);
  });

  test.each([
    '/?page=0',
    '/?page=x',
    '/?hosts=-1',
    '/?q=a&q=b',
    `/?q=${'x'.repeat(300)}`,
    '/audit?host=A',
    '/audit?before=1',
    '/audit?before=$',
    '/audit/x',
    '/audit/1',
    `/audit?by=${'x'.repeat(300)}`,
    '/tarpit?step=look&host=web-1&target=user:alice',
    '/exempt',
    '/remove-host?host=*',
    '/release?host=web-1&target=zz',
    '/release-host',
    '/hold?host=%00',
  ])('at GET %s is refused with 400', async (path) => {
    expect((await operator.get(path)).status).toBe(400);
  });

  test('a body that is too large, and one of an unknown type, are refused', async () => {
    expect((await operator.post('/hold', { reason: 'x'.repeat(100_000) })).status).toBe(413);
    expect((await operator.post('/hold', {}, { 'content-type': 'text/xml' })).status).toBe(415);
  });

  test('what is about a host, an order, a pin or an entry that is not there is refused with 404', async () => {
    expect((await operator.submit('/release-host', { host: 'no-such-host', reason: 'r' })).status).toBe(404);
    expect((await operator.submit('/remove-host', { host: 'no-such-host', reason: 'r' })).status).toBe(404);
    const extend = { host: 'web-1', target: 'user:alice', for: '1h', reason: 'r' };
    expect((await operator.submit('/extend', extend)).status).toBe(404);
    expect((await operator.submit('/unexempt', { account: 'alice', reason: 'r' })).status).toBe(404);
    expect((await operator.get('/audit/1-1')).status).toBe(404);
  });
});

test('records that cannot be read are shown, escaped, and hide nothing else', async () => {
  await tarpit('web-1', 'user:alice', ['web-1']);
  await redis.hset(hostKeys.observed('web-1'), 'user:broken', '{"v":1', HOSTILE, '[]', 'user:newer', '{"v":9}');
  await redis.hset(hostKeys.desired('web-1'), 'user:x', 'not an order');
  await redis.set(hostKeys.status('web-2'), '"no status"');
  await redis.set(hostKeys.hold('web-2'), 'not json <b>');
  await redis.sadd(fleetKeys.hosts, HOSTILE);
  const markup = await page();
  expect(markup).toContain('user:alice');
  expect(markup).toContain('web-2');
  for (const record of ['report of user:broken', 'report of user:newer', 'order for user:x', 'name in hobbler:hosts']) {
    expect(markup).toContain(record);
  }
  expect(markup).not.toMatch(/<script>alert|<img src=x|not json <b>/);
  const programs = (await (await operator.get('/api/fleet')).json()) as { fleet: Fleet };
  expect(programs.fleet.targets).toHaveLength(1);
  expect(programs.fleet.broken.length).toBeGreaterThanOrEqual(5);
});

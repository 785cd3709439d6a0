/**
 * The admin as an attacker tries it: from outside, from another site, as a viewer, by guessing, slowly; what its answers
 * and logs give away; and that each act stands in the audit with who and why.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AdminService } from '../../../admin/service.ts';
import { fleetKeys, hostKeys } from '../../../shared/keys.ts';
import { createLogger } from '../../../shared/log.ts';
import { openQueue } from '../../../shared/queue.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { STACK, sendRaw } from '../../support/raw-http.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { Browser, METRICS_TOKEN, PASSWORDS, startAdmin, writeHost } from './admin-fixture.ts';

let server: TestRedis;
let redis: Redis;
let admin: AdminService;
let url: string;
const lines: string[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
  const log = createLogger('test', 'trace', { write: (line: string) => void lines.push(line) });
  ({ admin, url } = await startAdmin(server.url, { log }));
  await writeHost(redis, 'web-1', {}, [{ target: 'user:alice' }]);
});
afterAll(async () => {
  await admin?.stop();
  redis?.disconnect();
  await server?.stop();
});

describe('who takes his time', () => {
  test('is cut off: with headers, with a body, in silence, and between requests', async () => {
    const limitMs = 18_000;
    const form =
      'POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 900\r\n\r\n';
    const [headers, body, silence, idle] = await Promise.all([
      sendRaw(url, 'GET / HTTP/1.1\r\n', { drip: 'X-A: b\r\n', limitMs }),
      sendRaw(url, form, { drip: 'a', limitMs }),
      sendRaw(url, '', { limitMs }),
      sendRaw(url, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n', { limitMs }),
    ]);
    expect(headers.closedAfterMs).toBeLessThan(8_000);
    expect(body.closedAfterMs).toBeLessThan(13_000);
    expect(silence.closedAfterMs).toBeLessThan(8_000);
    expect(idle.closedAfterMs).toBeLessThan(13_000);
  });
});

describe('a failed job', () => {
  test('shows its reason, and the stack of its host to nobody', async () => {
    const queue = openQueue('web-1', redis);
    const job = await queue.add('tarpit', { nonsense: true });
    const stack = 'Error: secret\n    at takeJob (/opt/hobbler/worker/consumer.ts:51:11)';
    await redis.hset(queue.toKey(job.id!), {
      stacktrace: JSON.stringify([stack]),
      failedReason: 'invalid: no order',
      finishedOn: 1,
    });
    await redis.lrem(queue.toKey('wait'), 0, job.id!);
    await redis.zadd(queue.toKey('failed'), 1, job.id!);
    for (const name of ['vic', 'ann'] as const) {
      const browser = await new Browser(url).logIn(name);
      await until(async () => (await browser.get('/queues/api/queues')).status === 200, {
        deadlineMs: 12_000,
        what: 'queues',
      });
      const list = await (await browser.get('/queues/api/queues?activeQueue=web%3Aweb-1&status=failed&page=1')).text();
      const one = await (await browser.get(`/queues/api/queues/web%3Aweb-1/${job.id}`)).text();
      for (const text of [list, one]) {
        expect(text).toContain('invalid: no order');
        expect(text).not.toMatch(STACK);
      }
    }
  });
});

test('a job that names jobs of other hosts as its children takes none of them with it', async () => {
  await writeHost(redis, 'web-2');
  const theirs = openQueue('web-2', redis);
  const victim = await theirs.add('tarpit', {});
  const queue = openQueue('web-1', redis);
  const planted = await queue.add('tarpit', {});
  await redis.sadd(`${queue.toKey(planted.id!)}:dependencies`, theirs.toKey(victim.id!));
  const browser = await new Browser(url).logIn('ann');
  expect((await browser.call('PUT', `/queues/api/queues/web%3Aweb-1/${planted.id}/clean`)).status).toBe(204);
  expect(await queue.getJob(planted.id!)).toBeUndefined();
  expect(await theirs.getJobCountByTypes('waiting')).toBe(1);
});

describe('answers', () => {
  const paths = [
    '/',
    '/..',
    '//',
    '/%2e%2e/',
    '/%00',
    '/%zz',
    '/login?next=%0d%0aX: y',
    '/static/%2e%2e/config.ts',
    '/static/..%2f..%2fpackage.json',
  ];
  const more = [
    '/queues/../audit',
    '/queues/static/..%2f..%2fpackage.json',
    '/queues/api/queues/__proto__/1',
    '/audit?host=../..',
    '/?page=NaN',
    '/?q[]=1',
    '/api/fleet?a=b',
  ];

  test.each([...paths, ...more])('to %s: no fault, no stack, with a login and without', async (path) => {
    const browser = await new Browser(url).logIn('ann');
    for (const cookie of ['', browser.cookie]) {
      const { text } = await sendRaw(
        url,
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nCookie: ${cookie}\r\nConnection: close\r\n\r\n`,
      );
      expect(text).toMatch(/^HTTP\/1\.1 [234]\d\d/);
      expect(text).not.toMatch(STACK);
      expect(text).not.toMatch(/^x: y/im);
      expect(text).not.toContain('"dependencies"');
    }
  });

  test.each([
    ['JSON', 'application/json', '{"host":"web-1","reason":"x"}'],
    ['broken JSON', 'application/json', '{"host":'],
    ['text', 'text/plain', 'host=web-1&reason=x'],
    ['a part', 'multipart/form-data; boundary=x', '--x--'],
    ['XML', 'application/xml', '<host/>'],
    ['nothing', '', ''],
  ])('a hold sent as %s does nothing', async (_what, type, body) => {
    const browser = await new Browser(url).logIn('ann');
    const response = await fetch(`${url}/hold`, {
      method: 'POST',
      headers: { origin: url, cookie: browser.cookie, ...(type === '' ? {} : { 'content-type': type }) },
      body,
      redirect: 'manual',
    });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(response.status).toBeLessThan(500);
    expect(await response.text()).not.toMatch(STACK);
    expect(await redis.exists(hostKeys.hold('web-1'))).toBe(0);
  });
});

describe('who is logged in', () => {
  test('cannot act by a link, with the token in the address, or with the token of another session', async () => {
    const browser = await new Browser(url).logIn('ann');
    const csrf = await browser.csrf();
    const foreign = await (await new Browser(url).logIn('ann')).csrf();
    expect((await browser.get(`/hold?host=web-1&reason=x&csrf=${csrf}`)).status).toBe(200);
    expect((await browser.post(`/hold?csrf=${csrf}`, { host: 'web-1', reason: 'x' })).status).toBe(403);
    expect((await browser.post('/hold', { host: 'web-1', reason: 'x', csrf: foreign })).status).toBe(403);
    expect(await redis.exists(hostKeys.hold('web-1'))).toBe(0);
  });

  test('as a viewer who tries to act is named in the log, with his address', async () => {
    const viewer = await new Browser(url).logIn('vic');
    expect((await viewer.submit('/hold', { host: '*', reason: 'x' })).status).toBe(403);
    expect((await viewer.call('PUT', '/queues/api/queues/pause')).status).toBe(403);
    const refusals = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ user, level }) => user === 'vic' && level === 40);
    expect(refusals.map(({ url: path }) => path)).toContain('/hold');
    expect(refusals[0]).toMatchObject({ address: '127.0.0.1', msg: expect.stringContaining('viewer') });
    expect(await redis.exists(fleetKeys.hold)).toBe(0);
  });

  test('leaves each act in the audit, with who and why', async () => {
    const browser = await new Browser(url).logIn('ann');
    await redis.del(fleetKeys.audit);
    await browser.submit('/release', { host: 'web-1', target: 'user:alice', reason: 'why-release' });
    await browser.submit('/release-host', { host: 'web-1', reason: 'why-all' });
    await browser.submit('/hold', { host: 'web-1', reason: 'why-hold' });
    await browser.submit('/unhold', { host: 'web-1', reason: 'why-unhold' });
    await browser.submit('/hold', { host: '*', reason: 'why-fleet' });
    await browser.submit('/unhold', { host: '*', reason: 'why-not' });
    await browser.call('PUT', '/queues/api/queues/web%3Aweb-1/pause');
    await browser.call('PUT', '/queues/api/queues/web%3Aweb-1/resume');
    const entries = await until(
      async () => {
        const found = (await redis.xrange(fleetKeys.audit, '-', '+')).map(([, flat]) => flat.join(' '));
        return found.length >= 7 ? found : null;
      },
      { deadlineMs: 3_000, what: 'the audit' },
    );
    expect(entries!.every((entry) => entry.includes('by operator:ann'))).toBe(true);
    for (const why of ['why-release', 'why-hold', 'why-unhold', 'why-fleet', 'why-not', '/pause', '/resume'])
      expect(
        entries!.some((entry) => entry.includes(why)),
        why,
      ).toBe(true);
  });
});

describe('who guesses', () => {
  test('is counted on every path, those that are not there included; health is not', async () => {
    const narrow = await startAdmin(server.url, { requestsPerMinute: 4 });
    try {
      const stranger = new Browser(narrow.url);
      const guess = { authorization: 'Bearer a-guess-of-a-token-01' };
      for (const path of ['/metrics', '/metrics', '/no-such-page', '/'])
        expect((await stranger.get(path, guess)).status).toBeLessThan(429);
      for (const path of ['/metrics', '/no-such-page', '/login', '/queues/']) {
        const response = await stranger.get(path, { authorization: `Bearer ${METRICS_TOKEN}` });
        expect(response.status).toBe(429);
        expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
      }
      expect((await stranger.get('/healthz')).status).toBe(200);
    } finally {
      await narrow.admin.stop();
    }
  });
});

test('the log at its most talkative shows no password, no cookie and no token', async () => {
  const browser = await new Browser(url).logIn('ann');
  const csrf = await browser.csrf();
  await new Browser(url).post('/login', { name: 'ann', password: 'a-wrong-password' });
  await browser.get('/metrics', { authorization: `Bearer ${METRICS_TOKEN}` });
  await browser.post('/hold', { host: 'web-1', reason: 'x', csrf: 'a-wrong-token' });
  const log = lines.join('');
  expect(log).toContain('login refused');
  for (const secret of [
    ...Object.values(PASSWORDS),
    'a-wrong-password',
    browser.cookie.split('=')[1]!,
    csrf,
    METRICS_TOKEN,
    'a-wrong-token',
  ])
    expect(log).not.toContain(secret);
});

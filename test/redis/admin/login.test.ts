/** Doors: what is open without a credential, what a login needs, what a form needs. On a real server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AdminService } from '../../../admin/service.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { Browser, METRICS_TOKEN, PASSWORDS, startAdmin } from './admin-fixture.ts';

let server: TestRedis;
let admin: AdminService;
let url: string;

beforeAll(async () => {
  server = await startRedis();
  ({ admin, url } = await startAdmin(server.url));
});
afterAll(async () => {
  await admin?.stop();
  await server?.stop();
});

describe('without a login', () => {
  test('only health, the login and its files answer', async () => {
    const stranger = new Browser(url);
    expect(await (await stranger.get('/healthz')).json()).toEqual({ status: 'ok' });
    const login = await stranger.get('/login');
    expect(login.status).toBe(200);
    for (const [, path] of (await login.text()).matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)) {
      expect((await stranger.get(path!)).status).toBe(200);
    }
  });

  test.each([
    '/',
    '/audit',
    '/release?host=web-1&target=user:alice',
    '/hold',
    '/queues/',
    '/queues/static/favicon.ico',
    '/no/such/page',
    '/static/../server.ts',
  ])('%s leads to the login and says nothing else', async (path) => {
    const response = await new Browser(url).get(path);
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toMatch(/^\/login/);
    expect(await response.text()).toBe('');
  });

  test.each(['/api/fleet', '/metrics', '/queues/api/queues', '/api/nothing'])('%s answers 401', async (path) => {
    const response = await new Browser(url).get(path);
    expect(response.status).toBe(401);
    expect(await response.json()).toEqual({ error: 'log in first' });
  });

  test.each(['/release', '/release-host', '/hold', '/unhold', '/logout'])('POST %s does nothing', async (path) => {
    const response = await new Browser(url).post(path, { host: 'web-1', target: 'user:alice', reason: 'x' });
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toBe('/login');
  });

  test('metrics take the bearer token, and only that one', async () => {
    const scrape = (token: string) => new Browser(url).get('/metrics', { authorization: `Bearer ${token}` });
    const response = await scrape(METRICS_TOKEN);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('hobbler_redis_up 1');
    expect((await scrape(`${METRICS_TOKEN}x`)).status).toBe(401);
    const elsewhere = await new Browser(url).get('/api/fleet', { authorization: `Bearer ${METRICS_TOKEN}` });
    expect(elsewhere.status).toBe(401);
  });
});

describe('logging in', () => {
  test('leads to where one wanted to go, under a cookie that scripts and other sites cannot use', async () => {
    const browser = new Browser(url);
    const response = await browser.post('/login', { name: 'ann', password: PASSWORDS.ann, next: '/audit?host=web-1' });
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toBe('/audit?host=web-1');
    const cookie = response.headers.get('set-cookie')!;
    expect(cookie).toMatch(/HttpOnly/);
    expect(cookie).toMatch(/SameSite=Strict/);
    expect(cookie).toMatch(/Path=\//);
    expect((await browser.get('/')).status).toBe(200);
  });

  test.each([
    ['a wrong password', { name: 'ann', password: 'wrong' }],
    ['an unknown name', { name: 'nobody', password: PASSWORDS.ann }],
    ['a name of an object', { name: '__proto__', password: 'x' }],
  ])('%s is refused in the same words, and opens nothing', async (_what, fields) => {
    const browser = new Browser(url);
    const response = await browser.post('/login', fields);
    expect(response.status).toBe(401);
    expect(await response.text()).toContain('Wrong name or password.');
    expect(response.headers.get('set-cookie')).toBeNull();
    expect((await browser.get('/')).status).toBe(303);
  });

  test('fields that are no text are refused', async () => {
    const response = await new Browser(url).post('/login?x', {}, { 'content-type': 'application/json' });
    expect(response.status).toBe(400);
  });

  test('never leads to another site', async () => {
    const response = await new Browser(url).post('/login', {
      name: 'ann',
      password: PASSWORDS.ann,
      next: '//evil.example',
    });
    expect(response.headers.get('location')).toBe('/');
  });

  test('from another site is refused', async () => {
    const fields = { name: 'ann', password: PASSWORDS.ann };
    for (const origin of ['https://evil.example', 'null', `${url}.evil.example`]) {
      expect((await new Browser(url).post('/login', fields, { origin })).status).toBe(403);
    }
  });

  test('ends with the logout: the old cookie opens nothing', async () => {
    const browser = await new Browser(url).logIn('ann');
    const { cookie } = browser;
    expect((await browser.submit('/logout', {})).headers.get('location')).toBe('/login');
    expect((await fetch(url, { headers: { cookie }, redirect: 'manual' })).status).toBe(303);
  });

  test('is bounded per minute, and says so', async () => {
    const second = await startAdmin(server.url, { loginsPerMinute: 3 });
    try {
      const browser = new Browser(second.url);
      for (let count = 0; count < 3; count++) {
        expect((await browser.post('/login', { name: 'ann', password: 'guess' })).status).toBe(401);
      }
      const refused = await browser.post('/login', { name: 'ann', password: PASSWORDS.ann });
      expect(refused.status).toBe(429);
      expect(refused.headers.get('retry-after')).not.toBeNull();
      expect(await refused.text()).toContain('Too many at once');
      expect((await browser.get('/login')).status).toBe(200);
    } finally {
      await second.admin.stop();
    }
  });
});

describe('every response', () => {
  test('carries headers under which nothing foreign and nothing inline can load', async () => {
    const browser = await new Browser(url).logIn('ann');
    for (const path of ['/', '/audit', '/login', '/no-such-page', '/api/fleet', '/release?host=&target=']) {
      const { headers } = await browser.get(path);
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; style-src 'self'; script-src 'self';/,
      );
      expect(headers.get('content-security-policy')).not.toContain('unsafe');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('cache-control')).toBe('no-store');
    }
  });

  test('has a page of less than 200 KB with all its files', async () => {
    const browser = await new Browser(url).logIn('ann');
    const page = await (await browser.get('/')).text();
    let bytes = page.length;
    for (const [, path] of page.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)) {
      bytes += (await (await browser.get(path!)).arrayBuffer()).byteLength;
    }
    expect(bytes).toBeLessThan(200_000);
    expect(page).not.toMatch(/https?:\/\//);
  });

  test('that refuses shows no stack and no path of ours', async () => {
    const browser = await new Browser(url).logIn('ann');
    for (const path of [
      '/no-such-page',
      '/release?host=web-1&target=zz',
      '/%zz',
      '/queues/api/queues/none/1',
      `/${'a'.repeat(9000)}`,
    ]) {
      const text = await (await browser.get(path)).text();
      expect(text).not.toMatch(/\bat .*\.(ts|js):\d|node_modules|\/work\//);
    }
  });
});

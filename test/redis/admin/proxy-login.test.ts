/** The admin behind a single sign-on: whom the proxy names is who it is, request by request, and only a proxy's word counts. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AdminService } from '../../../admin/service.ts';
import { fleetKeys } from '../../../shared/keys.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { Browser, startAdmin, writeHost } from './admin-fixture.ts';

let server: TestRedis;
let redis: Redis;
let admin: AdminService;
let url: string;
/** One whose proxy is elsewhere: headers that reach it come from nobody. */
let direct: AdminService;
const rules = { operators: { groups: ['ops'] }, viewers: { groups: ['staff'] }, logoutPath: '/oauth2/sign_out' };

beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
  await writeHost(redis, 'web-1');
  ({ admin, url } = await startAdmin(server.url, { proxyLogin: { from: ['127.0.0.1'], ...rules } }));
  ({ admin: direct } = await startAdmin(server.url, { proxyLogin: { from: ['192.0.2.1'], ...rules } }));
});
afterAll(async () => {
  await admin?.stop();
  await direct?.stop();
  redis?.disconnect();
  await server?.stop();
});

const as = (user: string, groups: string, origin = url) =>
  new Browser(origin, { 'x-forwarded-user': user, 'x-forwarded-groups': groups });

describe('behind a proxy', () => {
  test('somebody is logged in without a password or a cookie, and acts under his name', async () => {
    const operator = as('olga', 'ops');
    const page = await operator.get('/');
    expect(page.status).toBe(200);
    expect(page.headers.get('set-cookie')).toBeNull();
    expect(await page.text()).toContain('olga');
    expect((await operator.submit('/hold', { host: 'web-1', reason: 'sso' })).status).toBe(303);
    const [entry] = await redis.xrevrange(fleetKeys.audit, '+', '-', 'COUNT', 1);
    expect(entry![1]).toEqual(expect.arrayContaining(['operator:olga', 'sso']));
    expect((await operator.submit('/unhold', { host: 'web-1', reason: 'sso' })).status).toBe(303);
    expect((await operator.get('/login?next=/audit')).headers.get('location')).toBe('/audit');
  });

  test('a viewer stays one, and a form needs the token of who sends it', async () => {
    expect((await as('vera', 'staff').submit('/hold', { host: '*', reason: 'x' })).status).toBe(403);
    const token = await as('olga', 'ops').csrf();
    expect((await as('otto', 'ops').post('/hold', { host: '*', reason: 'x', csrf: token })).status).toBe(403);
    expect((await as('olga', 'ops').post('/hold', { host: '*', reason: 'x' })).status).toBe(403);
    const foreign = { origin: 'https://evil.example' };
    expect((await as('olga', 'ops').post('/hold', { host: '*', reason: 'x', csrf: token }, foreign)).status).toBe(403);
    expect(await redis.exists(fleetKeys.hold)).toBe(0);
  });

  test('who has no role is told so and sees nothing, also with a cookie of another', async () => {
    const response = await as('eve', 'guests').get('/');
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('eve has no role here');
    const { cookie } = await new Browser(url).logIn('ann');
    expect((await as('eve', 'guests').get('/', { cookie })).status).toBe(403);
    expect((await as('ann,eve', 'ops').get('/api/fleet')).status).toBe(403);
  });

  test('logging out is the proxy’s', async () => {
    expect((await as('olga', 'ops').submit('/logout', {})).headers.get('location')).toBe('/oauth2/sign_out');
  });

  test('whom it does not name logs in with a password', async () => {
    const ann = await new Browser(url).logIn('ann');
    expect((await ann.get('/')).status).toBe(200);
    expect((await new Browser(url).get('/')).status).toBe(303);
  });
});

test('from an address that is not the proxy’s the headers count for nothing', async () => {
  for (const more of [{}, { 'x-forwarded-for': '192.0.2.1' }, { forwarded: 'for=192.0.2.1' }]) {
    const response = await as('olga', 'ops', direct.url!).get('/', more);
    expect(response.status).toBe(303);
    expect(response.headers.get('location')).toMatch(/^\/login/);
  }
});

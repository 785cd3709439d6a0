/** The admin while Redis is away: it starts, says so, refuses to act, comes back by itself, and stops within a second. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adminSchema } from '../../../admin/config.ts';
import { type AdminService, createAdminService } from '../../../admin/service.ts';
import { sleep, systemClock } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { Browser, nextReading, startAdmin, writeHost } from './admin-fixture.ts';

let server: TestRedis;
let admin: AdminService;
let url: string;
let operator: Browser;

beforeEach(async () => {
  server = await startRedis();
  const redis = connectTest(server);
  await writeHost(redis, 'web-1', {}, [{ target: 'user:alice' }]);
  redis.disconnect();
  ({ admin, url } = await startAdmin(server.url));
  operator = await new Browser(url).logIn('ann');
});
afterEach(async () => {
  await admin?.stop();
  await server?.stop();
});

const stopTakesMs = async (service: AdminService) => {
  const startMs = performance.now();
  await service.stop();
  return performance.now() - startMs;
};

describe.each(['kill', 'pause'] as const)('with Redis gone (%s)', (how) => {
  test('the page says so and shows what was seen last; acting is refused; it comes back by itself', async () => {
    expect(await (await operator.get('/')).text()).toContain('user:alice');
    const csrf = await operator.csrf();
    await server[how]();
    await nextReading();

    const page = await (await operator.get('/')).text();
    expect(page).toContain('Redis is away');
    expect(page).toContain('user:alice');
    expect(page).toContain('hobbler release-all');
    expect(page).not.toContain('href="/release?');
    for (const [path, fields] of [
      ['/release', { host: 'web-1', target: 'user:alice' }],
      ['/hold', { host: '*' }],
    ] as const) {
      const refused = await operator.post(path, { ...fields, reason: 'r', csrf });
      expect(refused.status).toBe(503);
      expect(await refused.text()).toContain('Redis is away');
    }
    expect((await operator.get('/audit')).status).toBe(503);
    expect((await operator.get('/api/fleet')).status).toBe(503);
    expect((await operator.get('/healthz')).status).toBe(200);
    expect(await (await operator.get('/metrics')).text()).toContain('hobbler_redis_up 0');

    await (how === 'kill' ? server.restart() : server.resume());
    await until(async () => !(await (await operator.get('/')).text()).includes('Redis is away'), {
      deadlineMs: 10_000,
      what: 'the page without the warning',
    });
  });

  test('it stops within a second, requests under way included', async () => {
    await server[how]();
    const waiting = operator.get('/audit').catch(() => null);
    await Promise.race([waiting, sleep(systemClock, 100)]);
    expect(await stopTakesMs(admin)).toBeLessThan(1_000);
    await waiting;
    expect(admin.url).toBeNull();
    await admin.stop();
  });
});

test('it starts without Redis, and says so', async () => {
  await server.kill();
  const second = await startAdmin(server.url);
  const browser = await new Browser(second.url).logIn('ann');
  expect(await (await browser.get('/')).text()).toContain('Nothing was seen of the fleet yet.');
  expect(await stopTakesMs(second.admin)).toBeLessThan(1_000);
});

test('it refuses to start without a user, and on an address that is taken', async () => {
  const { port } = new URL(url);
  const options = { redis: { url: server.url, name: 'x' }, clock: systemClock, log: silentLogger() };
  const config = adminSchema.parse({ http: { port: Number(port) } });
  const nobody = createAdminService({ ...options, config });
  await expect(nobody.start()).rejects.toThrow(/nobody could log in/);
  await nobody.stop();
  const user = { name: 'ann', role: 'viewer' as const, password: 'x' };
  const taken = createAdminService({ ...options, config: { ...config, users: [user] } });
  await expect(taken.start()).rejects.toThrow(new RegExp(`127.0.0.1:${port}: cannot listen .*EADDRINUSE`));
  await taken.stop();
});

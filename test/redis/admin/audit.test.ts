/** The audit as people read it: who ordered what, why, what came of it; searched on the server, paged from its newest end. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AdminService } from '../../../admin/service.ts';
import { fleetKeys, hostKeys } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { OrderIssuer } from '../../../shared/redis/issuer.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { HOSTILE } from '../../unit/admin/examples.ts';
import { Browser, nextReading, startAdmin, writeHost, writeReport } from './admin-fixture.ts';

let server: TestRedis;
let redis: Redis;
let admin: AdminService;
let viewer: Browser;

beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
  const started = await startAdmin(server.url);
  admin = started.admin;
  viewer = await new Browser(started.url).logIn('vic');
});
afterAll(async () => {
  await admin?.stop();
  redis?.disconnect();
  await server?.stop();
});
beforeEach(() => writeHost(redis, 'web-1'));
afterEach(() => server.flush());

async function audit(query = ''): Promise<string> {
  await nextReading();
  return (await viewer.get(`/audit${query}`)).text();
}

test('a host’s audit shows what came of its orders, whatever stands there', async () => {
  const key = hostKeys.audit('web-1');
  await redis.xadd(
    key,
    '*',
    'action',
    'tarpit',
    'target',
    'user:alice',
    'reason',
    'cpu',
    'by',
    'policy',
    'result',
    '{"status":"denied","why":"su stops with its child"}',
  );
  await redis.xadd(key, '*', 'result', 'no json <b>', 'odd', HOSTILE);
  const page = await audit('?host=web-1');
  expect(page).toContain('denied');
  expect(page).toContain('su stops with its child');
  expect(page).toContain('no json &lt;b&gt;');
  expect(page).not.toContain('<script>alert');
});

test('an audit longer than a page goes on at its older end', async () => {
  const pipeline = redis.pipeline();
  for (let n = 0; n < 150; n++)
    pipeline.xadd(fleetKeys.audit, `${n + 1}-0`, 'action', 'tarpit', 'reason', `entry-${n};`);
  await pipeline.exec();
  const first = await audit();
  expect(first).toContain('entry-149;');
  expect(first).not.toContain('entry-49;');
  const older = /href="(\/audit\?before=[^"]+)">Older/.exec(first)![1]!;
  const second = await audit(older.slice('/audit'.length));
  expect(second).toContain('entry-49;');
  expect(second).not.toContain('entry-50;');
  expect(second).not.toContain('>Older<');
});

describe('the fleet’s audit', () => {
  const issue = (target: string, by: string, action: 'tarpit' | 'untarpit' = 'tarpit') =>
    new OrderIssuer(redis, undefined, silentLogger()).issue({
      action,
      host: 'web-1',
      target,
      account: target.slice(5),
      reason: `about ${target}`,
      by,
      ...(action === 'tarpit' ? { forMs: 900_000 } : {}),
    });
  /** The row of an entry, as text. */
  const rowOf = (page: string, words: string) =>
    page
      .split('<tr')
      .find((row) => row.includes(words))!
      .replace(/<[^>]+>/g, ' ');

  test('says what came of each order, from what the host reports and answered', async () => {
    const slowed = await issue('user:alice', 'policy');
    await writeReport(redis, 'web-1', { target: 'user:alice', version: slowed.order.version });
    const denied = await issue('user:bob', 'policy');
    const result = JSON.stringify({ status: 'denied', why: 'exempt here' });
    const answer = { action: 'tarpit', target: 'user:bob', version: denied.order.version, result };
    await redis.xadd(hostKeys.audit('web-1'), '*', ...Object.entries(answer).flat());
    await issue('user:carol', 'policy');
    const page = await audit();
    expect(rowOf(page, 'about user:alice')).toMatch(/done\s+hobbling 7 processes by signal/);
    expect(rowOf(page, 'about user:bob')).toMatch(/not done\s+denied: exempt here/);
    expect(rowOf(page, 'about user:carol')).toMatch(/pending\s+its worker has not said/);
    expect(page).toContain(`href="/audit/${slowed.entry}"`);
  });

  test('is searched by action, by who, and by any word, on all pages', async () => {
    await issue('user:alice', 'policy');
    await issue('user:alice', 'operator:ann', 'untarpit');
    const pipeline = redis.pipeline();
    for (let n = 0; n < 2_500; n++)
      pipeline.xadd(fleetKeys.audit, '*', 'action', 'hold', 'by', 'cron', 'reason', `n${n};`);
    await pipeline.exec();
    expect(await audit()).not.toContain('about user:alice');
    const byAnn = await audit('?by=ANN');
    expect(byAnn.match(/about user:alice/g)).toHaveLength(1);
    expect(byAnn).toContain('operator:ann');
    expect((await audit('?q=USER:alice')).match(/about user:alice/g)).toHaveLength(2);
    expect((await audit('?action=untarpit')).match(/about user:alice/g)).toHaveLength(1);
    const holds = await audit('?action=hold&by=cron');
    expect(holds).toContain('n2499;');
    expect(holds).toContain('href="/audit?action=hold&amp;by=cron&amp;before=');
    expect(await audit('?action=unhold')).toContain('Nothing of that kind');
  });

  test('ends a page where there is no more', async () => {
    for (const n of Array(100).keys()) await redis.xadd(fleetKeys.audit, '*', 'action', 'hold', 'reason', `n${n};`);
    expect(await audit()).not.toContain('>Older<');
    await redis.xadd(fleetKeys.audit, '*', 'action', 'hold', 'reason', 'one more');
    expect(await audit()).toContain('>Older<');
  });
});

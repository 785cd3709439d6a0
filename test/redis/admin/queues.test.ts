/** bull-board behind our gate: finds hosts at run time, lets viewers read and nothing more, audits what operators change. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HostQueues, LOOK_EVERY_MS } from '../../../admin/queues/host-queues.ts';
import { orderJobLink } from '../../../admin/queues/names.ts';
import type { AdminService } from '../../../admin/service.ts';
import { fleetKeys } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import { addOrderJob, openQueue } from '../../../shared/queue.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { tarpitExample } from '../../support/orders.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { Browser, startAdmin, writeHost } from './admin-fixture.ts';

let server: TestRedis;
let redis: Redis;
let admin: AdminService;
let url: string;
let jobId: string;

const QUEUE = '/queues/api/queues/web%3Aweb-1';

beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
  await writeHost(redis, 'web-1');
  await writeHost(redis, 'db-1');
  await redis.sadd(fleetKeys.hosts, 'NOT A HOST:<b>');
  jobId = await addOrderJob(openQueue('web-1', redis), tarpitExample());
  ({ admin, url } = await startAdmin(server.url));
  const browser = await new Browser(url).logIn('vic');
  await until(async () => (await listing(browser)).length === 2, { deadlineMs: 5_000, what: 'queues of both hosts' });
});
afterAll(async () => {
  await admin?.stop();
  redis?.disconnect();
  await server?.stop();
});

interface Listed {
  name: string;
  displayName: string;
  delimiter: string;
  readOnlyMode: boolean;
  allowRetries: boolean;
  counts: { waiting: number };
  hasWorkers: boolean | null;
}

async function listing(browser: Browser): Promise<Listed[]> {
  const answer = (await (await browser.get('/queues/api/queues?activeQueue=&page=1&jobsPerPage=10')).json()) as {
    queues: Listed[];
  };
  return answer.queues;
}

describe('bull-board', () => {
  test('shows each host’s queue under the host’s name, grouped by kind of host, and asks for no workers', async () => {
    const queues = await listing(await new Browser(url).logIn('ann'));
    expect(queues.map(({ name, displayName, delimiter }) => [name, displayName, delimiter]).sort()).toEqual([
      ['db:db-1', 'db-1', ':'],
      ['web:web-1', 'web-1', ':'],
    ]);
    expect(queues.find(({ displayName }) => displayName === 'web-1')!.counts.waiting).toBe(1);
    expect(queues.map(({ hasWorkers }) => hasWorkers)).toEqual([null, null]);
  });

  test('its page refers to no other host, and its CSP allows no script but its own', async () => {
    const response = await (await new Browser(url).logIn('vic')).get('/queues/');
    expect(response.status).toBe(200);
    expect(await response.text()).not.toMatch(/(?:href|src)="https?:/);
    const csp = response.headers.get('content-security-policy')!;
    expect(csp).toContain("default-src 'none'");
    expect(csp).toContain("script-src 'self';");
  });

  test('is a page of the admin: under the same bar, with the way to the fleet and out', async () => {
    const page = await (await new Browser(url).logIn('vic')).get('/queues/queue/web%3Aweb-1').then((it) => it.text());
    expect(page).toContain('<a href="/queues/" aria-current="page">Queues</a>');
    expect(page).toContain('<a href="/">Fleet</a>');
    expect(page).toMatch(/action="\/logout".*vic.*name="csrf" value="[^"]{20,}"/s);
    expect(page).toMatch(/<link rel="stylesheet" href="\/static\/[^"]+\/board.css">/);
  });

  test('leads from a job to its target in the fleet, and from an order to its job', async () => {
    const viewer = await new Browser(url).logIn('vic');
    const list = await (await viewer.get('/queues/api/queues?activeQueue=web%3Aweb-1&status=waiting&page=1')).text();
    expect(list).toContain(JSON.stringify({ displayText: 'On its host', href: '/hosts/web-1?target=user%3Aalice' }));
    const { host, target, version } = tarpitExample();
    const found = await viewer.get(orderJobLink({ host, target, version }));
    expect(found.status).toBe(303);
    expect(found.headers.get('location')).toBe(`/queues/queue/web%3Aweb-1/${jobId}`);
    const gone = await viewer.get(orderJobLink({ host, target, version: version + 1 }));
    expect(gone.status).toBe(404);
    expect(await gone.text()).toContain('No job of that order');
    expect((await viewer.get('/queues/find?host=*&target=user:alice&version=1')).status).toBe(400);
    expect((await new Browser(url).get('/queues/find?host=web-1&target=user:alice&version=1')).status).toBe(303);
  });

  test('tells a viewer that every queue is read-only, and an operator that none is', async () => {
    const flags = async (name: 'ann' | 'vic') =>
      (await listing(await new Browser(url).logIn(name))).map(({ readOnlyMode, allowRetries }) => [
        readOnlyMode,
        allowRetries,
      ]);
    expect(await flags('vic')).toEqual([
      [true, false],
      [true, false],
    ]);
    expect(await flags('ann')).toEqual([
      [false, true],
      [false, true],
    ]);
  });

  test.each([
    ['PUT', '/queues/api/queues/pause'],
    ['PUT', `${QUEUE}/pause`],
    ['PUT', `${QUEUE}/empty`],
    ['PUT', `${QUEUE}/obliterate`],
    ['POST', `${QUEUE}/add`],
    ['PUT', `${QUEUE}/1/clean`],
    ['PATCH', `${QUEUE}/1/update-data`],
  ])('refuses a viewer %s %s', async (method, path) => {
    const viewer = await new Browser(url).logIn('vic');
    expect((await viewer.call(method, path)).status).toBe(403);
    expect(await openQueue('web-1', redis).getJobCountByTypes('waiting')).toBe(1);
    expect(await openQueue('web-1', redis).isPaused()).toBe(false);
  });

  test('refuses an operator’s change that another site or no site asks for', async () => {
    const operator = await new Browser(url).logIn('ann');
    expect((await operator.call('PUT', `${QUEUE}/pause`, { origin: 'https://evil.example' })).status).toBe(403);
    const withoutOrigin = await fetch(`${url}${QUEUE}/pause`, { method: 'PUT', headers: { cookie: operator.cookie } });
    expect(withoutOrigin.status).toBe(403);
    const disguised = await fetch(`${url}/%71ueues/api/queues/pause`, {
      method: 'PUT',
      headers: { cookie: operator.cookie },
    });
    expect(disguised.status).toBe(403);
    expect(await openQueue('web-1', redis).isPaused()).toBe(false);
  });

  test('carries out an operator’s change and puts it in the audit', async () => {
    const operator = await new Browser(url).logIn('ann');
    expect((await operator.call('PUT', `${QUEUE}/${jobId}/clean`)).status).toBe(204);
    expect(await openQueue('web-1', redis).getJobCountByTypes('waiting')).toBe(0);
    const audit = await until(
      async () => {
        const page = await (await operator.get('/audit')).text();
        return page.includes('operator:ann') ? page : null;
      },
      { deadlineMs: 2_000, what: 'the change in the audit' },
    );
    expect(audit).toContain('PUT /queues/api/queues/:queueName/:jobId/clean');
    expect(audit).toContain(`jobId ${jobId}`);
    expect(audit).toContain('web-1');
  });
});

test('hosts that come and go are found by themselves within ten seconds', async () => {
  const clock = new FakeClock();
  const queues = new HostQueues(redis, clock, silentLogger());
  let names: string[] = [];
  queues.onChange((adapters) => {
    names = adapters.map((adapter) => adapter.getName()).sort();
  });
  queues.start();
  await until(() => names.length === 2, { deadlineMs: 2_000, what: 'the hosts of now' });
  await redis.sadd(fleetKeys.hosts, 'web-2');
  await redis.srem(fleetKeys.hosts, 'db-1');
  await clock.advance(LOOK_EVERY_MS);
  await until(() => names.join() === 'web:web-1,web:web-2', { deadlineMs: 2_000, what: 'the hosts of later' });
  queues.stop();
  expect(clock.pendingTimers).toBe(0);
  await redis.sadd(fleetKeys.hosts, 'db-1');
  await redis.srem(fleetKeys.hosts, 'web-2');
});

test('a thousand hosts’ queues are found, grouped and listed in one answer', async () => {
  const names = Array.from({ length: 1_000 }, (_, n) => `node-${n}.example`);
  await redis.sadd(fleetKeys.hosts, ...names);
  const large = await startAdmin(server.url);
  try {
    const browser = await new Browser(large.url).logIn('vic');
    const queues = await until(
      async () => {
        const found = await listing(browser);
        return found.length === 1_002 ? found : null;
      },
      { deadlineMs: 20_000, what: 'all queues' },
    );
    expect(new Set(queues!.map(({ name }) => name.split(':')[0]))).toEqual(new Set(['node', 'web', 'db']));
    expect(queues!.every(({ readOnlyMode }) => readOnlyMode)).toBe(true);
  } finally {
    await large.admin.stop();
    await redis.srem(fleetKeys.hosts, ...names);
  }
});

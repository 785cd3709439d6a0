/**
 * Every page of the admin, on a desktop and on a phone, light and dark: no wider than the screen, without a serious fault
 * by axe, without a complaint of the browser. A picture of each goes to test-results/screenshots, to be looked at. The
 * records that workers write stand in for the workers; what is in them is as long and as odd as it may be.
 */
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AdminService } from '../../admin/service.ts';
import { hostKeys } from '../../shared/keys.ts';
import { silentLogger } from '../../shared/log.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { OrderIssuer } from '../../shared/redis/issuer.ts';
import { putPin } from '../../shared/redis/pins.ts';
import { PASSWORDS, startAdmin, writeHost, writeReport } from '../redis/admin/admin-fixture.ts';
import { CHROMIUM, DESKTOP, PHONE, seriousFaults, shoot, TestBrowser } from '../support/browser.ts';
import { connectTest, startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

if (CHROMIUM === undefined) console.warn('admin-pages.test.ts skipped: no Chromium; apt-get install chromium');

describe.skipIf(CHROMIUM === undefined)('every page', () => {
  let server: TestRedis;
  let redis: Redis;
  let admin: AdminService;
  let url: string;
  let browser: TestBrowser;
  /** The pages of entries of the audit: pending, done, refused. */
  const entries: Record<string, string> = {};

  beforeAll(async () => {
    server = await startRedis();
    redis = connectTest(server);
    browser = await TestBrowser.start();
    await writeFleet();
    ({ admin, url } = await startAdmin(server.url));
  });
  afterAll(async () => {
    await browser?.stop();
    await admin?.stop();
    redis?.disconnect();
    await server?.stop();
  });
  beforeEach(beat);
  afterEach(() => browser.forget());

  async function writeFleet(): Promise<void> {
    const nowMs = Date.now();
    await beat();
    const hold = { reason: 'migration', by: 'operator:bob', sinceMs: nowMs - 900_000 };
    await redis.set(hostKeys.hold('db-2'), JSON.stringify(hold));
    const policy = 'cpu 2104 s of 2000 s today';
    await tarpit('done', 'web-1', 'user:alice', 'alice', policy, { processes: 7 });
    await tarpit('noEffect', 'web-1', 'user:bob', 'bob', policy, { gotRatio: 0.93, effective: false });
    await tarpit('denied', 'web-1', 'uid:1002', 'carol', policy, { state: 'denied', why: 'exempt by this host' });
    const long = `cgroup:/user.slice/${'very-long-name-'.repeat(12)}`;
    await tarpit('long', 'web-1', long, 'x'.repeat(200), 'z'.repeat(400), { why: 'y'.repeat(400) });
    const issuer = new OrderIssuer(redis, undefined, silentLogger());
    const order = { action: 'untarpit' as const, host: 'web-1', target: 'user:bob', account: 'bob' };
    entries.pending = (await issuer.issue({ ...order, reason: 'paid for more', by: 'operator:ann' })).entry!;
    const pin = {
      v: 1 as const,
      kind: 'release' as const,
      setAtMs: nowMs,
      by: 'operator:bob',
      why: 'her thesis is due',
    };
    await putPin(redis, 'alice', { ...pin, untilMs: nowMs + 86_400_000 });
  }

  async function beat(): Promise<void> {
    await writeHost(redis, 'web-1', { targets: 4, processes: 21 });
    await writeHost(redis, 'web-2.eu-central.compute.a-very-long-domain.example', { guard: 'dead' });
    await writeHost(redis, 'db-1', { beatAtMs: Date.now() - 240_000 });
    await writeHost(redis, 'db-2', { hold: { scope: 'host', reason: 'migration' } });
  }

  async function tarpit(
    name: string,
    host: string,
    target: string,
    account: string,
    reason: string,
    report: Parameters<typeof writeReport>[2],
  ): Promise<void> {
    const issuer = new OrderIssuer(redis, undefined, silentLogger());
    const request = { action: 'tarpit' as const, host, target, account, reason, by: 'policy', forMs: 900_000 };
    const { order, entry } = await issuer.issue(request);
    entries[name] = entry!;
    await writeReport(redis, host, { target, account, reason, version: order.version, ...report });
  }

  /** Name and address; those that a viewer is refused come under `acts`. */
  const pages = (): [string, string][] => [
    ['fleet', '/'],
    ['fleet-search', '/?q=alice'],
    ['fleet-nobody', '/?q=nobody-of-that-name'],
    ['host', '/hosts/web-1'],
    ['host-target', '/hosts/web-1?target=user:alice'],
    ['host-lost', '/hosts/db-1'],
    ['account', '/accounts/alice'],
    ['account-unknown', '/accounts/nobody'],
    ['audit', '/audit'],
    ['audit-search', '/audit?action=tarpit&by=policy'],
    ['audit-host', '/audit?host=web-1'],
    ['entry-pending', `/audit/${entries.pending}`],
    ['entry-done', `/audit/${entries.done}`],
    ['entry-denied', `/audit/${entries.denied}`],
    ['not-found', '/no-such-page'],
  ];
  const tarpitLook = '/tarpit?step=look&host=web-1&target=user:alice&level=usual&for=30m';
  const acts: [string, string][] = [
    ['release', '/release?host=web-1&target=user:alice'],
    ['release-everywhere', '/release?host=*&target=user:alice'],
    ['release-host', '/release-host?host=web-1'],
    ['release-fleet', '/release-fleet'],
    ['tarpit', '/tarpit?host=web-1&target=user:alice'],
    ['tarpit-look', tarpitLook],
    ['extend', '/extend?host=web-1&target=user:alice'],
    ['exempt', '/exempt?account=alice'],
    ['unexempt', '/unexempt?account=alice'],
    ['hold', '/hold'],
    ['unhold', '/unhold?host=db-2'],
    ['remove-host', '/remove-host?host=db-1'],
    ['refused', '/release?host=x'],
  ];

  async function isSound(page: Page, name: string, within = 'html'): Promise<void> {
    const [wide, screen] = (await page.evaluate('[document.documentElement.scrollWidth, innerWidth]')) as number[];
    expect(wide, `${name} is wider than the screen`).toBeLessThanOrEqual(screen!);
    await shoot(page, name);
    expect(await seriousFaults(page, within), name).toEqual([]);
  }

  const LOOKS = [
    ['desktop', DESKTOP, 'light'],
    ['desktop', DESKTOP, 'dark'],
    ['phone', PHONE, 'light'],
    ['phone', PHONE, 'dark'],
  ] as const;

  test.each(LOOKS)('on a %s (%o, %s) fits, and can be used by everybody', async (size, viewport, colorScheme) => {
    const stranger = await browser.open(url, { viewport, colorScheme });
    await stranger.goto(`${url}/login`);
    await isSound(stranger, `login-${size}-${colorScheme}`);
    const page = await browser.logIn(url, 'ann', PASSWORDS.ann, { viewport, colorScheme });
    for (const [name, path] of [...pages(), ...acts]) {
      await page.goto(`${url}${path}`);
      await isSound(page, `${name}-${size}-${colorScheme}`);
    }
    // The pages that are refused say so in the browser's console, too.
    expect(browser.complaints.filter((text) => !/status of 40[04]/.test(text))).toEqual([]);
  });

  test.each(LOOKS)('of the queue board on a %s (%o, %s) stands under our bar', async (size, viewport, colorScheme) => {
    const page = await browser.logIn(url, 'vic', PASSWORDS.vic, { viewport, colorScheme });
    await until(
      async () => (await page.request.get(`${url}/queues/api/queues`)).text().then((it) => it.includes('db-2')),
      {
        deadlineMs: 12_000,
        what: 'the queues',
      },
    );
    for (const [name, path] of [
      ['queues', '/queues/'],
      ['queue', '/queues/queue/web%3Aweb-1'],
    ] as const) {
      await page.goto(`${url}${path}`);
      await page
        .getByText(name === 'queue' ? '"user:alice"' : 'web-1')
        .first()
        .waitFor();
      const [bar, board] = (await page.evaluate(
        `['#hobbler-bar', '#root header'].map((one) => document.querySelector(one).getBoundingClientRect())
          .map(({ top, bottom }) => ({ top, bottom }))`,
      )) as { top: number; bottom: number }[];
      expect(board!.top, 'the board begins where our bar ends').toBeGreaterThanOrEqual(bar!.bottom - 1);
      // What stands below is bull-board's own.
      await isSound(page, `${name}-${size}-${colorScheme}`, '#hobbler-bar');
    }
    expect(browser.complaints).toEqual([]);
  });

  test('of acts is closed to a viewer, and says so in a way that everybody can read', async () => {
    const page = await browser.logIn(url, 'vic', PASSWORDS.vic);
    for (const [name, path] of acts) {
      expect((await page.goto(`${url}${path}`))!.status(), name).toBe(403);
    }
    await isSound(page, 'viewer-refused-desktop-light');
  });

  test('with a fault that keeps somebody out would be found', async () => {
    const page = await browser.open(url);
    await page.setContent('<html lang="en"><title>x</title><main><img src="data:,"><input></main></html>');
    expect((await seriousFaults(page)).map((fault) => fault.split(':')[0])).toEqual(['image-alt', 'label']);
  });

  test('of an empty fleet says what to do next', async () => {
    const empty = await startRedis();
    const started = await startAdmin(empty.url);
    try {
      const page = await browser.logIn(started.url, 'ann', PASSWORDS.ann);
      await isSound(page, 'fleet-empty-desktop-light');
      await page.goto(`${started.url}/audit`);
      await isSound(page, 'audit-empty-desktop-light');
    } finally {
      await started.admin.stop();
      await empty.stop();
    }
  });
});

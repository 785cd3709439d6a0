/**
 * The admin in a real Chromium, on a real Redis, with the records that workers write standing in for the workers. What
 * the CSP breaks, what a keyboard reaches and what a phone shows can only be seen here. Screenshots go to the directory
 * that HOBBLER_SHOTS names, when it names one.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AdminService } from '../../admin/service.ts';
import { hostKeys } from '../../shared/keys.ts';
import { silentLogger } from '../../shared/log.ts';
import { parseOrderText } from '../../shared/order.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { OrderIssuer } from '../../shared/redis/issuer.ts';
import { PASSWORDS, startAdmin, writeHost, writeReport } from '../redis/admin/admin-fixture.ts';
import { connectTest, startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const FLAGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
const DESKTOP = { width: 1280, height: 900 };
const SHOTS = process.env.HOBBLER_SHOTS;

if (CHROMIUM === undefined) console.warn('admin-browser.test.ts skipped: no Chromium; apt-get install chromium');

describe.skipIf(CHROMIUM === undefined)('the admin in a browser', () => {
  let server: TestRedis;
  let redis: Redis;
  let admin: AdminService;
  let url: string;
  let chrome: Browser;
  /** What pages complained of, and what they asked of other hosts. */
  let complaints: string[];

  beforeAll(async () => {
    server = await startRedis();
    redis = connectTest(server);
    chrome = await chromium.launch({ executablePath: CHROMIUM!, args: FLAGS.split(' ') });
  });
  afterAll(async () => {
    await chrome?.close();
    redis?.disconnect();
    await server?.stop();
  });
  beforeEach(async () => {
    complaints = [];
    await server.flush();
    await writeHost(redis, 'web-1', { targets: 2, processes: 9 });
    await writeHost(redis, 'db-1', { beatAtMs: Date.now() - 240_000 });
    await tarpit('web-1', 'user:alice', 'alice', { processes: 7 });
    await tarpit('web-1', 'user:bob', 'bob', { processes: 2, gotRatio: 0.93, effective: false });
    ({ admin, url } = await startAdmin(server.url));
  });
  afterEach(async () => {
    for (const context of chrome.contexts()) await context.close();
    await admin?.stop();
  });

  async function tarpit(host: string, target: string, account: string, report: Parameters<typeof writeReport>[2]) {
    const issuer = new OrderIssuer(redis, undefined, silentLogger());
    const reason = 'cpu 2104 s of 2000 s today';
    const { order } = await issuer.issue({
      action: 'tarpit',
      host,
      target,
      account,
      reason,
      by: 'policy',
      forMs: 900_000,
    });
    await writeReport(redis, host, { target, account, reason, version: order.version, ...report });
  }

  async function logIn(name: keyof typeof PASSWORDS, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await chrome.newContext({ viewport: DESKTOP, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('data:'))
        complaints.push(`asked ${request.url()}`);
    });
    await page.goto(url);
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Password').fill(PASSWORDS[name]);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Fleet', exact: true }).waitFor();
    return page;
  }

  async function shoot(page: Page, name: string): Promise<void> {
    if (SHOTS === undefined) return;
    mkdirSync(SHOTS, { recursive: true });
    await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
  }

  const desired = async (target: string) => parseOrderText((await redis.hget(hostKeys.desired('web-1'), target))!);

  test('an operator sees who is slow, lets him go by keyboard, and sees it pending until the host reports it', async () => {
    const page = await logIn('ann');
    const row = page.getByRole('row').filter({ hasText: 'user:alice' });
    await expect.poll(() => row.innerText()).toContain('hobbling');
    const text = await row.innerText();
    for (const shown of ['alice', 'web-1', '5.1 %', 'asked 4.8 %', 'cpu 2104 s of 2000 s today', 'by policy']) {
      expect(text).toContain(shown);
    }
    expect(await page.getByRole('heading', { name: 'Needs attention' }).isVisible()).toBe(true);
    expect(await page.getByText('db-1 is lost').isVisible()).toBe(true);

    await page.getByRole('link', { name: 'Release user:alice on web-1' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Release user:alice on web-1' }).waitFor();
    expect(await page.getByLabel('Reason').evaluate((field) => field === field.ownerDocument.activeElement)).toBe(true);
    await page.keyboard.type('customer paid for more');
    await page.keyboard.press('Enter');

    await page.getByRole('status').filter({ hasText: 'Waiting for the workers’ word.' }).waitFor();
    await shoot(page, 'after-release');
    expect(await desired('user:alice')).toMatchObject({
      action: 'untarpit',
      by: 'operator:ann',
      reason: 'customer paid for more',
    });

    // The stand-in worker carries it out; the open page says so without a reload.
    await page.evaluate('globalThis.isStillThisPage = true');
    await redis.hdel(hostKeys.observed('web-1'), 'user:alice');
    await page.getByRole('status').filter({ hasText: 'Done: the workers say so.' }).waitFor();
    expect(await page.evaluate('globalThis.isStillThisPage')).toBe(true);
    expect(complaints).toEqual([]);
  });

  test('a refresh keeps focus, what is being typed, and the scroll position', async () => {
    const page = await logIn('ann', { viewport: { width: 1280, height: 400 } });
    const release = page.getByRole('link', { name: 'Release user:bob on web-1' });
    await release.focus();
    const top = await page.evaluate('scrollY');
    await tarpit('web-1', 'user:aaron', 'aaron', { processes: 1 });
    await page.getByText('user:aaron').first().waitFor();
    expect(await release.evaluate((link) => link === link.ownerDocument.activeElement)).toBe(true);
    expect(await page.evaluate('scrollY')).toBe(top);

    await page.getByRole('searchbox', { name: 'Search targets' }).fill('ali');
    await Promise.race([page.waitForResponse(() => true), page.waitForTimeout(2_500)]);
    expect(await page.getByRole('searchbox', { name: 'Search targets' }).inputValue()).toBe('ali');
    await page.keyboard.press('Enter');
    await page.getByText('1 of 3').waitFor();
    expect(await page.getByRole('row').filter({ hasText: 'user:bob' }).count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test('paused, the page stands still until it is resumed', async () => {
    const page = await logIn('ann');
    await page.getByRole('button', { name: 'Pause refresh' }).click();
    await tarpit('web-1', 'user:zoe', 'zoe', {});
    await page.waitForTimeout(2_600);
    expect(await page.getByText('user:zoe').count()).toBe(0);
    await page.getByRole('button', { name: 'Resume refresh' }).click();
    await page.getByText('user:zoe').first().waitFor();
  });

  test('an open page says when the admin itself does not answer', async () => {
    const page = await logIn('ann');
    await admin.stop();
    await page.getByRole('alert').filter({ hasText: 'The admin does not answer.' }).waitFor();
  });

  test('all of it works without scripts', async () => {
    const page = await logIn('ann', { javaScriptEnabled: false });
    await page.getByRole('link', { name: 'Hold: web-1' }).click();
    await page.getByLabel('Reason').fill('incident 12');
    await page.getByRole('button', { name: 'Hold web-1' }).click();
    await page.getByText('has not said yet').waitFor();
    expect(JSON.parse((await redis.get(hostKeys.hold('web-1')))!)).toMatchObject({ by: 'operator:ann' });
    await page.getByRole('link', { name: 'Audit', exact: true }).click();
    await page.getByText('incident 12').waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('Password').waitFor();
  });

  test('a viewer sees the same and can press nothing', async () => {
    const page = await logIn('vic');
    await page.getByText('user:alice').first().waitFor();
    expect(await page.getByRole('link', { name: /^(Release|Hold)/ }).count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  test('the queue page shows the host’s queue and its orders, breaks nothing under its CSP, and asks no other host', async () => {
    const page = await logIn('ann');
    await untilQueuesAreFound(page);
    await page.getByRole('link', { name: 'Queues' }).click();
    await page.getByRole('link', { name: 'web-1' }).first().click();
    await page.getByText('"user:alice"').first().waitFor();
    await shoot(page, 'queue');
    const colour = await page.evaluate(`getComputedStyle(document.body).fontFamily`);
    expect(colour).not.toBe('');
    expect(complaints).toEqual([]);
  });

  test('the queue page offers an operator more buttons than a viewer, who is told that it is read-only', async () => {
    const buttonsFor = async (name: keyof typeof PASSWORDS) => {
      const page = await logIn(name);
      await untilQueuesAreFound(page);
      await page.goto(`${url}/queues/queue/web%3Aweb-1`);
      await page.getByText('"user:alice"').first().waitFor();
      await shoot(page, `queue-${name}`);
      return page.getByRole('button').count();
    };
    expect(await buttonsFor('vic')).toBeLessThan(await buttonsFor('ann'));
    expect(complaints).toEqual([]);
  });

  async function untilQueuesAreFound(page: Page): Promise<void> {
    await until(
      async () => {
        const response = await page.request.get(`${url}/queues/api/queues?page=1&jobsPerPage=1`);
        return ((await response.json()) as { queues: unknown[] }).queues.length === 2;
      },
      { deadlineMs: 12_000, what: 'both hosts’ queues' },
    );
  }
});

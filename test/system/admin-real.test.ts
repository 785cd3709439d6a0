/**
 * The whole system through a browser: real Redis, worker, producer and admin, each a process of its own, and a real
 * process of a real user that a person at the page sees, lets go and slows down. What the page says is held against what
 * the process does.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hashPasswordSync } from '../../admin/password.ts';
import { fleetKeys, hostKeys } from '../../shared/keys.ts';
import { openQueue } from '../../shared/queue.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { CHROMIUM, shoot, TestBrowser } from '../support/browser.ts';
import {
  cpuSeconds,
  expectNothingLeft,
  readState,
  signalExactly,
  spawnSpinner,
  type TestProcess,
  until,
} from '../support/processes.ts';
import { connectTest, startRedis, type TestRedis } from '../support/redis.ts';
import { startService, type TestService } from '../support/service.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../support/worker.ts';

const TOKEN = 'a-token-for-this-test-only';
/** No user of this machine: the test's own processes alone run under it. */
const UID = 23_461;
const TARGET = `uid:${UID}`;
const PASSWORD = 'correct horse';

if (CHROMIUM === undefined) console.warn('admin-real.test.ts skipped: no Chromium; apt-get install chromium');

describe.skipIf(CHROMIUM === undefined)('a person at the page', () => {
  let dir: string;
  let server: TestRedis;
  let redis: Redis;
  let worker: TestWorker;
  let producer: TestService;
  let admin: TestService;
  let browser: TestBrowser;
  let spinner: TestProcess;
  let days = 0;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'hobbler-admin-'));
    const HOBBLER_CONFIG = join(dir, 'hobbler.yaml');
    const password = hashPasswordSync(PASSWORD);
    const users = [
      { name: 'ann', role: 'operator', password },
      { name: 'vic', role: 'viewer', password },
    ];
    // So that no test waits for the shortest stay of the policy.
    writeFileSync(HOBBLER_CONFIG, JSON.stringify({ producer: { dwell: '0s' }, admin: { users } }));
    server = await startRedis();
    redis = connectTest(server);
    worker = await startWorker({ redis: server, config: { minUid: 1_000 } });
    producer = await startService('producer', server, { HOBBLER_PRODUCER_TOKEN: TOKEN, HOBBLER_CONFIG });
    admin = await startService('admin', server, { HOBBLER_CONFIG });
    browser = await TestBrowser.start();
  });
  afterAll(async () => {
    await browser?.stop();
    for (const service of [admin, producer, worker]) expect(await service.stop()).toBe(0);
    await expectNothingLeft();
    redis?.disconnect();
    await server?.stop();
    removeStateDirs();
    rmSync(dir, { recursive: true });
  });
  beforeEach(async () => {
    spinner = await spawnSpinner({ uid: UID, gid: UID });
  });
  afterEach(async () => {
    await browser.forget();
    spinner.child.kill('SIGKILL');
    await redis.del(fleetKeys.hold);
  });

  const logIn = (name: string) => browser.logIn(admin.url, name, PASSWORD);
  const isStopped = (deadlineMs = 10_000) =>
    until(() => readState(spinner.pid) === 'T', { deadlineMs, what: 'the process to be stopped' });

  /** The share of a core that the process gets; asked anew until it passes, since the machine has other work too. */
  async function share(passes: (ratio: number) => boolean, what: string): Promise<void> {
    const lookMs = 1_500;
    await until(
      async () => {
        const [before, from] = [cpuSeconds(spinner.pid)!, performance.now()];
        await until(() => performance.now() - from >= lookMs, { deadlineMs: 10_000, what: 'time to pass' });
        return passes((cpuSeconds(spinner.pid)! - before) / ((performance.now() - from) / 1_000));
      },
      { deadlineMs: 20_000, what },
    );
  }
  const slow = () => share((ratio) => ratio < 0.15, 'it to be slow');
  const fast = () => share((ratio) => ratio > 0.3, 'it to be fast');

  /** A reading over the limit in a window that none has been in before. */
  async function overLimit(): Promise<void> {
    const reading = { account: 'alice', used: 2_104, limit: 2_000, unit: 's', window: `day-${++days}`, host: 'web-1' };
    const response = await fetch(`${producer.url}/v1/readings`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...reading, target: TARGET }),
    });
    expect(await response.json()).toMatchObject({ accepted: 1 });
  }

  const rowOf = (page: Page, text: string) => page.getByRole('row').filter({ hasText: text }).first();
  const says = (page: Page, words: string) =>
    page.getByRole('status').filter({ hasText: words }).waitFor({ timeout: 40_000 });

  async function tarpitByHand(page: Page): Promise<void> {
    await page.goto(`${admin.url}/tarpit?host=web-1`);
    await page.getByLabel('Target', { exact: true }).fill(TARGET);
    await page.getByLabel('For how long').fill('20m');
    await page.getByRole('button', { name: 'Show what will happen' }).click();
    await page.getByText('10 of 210 ms').waitFor();
    await page.getByLabel('Reason').fill('runs amok');
    await page.getByRole('button', { name: `Tarpit ${TARGET}` }).click();
    await page.getByText('hobbling 1 process').waitFor();
  }

  async function release(page: Page, keep: string): Promise<void> {
    await page.goto(`${admin.url}/release?host=web-1&target=${TARGET}`);
    if (keep !== '') await page.getByLabel(/^Keep/).selectOption(keep);
    await page.getByLabel('Reason').fill('paid for more');
    await page.keyboard.press('Enter');
    await page.getByText('paid for more').waitFor();
  }

  test('sees a real host and a slowed process, lets it go and keeps it so; it speeds up, and the policy takes it not back', async () => {
    await overLimit();
    await isStopped();
    await slow();
    const page = await logIn('ann');
    const row = rowOf(page, TARGET);
    await expect.poll(() => row.innerText(), { timeout: 10_000 }).toContain('hobbling');
    expect(await row.innerText()).toMatch(/alice[\s\S]*web-1[\s\S]*2104 s of 2000 s/);
    expect(await rowOf(page, 'last beat').innerText()).toMatch(/web-1[\s\S]*alive/);
    await shoot(page, 'real-fleet');

    await page.getByRole('link', { name: `Release ${TARGET} on web-1` }).click();
    await page.getByText('One process of account alice is slowed.').waitFor();
    await page.getByLabel('Keep alice out of the tarpit').selectOption('1h');
    await page.getByLabel('Reason').fill('paid for more');
    await page.keyboard.press('Enter');
    await says(page, 'Done: the workers say so.');
    await shoot(page, 'real-released');
    await fast();

    await overLimit();
    await page.goto(`${admin.url}/exempt?account=alice`);
    await page.getByText('alice is kept out of the tarpit').waitFor();
    await fast();
    expect(readState(spinner.pid)).not.toBe('T');
    await page.goto(`${admin.url}/audit?q=paid+for+more`);
    expect(await rowOf(page, 'untarpit').innerText()).toMatch(/done[\s\S]*let go, 1 process/);
    expect(browser.complaints).toEqual([]);
  });

  test('slows by hand, extends, and lets go; an old order that is retried on the queue board slows nobody', async () => {
    const page = await logIn('ann');
    await tarpitByHand(page);
    await isStopped();
    await slow();
    const job = page.getByRole('link', { name: `Job of ${TARGET} on web-1` });
    const jobHref = (await job.getAttribute('href'))!;

    await page.goto(`${admin.url}/extend?host=web-1&target=${TARGET}`);
    await page.getByLabel('For how long').fill('2h');
    await page.getByLabel('Reason').fill('goes on');
    await page.keyboard.press('Enter');
    await says(page, 'Done: the workers say so.');
    const report = JSON.parse((await redis.hget(hostKeys.observed('web-1'), TARGET))!) as { expiresAtMs: number };
    expect(report.expiresAtMs).toBeGreaterThan(Date.now() + 100 * 60_000);

    await release(page, '');
    await says(page, 'Done: the workers say so.');
    await fast();

    await page.goto(`${admin.url}${jobHref}`);
    await page.getByText(`"${TARGET}"`).first().waitFor();
    const id = decodeURIComponent(page.url().split('/').at(-1)!.split('?')[0]!);
    const retried = await page.request.put(`${admin.url}/queues/api/queues/web%3Aweb-1/${id}/retry`, {
      headers: { origin: admin.url },
    });
    expect(retried.status()).toBe(204);
    const queue = openQueue('web-1', redis);
    await until(async () => ((await queue.getJob(id))?.returnvalue as { status?: string } | null)?.status === 'stale', {
      deadlineMs: 10_000,
      what: 'the old order to be told that it is stale',
    });
    expect(readState(spinner.pid)).not.toBe('T');
    await fast();
    // bull-board opens what is elsewhere beside itself.
    const opened = page.context().waitForEvent('page');
    await page.getByRole('link', { name: 'On its host' }).click();
    await (await opened).getByRole('heading', { name: 'web-1', exact: true }).waitFor();
    expect(browser.complaints).toEqual([]);
  });

  test('sees a release as pending for as long as the worker is stopped, though its guard has let everything run', async () => {
    const page = await logIn('ann');
    await tarpitByHand(page);
    await isStopped();
    signalExactly(worker, 'SIGSTOP');
    try {
      await until(() => readState(spinner.pid) !== 'T' && worker.guard() !== undefined, {
        deadlineMs: 5_000,
        what: 'a run phase',
      });
      await fast();
      await release(page, '');
      await says(page, 'Waiting for the workers’ word.');
      expect(await page.getByText('Done:').count()).toBe(0);
      await shoot(page, 'real-pending');
      // Two beats later it is late, and the page says so by itself; done is still not said.
      await page.getByText('the worker is late').waitFor({ timeout: 40_000 });
      expect(await page.getByText('Done:').count()).toBe(0);
    } finally {
      signalExactly(worker, 'SIGCONT');
    }
    await says(page, 'Done: the workers say so.');
    await fast();
    expect(browser.complaints).toEqual([]);
  });

  test('holds the fleet: everything runs at once, also after the worker was started anew, until the hold is lifted', async () => {
    const page = await logIn('ann');
    await tarpitByHand(page);
    await isStopped();
    await page.goto(admin.url);
    await page.getByRole('link', { name: 'Hold the fleet' }).click();
    await page.getByLabel('Reason').fill('incident 12');
    await page.keyboard.press('Enter');
    await says(page, 'Done: the workers say so.');
    await fast();
    expect(await worker.stop()).toBe(0);
    worker = await startWorker({ redis: server, config: { minUid: 1_000 }, stateDir: worker.stateDir });
    await fast();
    expect(readState(spinner.pid)).not.toBe('T');
    await page.getByRole('link', { name: 'Lift the hold' }).click();
    await page.getByLabel('Reason').fill('over');
    await page.keyboard.press('Enter');
    await says(page, 'Done: the workers say so.');
    await isStopped();
    await release(page, '');
    await says(page, 'Done: the workers say so.');
    expect(browser.complaints).toEqual([]);
  });

  test('who is a viewer can press nothing, and what he sends all the same is refused', async () => {
    const operator = await logIn('ann');
    await tarpitByHand(operator);
    await isStopped();
    const page = await logIn('vic');
    await page.getByText(TARGET).first().waitFor();
    expect(await page.getByRole('link', { name: /^(Release|Hold|Tarpit|Extend)/ }).count()).toBe(0);
    const csrf = await page.locator('input[name=csrf]').first().inputValue();
    for (const [path, form] of [
      ['/release', { host: 'web-1', target: TARGET }],
      ['/release-fleet', {}],
      ['/hold', { host: '*' }],
    ] as const) {
      const options = { form: { ...form, csrf, reason: 'mine' }, headers: { origin: admin.url }, maxRedirects: 0 };
      expect((await page.request.post(`${admin.url}${path}`, options)).status(), path).toBe(403);
    }
    await page.goto(`${admin.url}/hold`);
    await page.getByRole('heading', { name: 'Not allowed' }).waitFor();
    expect(await redis.exists(fleetKeys.hold)).toBe(0);
    await slow();
  });

  test('who is lured to another site holds nothing by it, nor by a form without his token', async () => {
    const page = await logIn('ann');
    const form = `<form method="post" action="${admin.url}/hold"><input name="host" value="*"><input name="reason" value="x"></form>`;
    const evil = `<!doctype html><title>evil</title>${form}<script>document.forms[0].submit()</script>`;
    await page.route('http://evil.example/', (route) => route.fulfill({ contentType: 'text/html', body: evil }));
    await page.goto('http://evil.example/').catch(() => {});
    await page.getByText('this request comes from another site').waitFor();
    const options = { form: { host: '*', reason: 'x' }, headers: { origin: admin.url }, maxRedirects: 0 };
    const refused = await page.request.post(`${admin.url}/hold`, options);
    expect(refused.status()).toBe(403);
    expect(await refused.text()).toContain('this form is not of your session');
    expect(await redis.exists(fleetKeys.hold)).toBe(0);
  });
});

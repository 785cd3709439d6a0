/** Open pages on a real admin and a real Redis: what changes reaches them, only that, only whom it may, and it costs Redis one reading. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Patch } from '../../../admin/live/patch.ts';
import type { AdminService } from '../../../admin/service.ts';
import { fleetKeys, historyKey, hostKeys } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { hold, unhold } from '../../../shared/redis/fleet.ts';
import { OrderIssuer } from '../../../shared/redis/issuer.ts';
import { connectTest, startRedis, type TestRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';
import { Browser, startAdmin, writeHost, writeReport } from './admin-fixture.ts';

let server: TestRedis;
let redis: Redis;
let admin: AdminService;
let url: string;

beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
});
afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
});
beforeEach(async () => {
  await server.flush();
  await writeHost(redis, 'web-1', {}, [{ target: 'user:alice' }, { target: 'user:bob', account: 'bob' }]);
  ({ admin, url } = await startAdmin(server.url));
});
afterEach(async () => {
  for (const page of pages.splice(0)) await page.close();
  await admin.stop();
});

type Told = [string, Patch & { why?: string }];
const pages: OpenPage[] = [];

/** An open page's stream, as a browser takes it. */
class OpenPage {
  readonly told: Told[] = [];
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  isOver = false;

  constructor(response: Response) {
    this.#reader = response.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>;
    void this.#take();
    pages.push(this);
  }

  async #take(): Promise<void> {
    let text = '';
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done) break;
        text += Buffer.from(value).toString();
        const messages = text.split('\n\n');
        text = messages.pop()!;
        for (const message of messages) {
          const [, name, json] = /^event: (\w+)\n(?:id: .*\n)?data: (.*)$/.exec(message) ?? [];
          if (name) this.told.push([name, JSON.parse(json!)]);
        }
      }
    } catch {
      // Cut off: the admin has stopped.
    }
    this.isOver = true;
  }

  /** Waits for a patch in which `words` stand, and returns it. */
  async patchWith(words: string): Promise<Patch> {
    const find = () =>
      this.told.find(([name, patch]) => name === 'patch' && JSON.stringify(patch.parts).includes(words));
    const told = await until(find, { deadlineMs: 15_000, what: () => `${words} in ${JSON.stringify(this.told)}` });
    return told![1];
  }

  async close(): Promise<void> {
    await this.#reader.cancel().catch(() => {});
  }
}

async function openPage(browser: Browser, path = '/events/fleet'): Promise<OpenPage> {
  const response = await browser.get(path, { accept: 'text/event-stream' });
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  return new OpenPage(response);
}

describe('an open fleet page', () => {
  test('is told all of it, and then only the row that changed', async () => {
    const page = await openPage(await new Browser(url).logIn('ann'));
    await page.patchWith('user:alice');
    page.told.length = 0;
    await writeReport(redis, 'web-1', { target: 'user:bob', account: 'bob', gotRatio: 0.73 });
    const patch = await page.patchWith('73 %');
    const part = patch.parts.find(({ id }) => id === 'targets')!;
    expect(part).toEqual({ id: 'targets', rows: { 'web-1 user:bob': expect.stringContaining('73 %') } });
    expect(JSON.stringify(patch)).not.toContain('user:alice');
  });

  test('is told nothing that it shows already', async () => {
    const browser = await new Browser(url).logIn('ann');
    const html = await (await browser.get('/')).text();
    const [, digest] = /data-digest="([^"]+)"/.exec(html)!;
    const page = await openPage(browser, `/events/fleet?have=${digest}`);
    await writeReport(redis, 'web-1', { target: 'user:carol', account: 'carol' });
    await page.patchWith('user:carol');
    expect(JSON.stringify(page.told)).not.toContain('Release user:alice');
  });

  test('shows what it was filtered by, and no more', async () => {
    const page = await openPage(await new Browser(url).logIn('vic'), '/events/fleet?q=bob');
    await page.patchWith('user:bob');
    expect(JSON.stringify(page.told)).not.toContain('user:alice');
  });

  test('gives a viewer no way to act, while an operator beside him has one', async () => {
    const [viewer, operator] = [
      await openPage(await new Browser(url).logIn('vic')),
      await openPage(await new Browser(url).logIn('ann')),
    ];
    await Promise.all([viewer.patchWith('user:alice'), operator.patchWith('user:alice')]);
    expect(JSON.stringify(viewer.told)).not.toContain('/release');
    expect(JSON.stringify(operator.told)).toContain('/release');
  });

  test('follows holds, fleet orders, releases and hosts that come and go', async () => {
    const page = await openPage(await new Browser(url).logIn('ann'));
    await page.patchWith('user:alice');
    await hold(redis, undefined, 'incident 12', 'operator:ann');
    await page.patchWith('The fleet is held.');
    await unhold(redis, undefined, 'over', 'operator:ann');
    const issuer = new OrderIssuer(redis, undefined, silentLogger());
    await issuer.issue({
      action: 'tarpit',
      host: '*',
      target: 'user:sybil',
      reason: 'mining',
      by: 'ann',
      forMs: 60_000,
    });
    await page.patchWith('user:sybil');
    await issuer.issue({ action: 'untarpit', host: 'web-1', target: 'user:alice', reason: 'paid', by: 'ann' });
    await page.patchWith('release pending');
    await redis.hdel(hostKeys.observed('web-1'), 'user:alice');
    await page.patchWith('let go');
    await writeHost(redis, 'web-2');
    await page.patchWith('web-2');
    page.told.length = 0;
    await redis.srem(fleetKeys.hosts, 'web-1');
    const patch = await page.patchWith('"order":["web-2"]');
    expect(patch.parts.map(({ id }) => id)).toContain('hosts');
  });

  test('is cut off when its user logs out, and hears nothing that comes after', async () => {
    const browser = await new Browser(url).logIn('ann');
    const page = await openPage(browser);
    await page.patchWith('user:alice');
    expect((await browser.submit('/logout', {})).status).toBe(303);
    await until(() => page.isOver, { deadlineMs: 15_000, what: 'the end of the stream' });
    expect(page.told.at(-1)).toEqual(['end', { why: 'session' }]);
  });

  test('ends at once when the admin stops', async () => {
    const page = await openPage(await new Browser(url).logIn('ann'));
    await page.patchWith('user:alice');
    await admin.stop();
    await until(() => page.isOver, { deadlineMs: 5_000, what: 'the end of the stream' });
  });
});

describe('an open page of one host', () => {
  test('asks its worker for the processes of a target, and shows what it answers', async () => {
    const page = await openPage(await new Browser(url).logIn('vic'), '/events/hosts/web-1?target=user:alice');
    await page.patchWith('Asking the worker of web-1');
    expect(JSON.parse((await redis.get(hostKeys.looking('web-1')))!)).toEqual(['user:alice']);
    expect(await redis.pttl(hostKeys.looking('web-1'))).toBeGreaterThan(0);
    const process = { pid: 812, ppid: 1, startTicks: 5, comm: 'make', state: 'T', uid: 1_001 };
    const processes = [{ ...process, cpuMs: 10, shareRatio: null, spared: null }];
    const trees = [{ target: 'user:alice', processes, leftOut: 0 }];
    await redis.set(hostKeys.trees('web-1'), JSON.stringify({ v: 1, atMs: Date.now(), trees }), 'PX', 10_000);
    await page.patchWith('make');
    await redis.xadd(
      hostKeys.audit('web-1'),
      '*',
      'action',
      'tarpit',
      'target',
      'user:zoe',
      'result',
      '{"status":"gone"}',
    );
    await page.patchWith('user:zoe');
  });

  test('is a page that answers at once, and 404 for a host that nobody knows', async () => {
    const browser = await new Browser(url).logIn('vic');
    expect(await (await browser.get('/hosts/web-1')).text()).toContain('Never hobbled here');
    expect((await browser.get('/hosts/nobody')).status).toBe(404);
    expect((await browser.get('/hosts/web-1?target=nonsense')).status).toBe(400);
  });
});

describe('an open page of one account', () => {
  test('follows what the producer writes down, and an account of any name has one', async () => {
    const name = 'a/b ü?&#"<x>';
    const browser = await new Browser(url).logIn('ann');
    expect((await browser.get(`/accounts/${encodeURIComponent(name)}`)).status).toBe(200);
    const page = await openPage(browser, `/events/accounts/${encodeURIComponent(name)}`);
    await page.patchWith('noted nothing of this account');
    const entry = {
      kind: 'change',
      subject: 'account',
      change: 'in',
      hobble: null,
      limit: null,
      level: null,
      why: 'over',
    };
    await redis.xadd(historyKey(name), '*', 'entry', JSON.stringify(entry));
    await page.patchWith('put in');
  });
});

describe('a stream of events', () => {
  test('asks for a login, and answers no HEAD', async () => {
    const stranger = await new Browser(url).get('/events/fleet');
    expect(stranger.status).toBe(401);
    expect(await stranger.json()).toEqual({ error: 'log in first' });
    expect((await (await new Browser(url).logIn('vic')).call('HEAD', '/events/fleet')).status).toBe(404);
  });

  test('refuses a sorting that is none, and words what it expected', async () => {
    const answer = await (await new Browser(url).logIn('vic')).get('/events/fleet?sort=password');
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { error: string }).error).toContain('expected one of account, host');
  });
});

test('many open pages cost Redis one reading', async () => {
  const browser = await new Browser(url).logIn('ann');
  const readings = async () => Number(/cmdstat_smembers:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);
  const open = await Promise.all(Array.from({ length: 15 }, () => openPage(browser)));
  await Promise.all(open.map((page) => page.patchWith('user:alice')));
  const before = await readings();
  await writeReport(redis, 'web-1', { target: 'user:zoe', account: 'zoe' });
  await Promise.all(open.map((page) => page.patchWith('user:zoe')));
  await writeReport(redis, 'web-1', { target: 'user:yan', account: 'yan' });
  await Promise.all(open.map((page) => page.patchWith('user:yan')));
  // BullMQ's board asks for the hosts, too; fifteen pages that each asked would be thirty.
  expect((await readings()) - before).toBeLessThan(15);
});

/**
 * The main job with a Redis user for each service: worker, producer and admin, each a process of its own, and the
 * operators' command line under the admin's user. Everything works, and Redis refused nobody anything. Then what the
 * producer's and the admin's users cannot do.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fleetKeys, hostKeys, ledgerKey, ledgerKeys } from '../../../shared/keys.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { Order } from '../../../shared/order.ts';
import { openQueue } from '../../../shared/queue.ts';
import { connectRedis } from '../../../shared/redis/connection.ts';
import { expectNothingLeft, readState, spawnSpinner, type TestProcess, until } from '../../support/processes.ts';
import { type RedisWithUsers, startRedisWithUsers } from '../../support/redis-users.ts';
import { startService, type TestService } from '../../support/service.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../../support/worker.ts';
import { Browser } from '../admin/admin-fixture.ts';

const run = promisify(execFile);
const CLI = fileURLToPath(new URL('../../../cli.ts', import.meta.url));
const TOKEN = 'a-token-for-this-test-only';
const UID = 23_462;
const TARGET = `uid:${UID}`;
const WORKER = { role: 'worker', host: 'web-1' } as const;
const PRODUCER = { role: 'producer' } as const;
const ADMIN = { role: 'admin' } as const;

let redis: RedisWithUsers;
let dir: string;
let worker: TestWorker;
let producer: TestService;
let admin: TestService;
let spinner: TestProcess;
const urls = { worker: '', producer: '', admin: '' };

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-users-'));
  const config = join(dir, 'hobbler.yaml');
  writeFileSync(
    config,
    `producer:
  dwell: 0s
  limits: { default: { used: 2000 } }
  accounts: { carol: { targets: [{ host: web-1, target: '${TARGET}' }] } }
  sources: { meter: { every: 200ms } }
`,
  );
  redis = await startRedisWithUsers();
  urls.worker = await redis.addUser(WORKER);
  urls.producer = await redis.addUser(PRODUCER);
  urls.admin = await redis.addUser(ADMIN);
  worker = await startWorker({ redis: { url: urls.worker }, config: { minUid: 1_000 } });
  producer = await startProducer(config);
  admin = await startService(
    'admin',
    { url: urls.admin },
    { HOBBLER_ADMIN_USER: 'ann', HOBBLER_ADMIN_PASSWORD: 'correct horse' },
  );
  spinner = await spawnSpinner({ uid: UID, gid: UID });
});
afterAll(async () => {
  for (const service of [admin, producer, worker]) expect(await service.stop()).toBe(0);
  await expectNothingLeft();
  await redis.stop();
  removeStateDirs();
  rmSync(dir, { recursive: true });
});
afterEach(async () => {
  for (const role of [WORKER, PRODUCER, ADMIN]) expect(await redis.refusedTo(role)).toEqual([]);
});

function startProducer(config = join(dir, 'hobbler.yaml')): Promise<TestService> {
  return startService('producer', { url: urls.producer }, { HOBBLER_PRODUCER_TOKEN: TOKEN }, ['--config', config]);
}

async function read(used: number, window: string): Promise<void> {
  const body = { account: 'alice', used, limit: 2_000, unit: 's', window, host: 'web-1', target: TARGET };
  const response = await fetch(`${producer.url}/v1/readings`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(await response.json()).toMatchObject({ accepted: 1 });
}

/** The command line under the admin's user. */
async function cli(...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [CLI, '--redis', urls.admin, '--state-dir', dir, ...args]);
  return stdout;
}

const stops = () => until(() => readState(spinner.pid) === 'T', { deadlineMs: 5_000, what: 'a stop' });
/** The untarpit that stands now was carried out, by the host's own audit. */
const letGo = async () => {
  await until(
    async () => {
      const standing = JSON.parse((await redis.root.hget(hostKeys.desired('web-1'), TARGET)) ?? '{}') as Order;
      const [entry] = await redis.root.xrevrange(hostKeys.audit('web-1'), '+', '-', 'COUNT', 1);
      return standing.action === 'untarpit' && entry?.[1].includes(String(standing.version));
    },
    { deadlineMs: 5_000, what: 'the untarpit to be carried out' },
  );
  expect(readState(spinner.pid)).not.toBe('T');
};

describe('with a user for each service', () => {
  it('a reading over the limit tarpits, and the next window lets go', async () => {
    await read(2_104, 'monday');
    await stops();
    await read(3, 'tuesday');
    await letGo();
  });

  it('a producer that is started again takes its ledger up', async () => {
    await read(2_104, 'wednesday');
    await stops();
    expect(await producer.stop()).toBe(0);
    producer = await startProducer();
    const answer = await fetch(`${producer.url}/v1/accounts/alice`, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect(answer.status).toBe(200);
    await read(3, 'thursday');
    await letGo();
  });

  it("the workers' meter is read and remembered", async () => {
    await until(async () => (await redis.root.keys('hobbler:ledger:*')).length >= 1, {
      deadlineMs: 15_000,
      what: 'a ledger',
    });
    await until(async () => (await redis.root.exists(hostKeys.meter('web-1'))) === 1, {
      deadlineMs: 15_000,
      what: 'a meter',
    });
    // Once it is there it is read every 200 ms; a refusal would stand in the log of Redis that afterEach looks at.
    const before = Number((await redis.root.info('commandstats')).match(/cmdstat_smembers:calls=(\d+)/)?.[1] ?? 0);
    await until(
      async () =>
        Number((await redis.root.info('commandstats')).match(/cmdstat_smembers:calls=(\d+)/)?.[1] ?? 0) > before + 2,
      { deadlineMs: 5_000, what: 'two looks of the meter' },
    );
  });

  it('the admin shows the fleet, its audit and its metrics, and releases, holds and lifts', async () => {
    await read(2_500, 'friday');
    await stops();
    const browser = await new Browser(admin.url).logIn('ann');
    await until(async () => (await (await browser.get('/')).text()).includes(TARGET), {
      deadlineMs: 5_000,
      what: 'the target',
    });
    for (const path of ['/audit', '/audit?host=web-1', '/api/fleet', '/metrics'])
      expect((await browser.get(path)).status).toBe(200);
    expect((await browser.submit('/release', { host: 'web-1', target: TARGET, reason: 'test' })).status).toBe(303);
    await letGo();
    for (const path of ['/hold', '/unhold']) {
      expect((await browser.submit(path, { host: 'web-1', reason: 'test' })).status).toBe(303);
      expect((await browser.submit(path, { host: '*', reason: 'test' })).status).toBe(303);
    }
  });

  it('the admin slows by hand, extends, keeps out, releases everything, and removes a host that is gone', async () => {
    const browser = await new Browser(admin.url).logIn('ann');
    const act = async (path: string, fields: Record<string, string>) => {
      const response = await browser.submit(path, { reason: 'test', ...fields });
      expect(response.status, `${path}: ${await response.clone().text()}`).toBe(303);
      const at = response.headers.get('location')!;
      await until(async () => !(await (await browser.get(at)).text()).includes('Waiting for'), {
        deadlineMs: 15_000,
        what: `the host's word on ${path}`,
      });
    };
    await act('/tarpit', { host: 'web-1', target: TARGET, account: 'dora', level: 'usual', for: '30m' });
    await stops();
    await act('/extend', { host: 'web-1', target: TARGET, for: '1h' });
    await act('/exempt', { account: 'dora', keep: '1h' });
    await letGo();
    await act('/unexempt', { account: 'dora' });
    for (const path of ['/release-host', '/release-fleet']) {
      await act('/tarpit', { host: 'web-1', target: 'user:nobody-of-that-name', level: 'half', for: '30m' });
      await act(path, { host: 'web-1' });
    }
    await redis.root.sadd(fleetKeys.hosts, 'gone-1');
    await act('/remove-host', { host: 'gone-1' });
    expect(await redis.root.sismember(fleetKeys.hosts, 'gone-1')).toBe(0);
  });

  it('the queue board does all that it offers', async () => {
    const browser = await new Browser(admin.url).logIn('ann');
    const base = '/queues/api/queues';
    const queuePath = `${base}/${encodeURIComponent('web:web-1')}`;
    expect((await browser.call('PUT', `${queuePath}/pause`)).status).toBeLessThan(300);
    const queue = openQueue('web-1', redis.root);
    const { id } = await queue.add('tarpit', { nonsense: 1 });
    for (const status of [
      'active',
      'waiting',
      'completed',
      'failed',
      'delayed',
      'paused',
      'prioritized',
      'waiting-children',
    ])
      expect((await browser.get(`${base}?activeQueue=web%3Aweb-1&status=${status}&page=1`)).status).toBe(200);
    for (const path of [`/${id}`, `/${id}/logs`, `/${id}/flow`, '/metrics', '/rate-limit', '/default-job-options'])
      expect((await browser.get(`${queuePath}${path}`)).status, path).toBeLessThan(500);
    expect((await browser.get('/queues/api/redis/stats')).status).toBe(200);
    const json = { 'content-type': 'application/json' };
    const call = (method: string, path: string, body?: unknown) =>
      send(browser, method, `${queuePath}${path}`, body, json);
    expect(
      await call('POST', '/add', { name: 'tarpit', data: { nonsense: 2 }, options: { delay: 60_000 } }),
    ).toBeLessThan(300);
    const delayed = (await queue.getJobs(['delayed']))[0]!.id!;
    expect(await call('PATCH', `/${delayed}/update-data`, { jobData: { nonsense: 3 } })).toBeLessThan(300);
    expect(await call('PUT', `/${delayed}/promote`)).toBeLessThan(300);
    expect(await call('PUT', `/${id}/clean`)).toBeLessThan(300);
    expect(await call('PUT', '/concurrency', { concurrency: 5 })).toBeLessThan(500);
    expect(await call('PUT', '/promote')).toBeLessThan(500);
    for (const status of ['completed', 'failed', 'wait', 'delayed'])
      expect(await call('PUT', `/clean/${status}`)).toBeLessThan(500);
    expect(await call('PUT', '/empty')).toBeLessThan(300);
    expect(await call('PUT', '/resume')).toBeLessThan(300);
    await queue.add('tarpit', { nonsense: 4 }, { attempts: 1 });
    const poison = await until(async () => (await queue.getJobs(['failed']))[0], {
      deadlineMs: 5_000,
      what: 'a failed job',
    });
    expect(await call('PUT', `/${poison!.id}/retry`)).toBeLessThan(300);
    await until(async () => (await queue.getJobs(['failed'])).length === 1, {
      deadlineMs: 5_000,
      what: 'its second failure',
    });
    expect(await call('PUT', '/retry/failed')).toBeLessThan(300);
    await until(async () => (await queue.getJobs(['failed'])).length === 1, {
      deadlineMs: 5_000,
      what: 'its third failure',
    });
    expect(await call('PUT', '/pause')).toBeLessThan(300);
    expect(await call('PUT', '/obliterate')).toBeLessThan(300);
    expect(await call('PUT', '/resume')).toBeLessThan(300);
  });

  it("the operators' command line works under the admin's user", async () => {
    expect(await cli('status')).toContain('web-1');
    expect(await cli('tarpit', TARGET, '--host', 'web-1', '--every', '--reason', 'test')).toContain('applied');
    await stops();
    expect(await cli('hold', '--host', 'web-1', '--reason', 'test')).toContain('web-1');
    expect(readState(spinner.pid)).not.toBe('T');
    expect(await cli('unhold', '--host', 'web-1', '--reason', 'test')).toContain('lifted');
    expect(await cli('untarpit', TARGET, '--host', 'web-1')).toContain('applied');
    expect(await cli('tarpit', TARGET, '--fleet', '--every', '--reason', 'test')).toContain('applied');
    expect(await cli('release-all', '--fleet')).toContain('took back');
    await cli('unhold', '--reason', 'test');
    expect(readState(spinner.pid)).not.toBe('T');
  });

  it('an operator pins, unpins, lets go of the brake, and has an account explained, and the producer obeys', async () => {
    // Alice is over still, on the same target.
    await read(3, 'saturday');
    expect(await cli('pin', 'carol', '--in', '--for', '1h', '--reason', 'test')).toContain('kept in');
    await stops();
    expect(await cli('policy', 'explain', 'carol')).toContain('test');
    expect(await cli('pins')).toContain('carol');
    expect(await cli('pin', 'carol', '--out', '--for', '1h', '--reason', 'test')).toContain('kept out');
    await letGo();
    expect(await cli('unpin', 'carol', '--reason', 'test')).toContain('unpinned');
    const held = { v: 1, entries: [], held: { sinceMs: 1, entering: 9, known: 9 }, open: null };
    await redis.root.set(ledgerKeys.brake, JSON.stringify(held));
    expect(await cli('brake', '--let-go', '--reason', 'test')).toContain('let go');
  });

  it('a pin that has ended is forgotten by the producer', async () => {
    const ended = { v: 1, kind: 'release', setAtMs: 1, by: 'operator:test', why: 'test', untilMs: 2 };
    await redis.root.hset(ledgerKeys.pins, 'bob', JSON.stringify(ended));
    await until(async () => (await redis.root.hexists(ledgerKeys.pins, 'bob')) === 0, {
      deadlineMs: 15_000,
      what: 'the pin to be forgotten',
    });
  });
});

async function send(browser: Browser, method: string, path: string, body: unknown, headers: Record<string, string>) {
  const response = await fetch(`${admin.url}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : headers), origin: admin.url, cookie: browser.cookie },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return response.status;
}

describe.each([
  [
    'the producer',
    () => urls.producer,
    PRODUCER,
    [
      ['lift a hold', 'DEL', fleetKeys.hold],
      ['hold', 'SET', hostKeys.hold('web-1'), '{}'],
      ['forge a beat', 'SET', hostKeys.status('web-1'), '{}'],
      ['forge a report', 'HSET', hostKeys.observed('web-1'), TARGET, '{}'],
      ['take a lease', 'SET', hostKeys.lease('web-1'), '9 x'],
      ["write a host's audit", 'XADD', hostKeys.audit('web-1'), '*', 'a', 'b'],
      ['remove from the audit', 'XDEL', fleetKeys.audit, '1-1'],
      ['read the audit', 'XRANGE', fleetKeys.audit, '-', '+'],
      ['add hosts', 'SADD', fleetKeys.hosts, 'x'],
      ['pin', 'HSET', ledgerKeys.pins, 'alice', '{}'],
      ['see all clients', 'CLIENT', 'LIST'],
      ['flush', 'FLUSHALL'],
    ],
  ],
  [
    'the admin',
    () => urls.admin,
    ADMIN,
    [
      ['add to a ledger', 'HSET', ledgerKey('alice'), 'state:account', '{}'],
      ['forgive in a ledger', 'DEL', ledgerKey('alice')],
      ['forge a beat', 'SET', hostKeys.status('web-1'), '{}'],
      ['forge a report', 'HSET', hostKeys.observed('web-1'), TARGET, '{}'],
      ['take a lease', 'SET', hostKeys.lease('web-1'), '9 x'],
      ['change the meter', 'HSET', hostKeys.meter('web-1'), 'user:bob', '1'],
      ['remove from the audit', 'XDEL', fleetKeys.audit, '1-1'],
      ['trim the audit', 'XTRIM', fleetKeys.audit, 'MAXLEN', '0'],
      ['see the names of keys', 'SCAN', '0'],
      ['flush', 'FLUSHALL'],
      ['configure', 'CONFIG', 'GET', '*'],
    ],
  ],
])('%s cannot', (_name, url, role, attempts) => {
  it.each(attempts as [string, string, ...string[]][])('%s', async (_what, command, ...args) => {
    const thief = connectRedis({ url: url(), name: 'thief' }, silentLogger());
    try {
      await expect(thief.call(command, ...args)).rejects.toThrow(/^NOPERM/);
      expect(await redis.refusedTo(role)).toHaveLength(1);
    } finally {
      thief.disconnect();
    }
  });
});

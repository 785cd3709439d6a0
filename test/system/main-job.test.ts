/**
 * The main job, end to end, on real parts: a reading comes in by curl, a real process of a real user slows down, the
 * admin's release button lets it go. Every service is a process of its own.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Browser } from '../redis/admin/admin-fixture.ts';
import {
  cpuSeconds,
  expectNothingLeft,
  readState,
  spawnSpinner,
  type TestProcess,
  until,
} from '../support/processes.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startService, type TestService } from '../support/service.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../support/worker.ts';

const run = promisify(execFile);
const TOKEN = 'a-token-for-this-test-only';
/** No user of this machine: the test's own processes alone run under it. */
const UID = 23_456;
const ADMIN = { HOBBLER_ADMIN_USER: 'ann', HOBBLER_ADMIN_PASSWORD: 'correct horse' };

/** So that the test need not wait for the shortest stay. */
const configDir = mkdtempSync(join(tmpdir(), 'hobbler-main-job-'));
const HOBBLER_CONFIG = join(configDir, 'hobbler.yaml');
writeFileSync(HOBBLER_CONFIG, 'producer: { dwell: 0s }\n');

let redis: TestRedis;
let worker: TestWorker;
let producer: TestService;
let admin: TestService;
let spinner: TestProcess;
beforeAll(async () => {
  redis = await startRedis();
  worker = await startWorker({ redis, config: { minUid: 1_000 } });
  producer = await startService('producer', redis, { HOBBLER_PRODUCER_TOKEN: TOKEN, HOBBLER_CONFIG });
  admin = await startService('admin', redis, ADMIN);
});
afterAll(async () => {
  expect(await admin.stop()).toBe(0);
  expect(await producer.stop()).toBe(0);
  expect(await worker.stop()).toBe(0);
  await expectNothingLeft();
  await redis.stop();
  removeStateDirs();
  rmSync(configDir, { recursive: true });
});
beforeEach(async () => {
  spinner = await spawnSpinner({ uid: UID, gid: UID });
});
afterEach(() => {
  spinner.child.kill('SIGKILL');
});

/** Posts a reading with curl, as an accounting system in any language would. */
async function curl(path: string, body: unknown): Promise<Record<string, unknown>> {
  const { stdout } = await run('curl', [
    '-sS',
    '-H',
    `Authorization: Bearer ${TOKEN}`,
    '-H',
    'Content-Type: application/json',
    '-d',
    JSON.stringify(body),
    `${producer.url}${path}`,
  ]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const reading = (used: number, window: string) => ({
  account: 'alice',
  used,
  limit: 2_000,
  unit: 's',
  window,
  host: 'web-1',
  target: `uid:${UID}`,
});
const seenStopped = (deadlineMs: number) =>
  until(() => readState(spinner.pid) === 'T', { deadlineMs, what: 'the process to be stopped' });

async function shareOver(ms: number): Promise<number> {
  const before = cpuSeconds(spinner.pid)!;
  const from = performance.now();
  await until(() => performance.now() - from >= ms, { deadlineMs: ms + 2_000, what: 'time to pass' });
  return (cpuSeconds(spinner.pid)! - before) / ((performance.now() - from) / 1_000);
}

test('a reading over the limit slows a real process within a second; the next window lets it go', async () => {
  expect(await curl('/v1/readings', reading(1_999, 'monday'))).toMatchObject({ accepted: 1 });
  expect(await shareOver(1_000)).toBeGreaterThan(0.3);
  expect(await curl('/v1/readings', reading(2_104, 'monday'))).toMatchObject({ accepted: 1 });
  await seenStopped(1_000);
  expect(await shareOver(3_000)).toBeLessThan(0.15);
  expect(await curl('/v1/readings', reading(3, 'tuesday'))).toMatchObject({ accepted: 1 });
  await until(() => readState(spinner.pid) === 'R', { deadlineMs: 1_000, what: 'it to run' });
  expect(await shareOver(1_500)).toBeGreaterThan(0.3);
});

test('the admin shows who is slow and why, and its release button lets him go', async () => {
  await curl('/v1/readings', reading(2_500, 'wednesday'));
  await seenStopped(1_000);
  const browser = await new Browser(admin.url).logIn('ann');
  await until(async () => (await (await browser.get('/')).text()).includes(`uid:${UID}`), {
    deadlineMs: 5_000,
    what: 'the target on the fleet page',
  });
  expect(await (await browser.get('/')).text()).toContain('2500 s of 2000 s');
  await browser.submit('/release', { host: 'web-1', target: `uid:${UID}`, reason: 'he asked nicely' });
  await until(() => readState(spinner.pid) === 'R', { deadlineMs: 2_000, what: 'it to run' });
  expect(await shareOver(1_500)).toBeGreaterThan(0.3);
});

test('an order over HTTP is carried out, and hostile ones get a clear refusal', async () => {
  const order = { action: 'tarpit', host: 'web-1', target: `uid:${UID}`, for: '5m', reason: 'by hand', by: 'billing' };
  expect(await curl('/v1/orders', { ...order, by: 'operator:root' })).toMatchObject({
    error: { message: expect.stringContaining('by') },
  });
  expect(await curl('/v1/orders', { ...order, target: 'pid:1' })).toMatchObject({
    error: { message: expect.stringContaining('pid:PID@START') },
  });
  expect(await curl('/v1/orders', order)).toMatchObject({ order: { action: 'tarpit' } });
  await seenStopped(1_000);
  await curl('/v1/orders', { ...order, action: 'untarpit' });
  await until(() => readState(spinner.pid) === 'R', { deadlineMs: 1_000, what: 'it to run' });
});

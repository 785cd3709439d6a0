/**
 * The policy as an operator meets it: a producer in a process of its own, its config file, and the command line. Orders
 * are looked up in Redis; no worker runs.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fleetKeys } from '../../shared/keys.ts';
import type { Order } from '../../shared/order.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { expectNothingLeft, until } from '../support/processes.ts';
import { connectTest, startRedis, type TestRedis } from '../support/redis.ts';
import { startService, type TestService } from '../support/service.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));
const TOKEN = 'a-token-for-this-test-only';
const dir = mkdtempSync(join(tmpdir(), 'hobbler-policy-'));
const HOBBLER_CONFIG = join(dir, 'hobbler.yaml');
const configure = (policy: string) => writeFileSync(HOBBLER_CONFIG, `producer:\n  dwell: 0s\n${policy}`);

let server: TestRedis;
let redis: Redis;
let producer: TestService;
beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
  configure('  limits: { day: { used: 2000 } }\n  brake: { share: 0.5, atLeast: 5 }\n');
  producer = await startService('producer', server, { HOBBLER_PRODUCER_TOKEN: TOKEN, HOBBLER_CONFIG });
});
afterAll(async () => {
  expect(await producer.stop()).toBe(0);
  redis.disconnect();
  await expectNothingLeft();
  await server.stop();
  rmSync(dir, { recursive: true });
});

function hobbler(...args: string[]): Promise<{ code: number; out: string }> {
  const env = { ...process.env, HOBBLER_REDIS_URL: server.url, HOBBLER_CONFIG };
  return new Promise((resolve) => {
    execFile(process.execPath, [CLI, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, out: stdout + stderr });
    });
  });
}

async function send(...readings: object[]): Promise<void> {
  const response = await fetch(`${producer.url}/v1/readings`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify(readings),
  });
  expect(response.status).toBe(200);
}

const untilOrdered = (action: Order['action'], account: string) =>
  until(
    async () => {
      const text = await redis.hget(fleetKeys.desired, `user:${account}`);
      return text !== null && (JSON.parse(text) as Order).action === action;
    },
    { deadlineMs: 5_000, what: () => `${action} of ${account}; the producer said:\n${producer.log().slice(-2_000)}` },
  );

test('an account is explained, pinned out, and left to the policy again', { timeout: 60_000 }, async () => {
  expect(await hobbler('policy', 'explain', 'alice')).toMatchObject({ code: 1 });
  await send({ account: 'alice', used: 2104 });
  await untilOrdered('tarpit', 'alice');
  const explained = await hobbler('policy', 'explain', 'alice');
  expect(explained.code).toBe(0);
  expect(explained.out).toMatch(/^alice is slowed down to 10 ms of every 210 ms since .*: cpu 2104 s of 2000 s/);
  expect(explained.out).toContain('user:alice of every host');

  writeFileSync(join(dir, 'other.yaml'), 'producer: { limits: { week: { used: 9 } } }\n');
  const elsewhere = await hobbler('--config', join(dir, 'other.yaml'), 'policy', 'explain', 'alice');
  expect(elsewhere.out).toContain("no limit day, of which the ledger knows; is it the producer's?");

  expect((await hobbler('pin', 'alice', '--reason', 'x')).code).toBe(2);
  expect((await hobbler('pin', 'alice', '--in', '--reason', 'x')).code).toBe(2);
  const pinned = await hobbler('pin', 'alice', '--out', '--until', 'tomorrow', '--reason', 'her thesis');
  expect(pinned).toMatchObject({ code: 0, out: expect.stringContaining('alice is kept out until') });
  await untilOrdered('untarpit', 'alice');
  expect((await hobbler('pins')).out).toMatch(/^alice {2}out until .*: her thesis/);
  expect((await hobbler('policy', 'explain', 'alice')).out).toContain('released by operator:');
  expect(await hobbler('unpin', 'alice', '--reason', 'done')).toMatchObject({ code: 0 });
  await untilOrdered('tarpit', 'alice');
});

test('SIGHUP takes a new config up and loses no penalty; a broken one changes nothing', {
  timeout: 60_000,
}, async () => {
  await send({ account: 'bob', used: 1500 });
  const since = async () => JSON.parse((await hobbler('policy', 'explain', 'alice', '--json')).out).verdicts[0].since;
  const before = await since();
  configure('  limits: { day: { used: lots } }\n');
  expect(await hobbler('policy', 'check', HOBBLER_CONFIG)).toMatchObject({
    code: 2,
    out: expect.stringContaining('hobbler.yaml:3: producer.limits.day.used: expected how much may be used; got "lots"'),
  });
  process.kill(producer.pid, 'SIGHUP');
  await until(() => producer.log().includes('got \\"lots\\"'), { deadlineMs: 3_000, what: 'the fault in the log' });
  configure('  limits: { day: { used: 1000 } }\n  brake: { share: 0.5, atLeast: 5 }\n');
  expect(await hobbler('policy', 'check', HOBBLER_CONFIG)).toMatchObject({ code: 0 });
  process.kill(producer.pid, 'SIGHUP');
  await untilOrdered('tarpit', 'bob');
  expect(await since()).toBe(before);
});

test('the brake holds a crowd until an operator lets go', { timeout: 60_000 }, async () => {
  expect(await hobbler('brake')).toMatchObject({ code: 0 });
  const crowd = Array.from({ length: 20 }, (_, n) => `user-${n}`);
  await send(...crowd.map((account) => ({ account, used: 5000 })));
  const held = await hobbler('brake');
  expect(held).toMatchObject({ code: 1, out: expect.stringContaining('of 22 accounts would have been put in') });
  expect((await hobbler('policy', 'explain', 'user-3')).out).toContain('the brake holds');
  expect((await hobbler('brake', '--let-in', '1h')).code).toBe(2);
  expect((await hobbler('brake', '--let-in', '1h', '--reason', 'they are over')).code).toBe(0);
  for (const account of crowd) await untilOrdered('tarpit', account);
  expect(await hobbler('brake')).toMatchObject({ code: 0 });
});

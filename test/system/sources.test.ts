/**
 * Readings by a pipe and by a followed file, into a producer in a process of its own as an operator starts it; it ends by
 * a signal while the pipe is open, and its successor reads on where it was.
 */
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { fleetKeys } from '../../shared/keys.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { expectNothingLeft, startProcess, until } from '../support/processes.ts';
import { connectTest, startRedis, type TestRedis } from '../support/redis.ts';

const CLI = fileURLToPath(new URL('../../cli.ts', import.meta.url));

let server: TestRedis;
let redis: Redis;
let dir: string;
let path: string;
beforeAll(async () => {
  server = await startRedis();
  redis = connectTest(server);
  dir = mkdtempSync(join(tmpdir(), 'hobbler-sources-'));
  path = join(dir, 'usage.jsonl');
});
afterEach(expectNothingLeft);
afterAll(async () => {
  redis.disconnect();
  await server.stop();
  rmSync(dir, { recursive: true });
});

const over = (account: string) => `${JSON.stringify({ account, used: 5_000, limit: 2_000 })}\n`;
const untilOrdered = (account: string, log: () => string) =>
  until(async () => (await redis.hexists(fleetKeys.desired, `user:${account}`)) === 1, {
    deadlineMs: 20_000,
    what: () => `an order for ${account}; the producer said:\n${log()}`,
  });

async function startProducer() {
  const { child } = await startProcess(
    process.execPath,
    [CLI, '--redis', server.url, 'producer', '--listen', '127.0.0.1:0', '--readings', '-', '--follow', path],
    {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { ...process.env, HOBBLER_PRODUCER_TOKEN: 'a-token-for-this-test-only', HOBBLER_CONFIG: '' },
      mustEnd: true,
    },
  );
  let log = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return {
    pipe: child.stdin!,
    log: () => log,
    stop: async () => {
      child.kill('SIGTERM');
      return ended;
    },
  };
}

test('each line becomes an order at once, and a producer that is started again misses none', {
  timeout: 90_000,
}, async () => {
  writeFileSync(path, over('filed'));
  const first = await startProducer();
  await untilOrdered('filed', first.log);
  first.pipe.write(over('piped'));
  await untilOrdered('piped', first.log);
  expect(await first.stop()).toBe(0);

  appendFileSync(path, over('before-rotation'));
  renameSync(path, `${path}.1`);
  writeFileSync(path, over('after-rotation'));
  const second = await startProducer();
  await untilOrdered('before-rotation', second.log);
  await untilOrdered('after-rotation', second.log);
  expect(await second.stop()).toBe(0);
});

/**
 * What may become of the Redis under a worker: restored from before some orders, full, failed over to a replica that had
 * not heard of them. In each case the newest orders stand, also for a worker that starts anew, and what nobody knows of
 * any more is let go when it expires (invariants 2 and 3).
 */
import { afterAll, afterEach, expect, test } from 'vitest';
import { type Outside, openOutside } from '../support/outside.ts';
import { expectNothingLeft, readState, spawnSleepers, type TestProcess, until } from '../support/processes.ts';
import { connectTest, freePort, startRedis, type TestRedis } from '../support/redis.ts';
import { type SwallowingProxy, startSwallowingProxy } from '../support/swallowing-proxy.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../support/worker.ts';

const toStop: (() => Promise<unknown>)[] = [];
let worker: TestWorker;
afterEach(async () => {
  await worker.stop();
  for (const stop of toStop.splice(0).reverse()) await stop();
  await expectNothingLeft();
});
afterAll(removeStateDirs);

async function start(args: readonly string[] = []): Promise<TestRedis> {
  const redis = await startRedis({ args });
  toStop.push(() => redis.stop());
  return redis;
}
function outsideOf(redis: TestRedis): Outside {
  const outside = openOutside(redis);
  toStop.push(() => outside.close());
  return outside;
}

const LONG = { hobble: { runMs: 10, stopMs: 500, every: true } };
const stopped = ({ pid }: TestProcess) =>
  until(() => readState(pid) === 'T', {
    deadlineMs: 25_000,
    what: () => `${pid} to be stopped; the worker said ${worker.log().slice(-800)}`,
  });
const free = ({ pid }: TestProcess, deadlineMs = 25_000) => {
  let since = performance.now();
  return until(
    () => {
      if (readState(pid) === 'T') since = performance.now();
      return performance.now() - since > 1_500; // three whole periods
    },
    { deadlineMs, what: `${pid} to stay running` },
  );
};
async function reconnected(redis: TestRedis): Promise<void> {
  const connection = connectTest(redis);
  const isThere = async () => /name=hobbler-worker /.test(String(await connection.call('CLIENT', 'LIST')));
  await until(isThere, { deadlineMs: 20_000, what: 'the worker at the new Redis' });
  connection.disconnect();
}

test('restored from a snapshot of before: what was released since stays so, over a restart of the worker too', {
  timeout: 120_000,
}, async () => {
  const redis = await start(['--appendonly', 'no']);
  const [released, unknown] = (await spawnSleepers(2)) as [TestProcess, TestProcess];
  worker = await startWorker({ redis });
  const before = outsideOf(redis);
  await before.order('tarpit', released, LONG);
  await stopped(released);
  const connection = connectTest(redis);
  await connection.save();
  connection.disconnect();
  await before.order('untarpit', released);
  await before.order('tarpit', unknown, { ...LONG, expiresAt: Date.now() + 30_000 });
  await stopped(unknown);
  await redis.kill();
  await redis.restart();
  await reconnected(redis);
  await free(released);
  await stopped(unknown); // under the local lock, until it expires
  expect(await worker.stop()).toBe(0);
  worker = await startWorker({ redis, stateDir: worker.stateDir });
  await free(released);
  await free(unknown);
  const after = outsideOf(redis);
  expect(await after.order('tarpit', released, { ...LONG, version: 5 })).toMatchObject({ status: 'stale' });
  expect(await after.order('tarpit', released, LONG)).toMatchObject({ status: 'applied' });
  await stopped(released);
});

test('full under noeviction: the loops go on and expire by themselves, who gives orders is told, and all comes back', {
  timeout: 120_000,
}, async () => {
  const redis = await start();
  const [short, long] = (await spawnSleepers(2)) as [TestProcess, TestProcess];
  worker = await startWorker({ redis });
  const outside = outsideOf(redis);
  await outside.order('tarpit', short, { ...LONG, expiresAt: Date.now() + 6_000 });
  await outside.order('tarpit', long, LONG);
  await stopped(short);
  const connection = connectTest(redis);
  await connection.config('SET', 'maxmemory', '1');
  await expect(outside.order('untarpit', long)).rejects.toThrow(/OOM/);
  await free(short);
  // Past the end of a lease that cannot be renewed.
  const from = performance.now();
  await until(() => performance.now() - from > 17_000, { deadlineMs: 20_000, what: 'the lease to run out' });
  await stopped(long);
  await connection.config('SET', 'maxmemory', '0');
  expect(await outside.order('untarpit', long)).toMatchObject({ status: 'applied' });
  await free(long);
  const beats = async () => JSON.parse((await connection.get('hobbler:{web-1}:status')) ?? 'null')?.targets === 0;
  await until(beats, { deadlineMs: 15_000, what: 'a beat' });
  connection.disconnect();
});

test('full when a worker starts: it waits for room and says so, and does not end', { timeout: 60_000 }, async () => {
  const redis = await start();
  const connection = connectTest(redis);
  toStop.push(async () => connection.disconnect());
  await connection.config('SET', 'maxmemory', '1');
  worker = await startWorker({ redis, isUnready: true });
  await until(() => worker.log().includes('OOM command not allowed'), {
    deadlineMs: 15_000,
    what: () => `it to be said: ${worker.log()}`,
  });
  await connection.config('SET', 'maxmemory', '0');
  await until(() => worker.log().includes('worker ready'), { deadlineMs: 15_000, what: () => worker.log() });
  expect(worker.child.exitCode).toBeNull();
});

test('failed over to a stale replica: the newest orders stand, and new ones are taken', {
  timeout: 120_000,
}, async () => {
  const port = await freePort();
  const primary = await start(['--port', String(port), '--bind', '127.0.0.1']);
  const replica = await start(['--replicaof', '127.0.0.1', String(port)]);
  const proxy: SwallowingProxy = await startSwallowingProxy(primary.url);
  toStop.push(() => proxy.stop());
  const [released, unknown] = (await spawnSleepers(2)) as [TestProcess, TestProcess];
  worker = await startWorker({ redis: proxy });
  const before = outsideOf(primary);
  await before.order('tarpit', released, LONG);
  await stopped(released);
  const other = connectTest(replica);
  const target = `pid:${released.pid}@${released.startTicks}`;
  await until(async () => (await other.hexists('hobbler:{web-1}:desired', target)) === 1, {
    deadlineMs: 20_000,
    what: 'the replica to have heard of it',
  });
  // From here on the replica hears nothing.
  await other.call('REPLICAOF', 'NO', 'ONE');
  await before.order('untarpit', released);
  await before.order('tarpit', unknown, LONG);
  await stopped(unknown);
  await primary.kill();
  proxy.switchTo(replica.url);
  const after = outsideOf(replica);
  expect(await after.order('untarpit', unknown)).toMatchObject({ status: 'applied', processes: 1 });
  await free(unknown);
  await free(released);
  expect(await other.hget('hobbler:{web-1}:desired', target)).toContain('"tarpit"'); // stale, and overruled
  expect(await after.order('tarpit', released, LONG)).toMatchObject({ status: 'applied' });
  await stopped(released);
  other.disconnect();
});

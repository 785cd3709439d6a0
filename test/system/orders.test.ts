/** Every fate of an order, for real: a real worker, a real Redis, orders by plain BullMQ and by writing the state. */

import { sign } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Redis } from '../../shared/redis/connection.ts';
import { canonical, generateKeys, parsePrivateKey } from '../../shared/signature.ts';
import { type Outside, openOutside } from '../support/outside.ts';
import {
  expectNothingLeft,
  readState,
  signalExactly,
  spawnSleepers,
  spawnSpinner,
  type TestProcess,
  until,
} from '../support/processes.ts';
import { connectTest, startRedis, type TestRedis } from '../support/redis.ts';
import { removeStateDirs, startWorker, type TestWorker, type TestWorkerOptions } from '../support/worker.ts';

let redis: TestRedis;
let connection: Redis;
let worker: TestWorker;
let outside: Outside;
beforeAll(async () => {
  redis = await startRedis();
  connection = connectTest(redis);
});
afterAll(async () => {
  connection.disconnect();
  await redis.stop();
  removeStateDirs();
});

async function begin(config: TestWorkerOptions['config'] = {}): Promise<void> {
  await redis.flush();
  worker = await startWorker({ redis, config });
  outside = openOutside(redis);
}
afterEach(async () => {
  await outside.close();
  expect(await worker.stop()).toBe(0);
  await expectNothingLeft();
});

const keyOf = ({ pid, startTicks }: { pid: number; startTicks: number }) => `pid:${pid}@${startTicks}`;
const seenStopped = (pid: number, deadlineMs = 5_000) =>
  until(() => readState(pid) === 'T', {
    deadlineMs,
    what: () => `${pid} to be stopped; the worker said ${worker.log().slice(-600)}`,
  });
const everyOne = { hobble: { runMs: 10, stopMs: 200, every: true } };
const LONG = { hobble: { runMs: 10, stopMs: 2_000, every: true } };
const report = async (target: string) =>
  JSON.parse((await connection.hget('hobbler:{web-1}:observed', target)) ?? 'null');
const failure = (order: Promise<unknown>) =>
  order.then(
    () => 'no failure',
    (error: Error) => error.message,
  );

test('each status is given for real', { timeout: 60_000 }, async () => {
  await begin({ minUid: 1_000, bounds: { loops: 2, processesPerTarget: 10 } });
  const asUser = { uid: 20_031, gid: 20_031, cwd: '/' };
  const [one, two, three] = (await spawnSleepers(3, asUser)) as [TestProcess, TestProcess, TestProcess];
  const roots = await spawnSpinner();
  expect(await outside.order('tarpit', one, everyOne)).toEqual({
    status: 'applied',
    processes: 1,
    mechanism: 'signal',
  });
  expect(await outside.order('tarpit', one, { version: 5 })).toMatchObject({ status: 'stale' });
  expect(
    await outside.order('tarpit', two, { issuedAt: Date.now() - 9_000, expiresAt: Date.now() - 5_000 }),
  ).toMatchObject({ status: 'expired' });
  expect(await outside.order('tarpit', { pid: one.pid, startTicks: one.startTicks + 1 })).toMatchObject({
    status: 'gone',
  });
  expect(await outside.order('tarpit', 'user:no-such-user-here')).toMatchObject({
    status: 'gone',
    why: expect.stringContaining('no user'),
  });
  expect(await outside.order('tarpit', 'cgroup:/no/such/group')).toMatchObject({ status: 'gone' });
  expect(await outside.order('tarpit', roots)).toMatchObject({
    status: 'denied',
    why: expect.stringContaining('below minUid'),
  });
  expect(await outside.order('tarpit', 'uid:0')).toMatchObject({ status: 'denied' });
  expect(await outside.order('tarpit', { pid: 1, startTicks: Number(await startOf(1)) })).toMatchObject({
    status: 'denied',
  });
  expect(await outside.order('tarpit', two, { hobble: { runMs: 10, stopMs: 200, mechanism: 'quota' } })).toMatchObject({
    status: 'unsupported',
  });
  expect(await outside.order('tarpit', two)).toMatchObject({ status: 'applied' });
  expect(await outside.order('tarpit', three)).toMatchObject({
    status: 'refused',
    why: expect.stringContaining('bounds.loops'),
  });
  expect(await failure(outside.order('tarpit', three, { version: Date.now() + 120_000 }))).toMatch(/^invalid: .*ahead/);
  expect(await failure(outside.order('tarpit', three, { host: 'web-2' }))).toMatch(/^invalid: .*web-2/);
  expect(await outside.order('untarpit', one)).toMatchObject({ status: 'applied', processes: 1 });
  expect(readState(roots.pid)).toBe('R');
  expect(readState(one.pid)).not.toBe('T');
});

async function startOf(pid: number): Promise<string> {
  const { readStartTicks } = await import('../support/proc.ts');
  return String(readStartTicks(pid));
}

test('poison of every kind fails visibly, and a good order right after it is applied within a second', {
  timeout: 60_000,
}, async () => {
  await begin();
  const [sleeper] = (await spawnSleepers(1)) as [TestProcess];
  const good = { v: 1, action: 'tarpit', host: 'web-1', target: keyOf(sleeper), version: 5, issuedAt: 1, expiresAt: 9 };
  let deep: unknown = 1;
  for (let level = 0; level < 1_000; level++) deep = [deep];
  const poisons: [string, unknown][] = [
    ['tarpit', null],
    ['tarpit', 'text'],
    ['tarpit', 7],
    ['tarpit', []],
    ['tarpit', {}],
    ['tarpit', { ...good, v: 2 }],
    ['tarpit', { ...good, v: '1' }],
    ['tarpit', { ...good, target: 'pid:4242' }],
    ['tarpit', { ...good, target: 'pid:-1@5' }],
    ['tarpit', { ...good, target: 'pid:0@0' }],
    ['tarpit', { ...good, target: 'user:$(touch x)' }],
    ['tarpit', { ...good, target: 'user:a\nstop 1 1' }],
    ['tarpit', { ...good, target: 'cgroup:/../..' }],
    ['tarpit', { ...good, target: 'cgroup:/' }],
    ['tarpit', { ...good, version: 1e300 }],
    ['tarpit', { ...good, version: -1 }],
    ['tarpit', { ...good, expiresAt: 0 }],
    ['tarpit', { ...good, hobble: { runMs: 0, stopMs: 200 } }],
    ['tarpit', { ...good, hobble: { runMs: 10, stopMs: 1e9 } }],
    ['tarpit', { ...good, reason: 'x'.repeat(100_000) }],
    ['tarpit', { ...good, extra: 'x'.repeat(20_000) }],
    ['tarpit', { ...good, extra: deep }],
    ['tarpit', { ...good, host: '../web-1' }],
    ['untarpit', good],
    ['reboot', good],
    ['__proto__', { ...good, __proto__: null, constructor: 5 }],
  ];
  for (const [name, data] of poisons) {
    const reason = await outside.poison(name, data);
    expect(reason, JSON.stringify(data)?.slice(0, 80)).toMatch(/^invalid: /);
    expect(reason.length).toBeLessThan(2_000);
  }
  // A job that names no data at all, put there by hand.
  await connection.lpush('hobbler:{web-1}:orders:wait', 'ghost');
  const from = performance.now();
  expect(await outside.order('tarpit', sleeper, LONG)).toMatchObject({ status: 'applied' });
  expect(performance.now() - from).toBeLessThan(1_000);
  await seenStopped(sleeper.pid);
  expect(await connection.zcard('hobbler:{web-1}:orders:failed')).toBeGreaterThanOrEqual(poisons.length);
});

test('late, doubled, reordered and replayed orders end at the newest version', { timeout: 60_000 }, async () => {
  await begin();
  const [sleeper] = (await spawnSleepers(1)) as [TestProcess];
  const base = Date.now() - 1_000;
  const give = (version: number) =>
    version % 2 === 0
      ? outside.order('untarpit', sleeper, { version: base + version })
      : outside.order('tarpit', sleeper, {
          version: base + version,
          hobble: { runMs: 10, stopMs: 100 + version, every: true },
        });
  // 20 versions, each twice, in an order of no sense, many at once; the newest is a tarpit of 121 ms.
  const versions = Array.from({ length: 42 }, (_, index) => ((index * 13) % 21) + 1);
  const results = await Promise.all(versions.map((version) => give(version)));
  expect(results.filter(({ status }) => status !== 'applied' && status !== 'stale')).toEqual([]);
  await until(async () => (await report(keyOf(sleeper)))?.stopMs === 121, {
    deadlineMs: 3_000,
    what: 'version 21 to stand',
  });
  await seenStopped(sleeper.pid);
  expect(await outside.order('untarpit', sleeper, { version: base + 100 })).toMatchObject({ status: 'applied' });
  for (const version of [1, 21, 99])
    expect(await give(version)).toMatchObject({ status: 'stale', currentVersion: base + 100 });
  await until(async () => (await report(keyOf(sleeper))) === null, { deadlineMs: 3_000, what: 'no report any more' });
  expect(readState(sleeper.pid)).not.toBe('T');
});

const desired = (target: string, changes: Record<string, unknown> = {}) => ({
  v: 1,
  action: 'tarpit',
  host: 'web-1',
  target,
  version: Date.now(),
  issuedAt: Date.now(),
  expiresAt: Date.now() + 600_000,
  hobble: { runMs: 10, stopMs: 2_000, every: true },
  reason: 'by hand',
  by: 'outsider',
  ...changes,
});

test('an order that was only written is found within some ten seconds, and broken records beside it hide nothing', {
  timeout: 60_000,
}, async () => {
  await begin();
  const [own, fleet] = (await spawnSleepers(2)) as [TestProcess, TestProcess];
  await connection.hset('hobbler:{web-1}:desired', {
    'uid:1': 'not JSON',
    'uid:2': JSON.stringify({ ...desired('uid:2'), v: 9 }),
    'uid:3': JSON.stringify(desired('uid:77')),
    'uid:4': JSON.stringify(desired('uid:4', { version: Date.now() + 1e9 })),
    '': '',
    [keyOf(own)]: JSON.stringify(desired(keyOf(own))),
  });
  await connection.hset('hobbler:fleet', {
    'uid:5': '[',
    [keyOf(fleet)]: JSON.stringify(desired(keyOf(fleet), { host: '*' })),
  });
  await connection.set('{hobbler:fleet}:revision', '5');
  await connection.zadd('{hobbler:fleet}:revisions', 5, keyOf(fleet));
  await seenStopped(own.pid, 14_000);
  await seenStopped(fleet.pid, 14_000);
  for (const words of ['cannot be read', 'is invalid'])
    await until(() => worker.log().includes(words), { deadlineMs: 5_000, what: `a log that says "${words}"` });
});

test('signed orders: unsigned, of a stranger, of the wrong role and tampered ones are refused, everywhere', {
  timeout: 60_000,
}, async () => {
  const [producer, operator, stranger] = [generateKeys(), generateKeys(), generateKeys()];
  await begin({
    keys: [
      { id: 'p', role: 'producer', publicKey: producer.publicKey },
      { id: 'o', role: 'operator', publicKey: operator.publicKey },
    ],
  });
  const [sleeper] = (await spawnSleepers(1)) as [TestProcess];
  const key = keyOf(sleeper);
  const signed = (order: Record<string, unknown>, keyId: string, { privateKeyPem }: { privateKeyPem: string }) => {
    const named = { ...order, keyId };
    return {
      ...named,
      signature: sign(null, Buffer.from(canonical(named)), parsePrivateKey(privateKeyPem, 'test')).toString(
        'base64url',
      ),
    };
  };
  const give = (order: Record<string, unknown>) => outside.poison('tarpit', order);
  const order = desired(key, { by: 'policy' });
  expect(await give(order)).toMatch(/^refused: .*not signed/);
  expect(await give(signed(order, 'p', stranger))).toMatch(/^refused: .*does not fit/);
  expect(await give(signed(order, 'nobody', stranger))).toMatch(/^refused: .*not trusted/);
  expect(await give(signed(order, 'o', operator))).toMatch(/^refused: .*operator key may not/);
  expect(await give(signed({ ...order, by: 'operator:ann' }, 'p', producer))).toMatch(
    /^refused: .*producer key may not/,
  );
  expect(await give({ ...signed(order, 'p', producer), expiresAt: order.expiresAt + 1 })).toMatch(
    /^refused: .*does not fit/,
  );
  expect(await give({ ...signed(order, 'p', producer), smuggled: true })).toMatch(/^refused: .*does not fit/);
  // By the state instead of by a job: said, and not carried out.
  await connection.hset('hobbler:{web-1}:desired', key, JSON.stringify({ ...order, version: Date.now() }));
  await until(() => worker.log().includes('is refused'), { deadlineMs: 14_000, what: 'the complaint' });
  expect(readState(sleeper.pid)).not.toBe('T');
  expect(await give(signed({ ...order, version: Date.now() + 1_000 }, 'p', producer))).toBeUndefined();
  await seenStopped(sleeper.pid);
});

test('a lease that is taken anew in the middle of trouble with Redis does not stay closed for ever', {
  timeout: 60_000,
}, async () => {
  await begin();
  const spinner = await spawnSpinner();
  await outside.order('tarpit', spinner, LONG);
  await seenStopped(spinner.pid);
  // Flushed, so that the next lease has another epoch; and the state cannot be read just then.
  await redis.flush();
  await connection.set('hobbler:{web-1}:epoch', '41');
  await connection.set('hobbler:{web-1}:desired', 'not a hash');
  await until(() => worker.log().includes('new epoch'), { deadlineMs: 12_000, what: 'the worker to notice' });
  await until(() => readState(spinner.pid) === 'R', { deadlineMs: 2_000, what: 'everything to run' });
  await connection.del('hobbler:{web-1}:desired');
  await seenStopped(spinner.pid, 15_000);
});

test('flushed, killed, restarted and paused: the loops go on, none is doubled, and reports come back', {
  timeout: 120_000,
}, async () => {
  await begin();
  const spinner = await spawnSpinner();
  await outside.order('tarpit', spinner, LONG);
  const key = keyOf(spinner);
  const reportsCome = () =>
    until(
      async () => {
        const found = await report(key);
        const status = JSON.parse((await connection.get('hobbler:{web-1}:status')) ?? 'null');
        return found?.state === 'hobbling' && status?.targets === 1;
      },
      { deadlineMs: 25_000, what: 'report and beat, with one target' },
    );
  await reportsCome();
  await redis.flush();
  await reportsCome();
  await seenStopped(spinner.pid);
  await redis.pause();
  await seenStopped(spinner.pid);
  await until(() => readState(spinner.pid) === 'R', { deadlineMs: 5_000, what: 'its run phase' });
  await seenStopped(spinner.pid);
  await redis.resume();
  await reportsCome();
  await redis.kill();
  await until(() => readState(spinner.pid) === 'R', { deadlineMs: 5_000, what: 'its run phase' });
  await seenStopped(spinner.pid);
  await redis.restart();
  await reportsCome();
  await outside.close();
  outside = openOutside(redis);
  expect(await outside.order('untarpit', spinner)).toMatchObject({ status: 'applied', processes: 1 });
  await until(() => readState(spinner.pid) === 'R', { deadlineMs: 2_000, what: 'it to run' });
});

test('of two workers of one host one takes all orders, and the other takes over when it ends', {
  timeout: 60_000,
}, async () => {
  await begin();
  const second = await startWorker({ redis, isUnready: true });
  await until(() => second.log().includes('waiting'), { deadlineMs: 8_000, what: 'the second to wait' });
  const sleepers = await spawnSleepers(10);
  for (const one of sleepers) expect(await outside.order('tarpit', one, LONG)).toMatchObject({ status: 'applied' });
  for (const one of sleepers) await seenStopped(one.pid);
  expect(second.log()).not.toContain('"order"');
  expect(await worker.stop()).toBe(0);
  worker = second;
  for (const one of sleepers) await seenStopped(one.pid, 15_000);
});

test('the brake: more than the share of the users is refused with the reason, and taken up when there is room', {
  timeout: 60_000,
}, async () => {
  await begin({ minUid: 40_000, brake: { share: 0.5, atLeast: 1 } });
  const uids = [40_001, 40_002, 40_003, 40_004];
  const users = await Promise.all(uids.map((uid) => spawnSleepers(1, { uid, gid: uid, cwd: '/' })));
  const give = (action: 'tarpit' | 'untarpit', index: number) =>
    outside.order(action, `uid:${uids[index]}`, action === 'tarpit' ? LONG : {});
  expect(await give('tarpit', 0)).toMatchObject({ status: 'applied', processes: 1 });
  expect(await give('tarpit', 1)).toMatchObject({ status: 'applied', processes: 1 });
  expect(await give('tarpit', 2)).toEqual({ status: 'refused', why: expect.stringContaining('worker.brake') });
  await seenStopped(users[1]![0]!.pid);
  await until(async () => (await report('uid:40003'))?.state === 'refused', { deadlineMs: 5_000, what: 'the report' });
  expect(readState(users[2]![0]!.pid)).not.toBe('T');
  await give('untarpit', 0);
  await seenStopped(users[2]![0]!.pid, 15_000);
});

test('with no keys, a Redis that others can reach is refused', { timeout: 30_000 }, async () => {
  await begin();
  const refused = await startWorker({ redis: { url: 'redis://192.0.2.1:6379' }, isUnready: true });
  expect(await refused.ended).not.toBe(0);
  expect(refused.log()).toContain('no keys');
});

test('a worker that is killed again and again leaves nobody stopped, and the last one goes on', {
  timeout: 60_000,
}, async () => {
  await begin();
  const spinner = await spawnSpinner();
  await outside.order('tarpit', spinner, LONG);
  for (let round = 0; round < 3; round++) {
    await seenStopped(spinner.pid, 8_000);
    signalExactly(worker, 'SIGKILL');
    await worker.ended;
    await until(() => readState(spinner.pid) === 'R', { deadlineMs: 1_000, what: 'it to run' });
    worker = await startWorker({ redis, stateDir: worker.stateDir });
  }
  await seenStopped(spinner.pid, 8_000);
});

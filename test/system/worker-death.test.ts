/** Doubt means release (invariant 1), and every order expires (invariant 2), on real workers that really die. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { releaseOnce } from '../../worker/guard/guard.ts';
import { type Outside, openOutside } from '../support/outside.ts';
import {
  expectNothingLeft,
  flatten,
  readState,
  signalExactly,
  spawnSpinner,
  spawnTree,
  type TestProcess,
  treeShape,
  until,
} from '../support/processes.ts';
import { connectTest, startRedis, type TestRedis } from '../support/redis.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../support/worker.ts';

let redis: TestRedis;
let worker: TestWorker;
let outside: Outside;
let spinners: TestProcess[];
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
  removeStateDirs();
});
beforeEach(async () => {
  await redis.flush();
  worker = await startWorker({ redis });
  outside = openOutside(redis);
  spinners = await Promise.all([spawnSpinner(), spawnSpinner(), spawnSpinner()]);
  for (const spinner of spinners)
    await outside.order('tarpit', spinner, { hobble: { runMs: 10, stopMs: 2_000, every: true } });
});
afterEach(async () => {
  await outside.close();
  signalExactly(worker, 'SIGCONT');
  signalExactly(worker, 'SIGTERM');
  await worker.ended;
  await expectNothingLeft();
});

const allStopped = () =>
  until(() => spinners.every(({ pid }) => readState(pid) === 'T'), {
    deadlineMs: 8_000,
    what: 'all to be in a stop phase',
  });
const allRun = (deadlineMs: number) =>
  until(() => spinners.every(({ pid }) => readState(pid) === 'R'), { deadlineMs, what: 'all to run' });
/** Lets time pass: what must be true by then is looked at afterwards, whatever the phases were meanwhile. */
async function passes(forMs: number): Promise<void> {
  const from = performance.now();
  await until(() => performance.now() - from >= forMs, { deadlineMs: forMs + 1_000, what: 'time to pass' });
}
async function staysRunning(forMs: number): Promise<void> {
  const from = performance.now();
  while (performance.now() - from < forMs) {
    for (const { pid } of spinners) expect(readState(pid)).not.toBe('T');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('killed in a stop phase, everything runs within a second, and stays so; started again, the hobble goes on', async () => {
  await allStopped();
  signalExactly(worker, 'SIGKILL');
  await allRun(1_000);
  await staysRunning(1_000);
  worker = await startWorker({ redis, stateDir: worker.stateDir });
  await allStopped();
});

test('hung, everything runs within 3.5 s; awake again it looks before it stops anything, and goes on', async () => {
  await allStopped();
  signalExactly(worker, 'SIGSTOP');
  await allRun(3_500);
  await staysRunning(1_000);
  signalExactly(worker, 'SIGCONT');
  await until(() => worker.log().includes('was away'), { deadlineMs: 2_000, what: 'the worker to notice the gap' });
  await allStopped();
});

test('without a guard nothing is stopped; there is another soon', async () => {
  await allStopped();
  const first = worker.guard();
  signalExactly(first, 'SIGKILL');
  await until(() => worker.log().includes('lost the guard'), { deadlineMs: 2_000, what: 'the worker to notice' });
  await allStopped();
  const pid = Number.parseInt(readFileSync(join(worker.stateDir, 'guard.pid'), 'latin1'), 10);
  expect(pid).not.toBe(first.pid);
});

test('a guard that is stopped itself is no guard', async () => {
  await allStopped();
  const guard = worker.guard();
  signalExactly(guard, 'SIGSTOP');
  await until(() => worker.log().includes('lost the guard'), { deadlineMs: 5_000, what: 'the worker to notice' });
  await allRun(1_000);
  await staysRunning(1_000);
  signalExactly(guard, 'SIGCONT');
  await allStopped();
});

test('worker and guard killed at once: the release script and the next start let everything go', async () => {
  await allStopped();
  const guard = worker.guard();
  // Still for a moment: whichever is killed first, the other would otherwise let everything go.
  signalExactly(worker, 'SIGSTOP');
  signalExactly(guard, 'SIGKILL');
  signalExactly(worker, 'SIGKILL');
  await worker.ended;
  const stopped = spinners.filter(({ pid }) => readState(pid) === 'T').length;
  expect(stopped).toBe(3);
  expect(releaseOnce(worker.stateDir)).toBeGreaterThanOrEqual(3);
  await allRun(1_000);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) {
  test(`on ${signal} everything runs and the worker exits 0 within 2 s, with Redis away too`, async () => {
    await allStopped();
    await redis.pause();
    try {
      const from = performance.now();
      signalExactly(worker, signal);
      await allRun(1_000);
      expect(await worker.ended).toBe(0);
      expect(performance.now() - from).toBeLessThan(2_000);
    } finally {
      await redis.resume();
    }
  });
}

test('with Redis killed the loops go on, and an order expires by itself', async () => {
  const short = await spawnSpinner();
  await outside.order('tarpit', short, { expiresAt: Date.now() + 4_000 });
  await outside.close();
  await redis.kill();
  await until(() => readState(short.pid) === 'T', { deadlineMs: 2_000, what: 'the hobble to go on' });
  await until(() => worker.log().includes('order expired'), { deadlineMs: 6_000, what: 'the expiry' });
  expect(readState(short.pid)).toBe('R');
  await allStopped();
  await redis.restart();
  outside = openOutside(redis);
});

test('a hold releases within a second, remote and local, and lifting it goes on', async () => {
  const connection = connectTest(redis);
  await allStopped();
  await connection.set('hobbler:hold', JSON.stringify({ reason: 'a test', by: 'operator:ann', sinceMs: 0 }));
  await passes(1_000);
  await staysRunning(1_000);
  await connection.del('hobbler:hold');
  await allStopped();
  connection.disconnect();
  writeFileSync(join(worker.stateDir, 'hold'), 'by hand\n');
  await passes(1_000);
  await staysRunning(500);
  rmSync(join(worker.stateDir, 'hold'));
  await allStopped();
});

test('a rolling restart hands the lease over: the next worker goes on at once, and not when the lease has run out', async () => {
  await allStopped();
  expect(await worker.stop()).toBe(0);
  for (const { pid } of spinners) expect(readState(pid)).not.toBe('T');
  worker = await startWorker({ redis, stateDir: worker.stateDir, isUnready: true });
  // Under 2 s on a machine that does nothing else; a lease lasts 15.
  await until(() => spinners.every(({ pid }) => readState(pid) === 'T'), { deadlineMs: 6_000, what: 'the hobble' });
});

test('told to stop at any moment of its start it ends well, and leaves nobody and nothing behind', {
  timeout: 60_000,
}, async () => {
  expect(await worker.stop()).toBe(0);
  // Seen in its log or not yet: before the signal handlers, in the release, at the guard, at the lease, in the first reconcile.
  for (const delayMs of [150, 300, 400, 450, 500, 550, 600, 700]) {
    const starting = await startWorker({ redis, isUnready: true });
    await passes(delayMs);
    expect([0, 'SIGTERM'], starting.log()).toContain(await starting.stop());
    await staysRunning(50);
  }
});

test('a second worker waits for the lease, and the host has one hobbler', async () => {
  const second = await startWorker({ redis, isUnready: true });
  await until(() => second.log().includes('another worker holds the lease'), {
    deadlineMs: 5_000,
    what: 'the second worker to say that it waits',
  });
  const third = await startWorker({ redis, isUnready: true, stateDir: worker.stateDir });
  expect(await third.ended).not.toBe(0);
  expect(third.log()).toContain('another hobbler runs on this host');
  await second.stop();
});

test('a thousand processes are released within a second of the death of their worker', {
  timeout: 60_000,
}, async () => {
  const trees = await Promise.all(Array.from({ length: 4 }, () => spawnTree(treeShape(2, 249))));
  for (const tree of trees) await outside.order('tarpit', tree, { hobble: { runMs: 10, stopMs: 5_000, every: true } });
  const pids = trees.flatMap(flatten).map(({ pid }) => pid);
  expect(pids.length).toBe(1_000);
  await until(() => pids.every((pid) => readState(pid) === 'T'), {
    deadlineMs: 20_000,
    what: 'a thousand to be stopped',
  });
  signalExactly(worker, 'SIGKILL');
  await until(() => pids.every((pid) => readState(pid) !== 'T'), { deadlineMs: 1_000, what: 'a thousand to run' });
});

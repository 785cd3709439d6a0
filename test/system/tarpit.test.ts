/** The eight behaviours that the original project tested, on a real worker, a real Redis and real processes. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Outside, openOutside } from '../support/outside.ts';
import {
  cpuSeconds,
  descendantsOf,
  expectNothingLeft,
  flatten,
  readState,
  signalExactly,
  spawnSleepers,
  spawnSpinner,
  spawnTree,
  startProcess,
  type TestProcess,
  treeShape,
  until,
} from '../support/processes.ts';
import { connectTest, startRedis, type TestRedis } from '../support/redis.ts';
import { removeStateDirs, startWorker, type TestWorker } from '../support/worker.ts';

let redis: TestRedis;
let worker: TestWorker;
let outside: Outside;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis.stop();
  removeStateDirs();
});

async function begin(): Promise<void> {
  await redis.flush();
  worker = await startWorker({ redis });
  outside = openOutside(redis);
}
afterEach(async () => {
  await outside.close();
  expect(await worker.stop()).toBe(0);
  await expectNothingLeft();
});

/** A Python program that times the same work again and again and prints the seconds it took. */
const TIMER = 'import time\nwhile True:\n t=time.time(); list(range(int(1e6))); print(time.time()-t, flush=True)';

async function startTimer(): Promise<TestProcess & { times(): number[] }> {
  const timer = await startProcess('/usr/bin/python3', ['-uc', TIMER], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  timer.child.stdout!.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  const times = () => text.split('\n').filter(Boolean).map(Number);
  await until(() => times().length >= 20, { deadlineMs: 20_000, what: '20 rounds of the timer' });
  return { ...timer, times };
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

async function slowdownOf(timer: TestProcess & { times(): number[] }, change: () => Promise<unknown>): Promise<number> {
  const before = median(timer.times().slice(-20));
  const from = timer.times().length;
  await change();
  await until(() => timer.times().length >= from + 8, { deadlineMs: 40_000, what: '8 rounds under the hobble' });
  // The mean, not the median: a round that fits into one run phase looks quick, and the wait shows in the next.
  const under = timer.times().slice(from + 2);
  return under.reduce((sum, time) => sum + time, 0) / under.length / before;
}

const seenStopped = (pid: number) =>
  until(() => readState(pid) === 'T', { deadlineMs: 3_000, what: `${pid} to be stopped` });

test('a tarpitted process is slow: between 10 and 100 times by its own timer', { timeout: 90_000 }, async () => {
  await begin();
  const timer = await startTimer();
  const slowdown = await slowdownOf(timer, () => outside.order('tarpit', timer));
  expect(slowdown).toBeGreaterThan(10);
  expect(slowdown).toBeLessThan(100);
  await outside.order('untarpit', timer);
  const from = timer.times().length;
  await until(() => timer.times().length >= from + 20, { deadlineMs: 10_000, what: 'the timer to be quick again' });
});

test('it spots one process, and several', async () => {
  await begin();
  const spinners = await Promise.all([spawnSpinner(), spawnSpinner(), spawnSpinner()]);
  expect(await outside.order('tarpit', spinners[0]!)).toMatchObject({
    status: 'applied',
    processes: 1,
    mechanism: 'signal',
  });
  await seenStopped(spinners[0]!.pid);
  for (const spinner of spinners.slice(1)) await outside.order('tarpit', spinner);
  for (const spinner of spinners) await seenStopped(spinner.pid);
});

test('it does not touch a bystander', { timeout: 90_000 }, async () => {
  await begin();
  const [spinner, bystander] = [await spawnSpinner(), await startTimer()];
  const slowdown = await slowdownOf(bystander, () => outside.order('tarpit', spinner));
  expect(slowdown).toBeLessThan(3);
  expect(readState(bystander.pid)).not.toBe('T');
});

test('it stops hobbling the dead, and the living stay hobbled', async () => {
  await begin();
  const [dead, living] = [await spawnSpinner(), await spawnSpinner()];
  await outside.order('tarpit', dead);
  await outside.order('tarpit', living);
  await seenStopped(dead.pid);
  signalExactly(dead, 'SIGKILL');
  await until(() => worker.log().includes('its last process') || dead.child.signalCode === 'SIGKILL', {
    deadlineMs: 5_000,
    what: 'its end',
  });
  const before = cpuSeconds(living.pid)!;
  const from = performance.now();
  await until(() => performance.now() - from > 2_000, { deadlineMs: 3_000, what: 'two seconds' });
  await seenStopped(living.pid);
  expect((cpuSeconds(living.pid)! - before) / 2).toBeLessThan(0.15);
});

test('it hobbles children: three levels, seven descendants, only the root tarpitted', async () => {
  await begin();
  // The root has one child more than a full binary tree of three levels, so seven processes descend from it.
  const tree = await spawnTree({ work: 'sleep', children: [...treeShape(3, 2).children!, { work: 'sleep' }] });
  const pids = flatten(tree).map(({ pid }) => pid);
  expect(pids.length).toBe(8);
  expect(await outside.order('tarpit', tree)).toMatchObject({ status: 'applied', processes: 8 });
  await until(() => pids.every((pid) => readState(pid) === 'T'), {
    deadlineMs: 3_000,
    what: 'all eight to be stopped at once',
  });
});

test('given 16 shuffled pids of two trees, each process is hobbled by one of them alone', async () => {
  await begin();
  const shape = { work: 'sleep' as const, children: [...treeShape(3, 2).children!, { work: 'sleep' as const }] };
  const trees = [await spawnTree(shape), await spawnTree(shape)];
  const ids = trees.flatMap(flatten);
  expect(ids.length).toBe(16);
  const shuffled = ids.map((id, index) => ({ id, at: (index * 7) % 16 })).toSorted((a, b) => a.at - b.at);
  for (const { id } of shuffled) await outside.order('tarpit', id);
  await until(() => ids.every(({ pid }) => readState(pid) === 'T'), {
    deadlineMs: 3_000,
    what: 'all sixteen to be stopped',
  });
  const connection = connectTest(redis);
  const owned = async () => {
    const reports = Object.values(await connection.hgetall('hobbler:{web-1}:observed')).map((text) => JSON.parse(text));
    return reports.reduce((sum, report) => sum + report.processes, 0);
  };
  await until(async () => (await owned()) === 16, { deadlineMs: 3_000, what: 'sixteen processes with one owner each' });
  connection.disconnect();
  for (const { id } of shuffled) await outside.order('untarpit', id);
  await until(() => ids.every(({ pid }) => readState(pid) === 'S'), { deadlineMs: 3_000, what: 'all sixteen to run' });
});

test('200 sleeping processes cost less than 10 % of a core', { timeout: 60_000 }, async () => {
  await begin();
  const sleepers = await spawnSleepers(200);
  await Promise.all(sleepers.map((sleeper) => outside.order('tarpit', sleeper)));
  await until(() => sleepers.some(({ pid }) => readState(pid) === 'T'), { deadlineMs: 5_000, what: 'the first stop' });
  const own = () => cpuSeconds(worker.pid)! + cpuSeconds(worker.guard().pid)!;
  const before = own();
  const from = performance.now();
  await until(() => performance.now() - from > 10_000, { deadlineMs: 11_000, what: 'ten seconds' });
  expect((own() - before) / ((performance.now() - from) / 1000)).toBeLessThan(0.1);
});

test('what is forked under a hobbled root is caught too', async () => {
  await begin();
  const parent = await startProcess('sh', ['-c', 'sleep 1; sleep 616 & sleep 617 & wait']);
  await outside.order('tarpit', parent, { hobble: { runMs: 100, stopMs: 100, every: true } });
  const children = await until(
    () => {
      const sleepers = descendantsOf(parent.pid).filter(({ name }) => name === 'sleep');
      return sleepers.length === 2 && sleepers;
    },
    { deadlineMs: 10_000, what: 'two children' },
  );
  for (const { pid } of children as { pid: number }[]) await seenStopped(pid);
});

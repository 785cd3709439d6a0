/** Scenario `throughput`: orders per second through one worker, beside a BullMQ worker that does nothing. */
import { systemClock } from '../../shared/clock.ts';
import type { Order } from '../../shared/order.ts';
import type { Queue } from '../../shared/queue.ts';
import { redisNowMs } from '../../shared/redis/connection.ts';
import { generateKeys, parsePrivateKey, signOrder, type TrustedKey } from '../../shared/signature.ts';
import { startHerd } from '../herd.ts';
import { newHost, pidTarget, startWorker } from '../hobbler.ts';
import { BARE, benchQueue, orderSeries, startBareWorker } from '../orders.ts';
import { rangePlot } from '../plot.ts';
import type { ScenarioResult } from '../results.ts';
import { findRow, type Row, rangeRow, rowsOf, rowTable } from '../rows.ts';
import { type Case, type Goal, goalOf, type Measured, type Scenario, type Section } from '../scenario.ts';
import { figure, ratio, spread } from '../table.ts';
import type { Workbench } from '../workbench.ts';

const TARGETS = 200;
/** An even number of turns through the targets: the last leaves them untarpitted. */
const ORDERS = 6_000;
const AT_ONCE = 1_000;
const LOOK_EVERY_MS = 10;
const GIVE_UP_AFTER_MS = 60_000;
/** The part of the queue that counts: the first orders warm the compiler up, the last leave the worker without work. */
const FROM_PART = 0.7;
const TO_PART = 0.05;
const KEY_ID = 'bench';
const UNSIGNED = 'hobbler, unsigned';
const SIGNED = 'hobbler, signed (Ed25519)';

export const throughput: Scenario = {
  name: 'throughput',
  title: 'Orders per second through one worker',
  about: `6,000 orders wait in a host’s queue when its worker starts: tarpits and untarpits of 200 sleeping processes in turn, so that
each one is checked, written by compare-and-set, carried out and reported. Measured is the time from 70 % of them waiting to
5 %. The BullMQ worker beside it has the same jobs and settings (16 at once) and returns at once. Redis, worker and bench share
the machine.`,
  fullSize: TARGETS,
  seconds: { open: 0, round: 9 },
  open: async (bench): Promise<Case[]> => [
    { name: BARE, measure: () => measureOn(bench, BARE) },
    { name: UNSIGNED, measure: () => measureOn(bench, UNSIGNED) },
    { name: SIGNED, measure: () => measureOn(bench, SIGNED) },
  ],
  render,
};

async function measureOn(bench: Workbench, name: string): Promise<Measured> {
  const own = bench.meter();
  const redis = await bench.redis();
  const host = newHost();
  const { pids } = await startHerd(bench, bench.meter(), bench.size(TARGETS), 'sleep');
  const queue = benchQueue(bench, redis, host);
  const series = orderSeries(host, pids.map(pidTarget), ORDERS, await redisNowMs(redis.client));
  const { orders, keys } = name === SIGNED ? signed(series) : { orders: series, keys: [] };
  for (let from = 0; from < orders.length; from += AT_ONCE) {
    await queue.addBulk(orders.slice(from, from + AT_ONCE).map((order) => ({ name: order.action, data: order })));
  }
  // Not awaited: it is at work before it says that it is ready.
  const started =
    name === BARE ? startBareWorker(bench, own, redis, queue) : startWorker(bench, host, { meter: own, redis, keys });
  const [perSecond] = await Promise.all([drainRate(bench, queue, orders.length), started]);
  await requireApplied(queue);
  return { values: { perSecond } };
}

function signed(series: readonly Order[]): { orders: Order[]; keys: TrustedKey[] } {
  const { privateKeyPem, publicKey } = generateKeys();
  const signer = { keyId: KEY_ID, privateKey: parsePrivateKey(privateKeyPem, 'bench') };
  return {
    orders: series.map((order) => signOrder(order, signer)),
    keys: [{ id: KEY_ID, role: 'producer', publicKey }],
  };
}

/** Orders per second between the two marks, by looks at how many wait. */
async function drainRate(bench: Workbench, queue: Queue, count: number): Promise<number> {
  let from: { waiting: number; atMs: number } | undefined;
  const giveUpAtMs = systemClock.monotonicMs() + GIVE_UP_AFTER_MS;
  for (;;) {
    const waiting = await queue.getWaitingCount();
    const atMs = systemClock.monotonicMs();
    if (waiting <= count * FROM_PART) from ??= { waiting, atMs };
    if (from && waiting <= count * TO_PART) return ((from.waiting - waiting) / (atMs - from.atMs)) * 1000;
    if (atMs > giveUpAtMs) throw new Error(`${waiting} of ${count} orders still wait`);
    await bench.wait(LOOK_EVERY_MS);
  }
}

/** Orders that were refused would be quick. */
async function requireApplied(queue: Queue): Promise<void> {
  const failed = await queue.getFailedCount();
  const done = await queue.getCompleted(0, 50);
  const other = done.find((job) => (job.returnvalue as { status: string }).status !== 'applied');
  if (failed > 0 || other)
    throw new Error(`${failed} orders failed; another was ${JSON.stringify(other?.returnvalue)}`);
}

function render(result: ScenarioResult): Section {
  const rows = rowsOf(result);
  const bare = findRow(rows, BARE);
  const title = 'Orders per second';
  const markdown = rowTable(rows, [
    { title: 'orders per second', cell: (row: Row) => spread(row.spread('perSecond')) },
    { title: 'to bare BullMQ', cell: (row) => ratio(row.median('perSecond'), bare?.median('perSecond')) },
  ]);
  const goal = (what: string, name: string): Goal =>
    goalOf<[number, number]>(
      what,
      '80 % of a bare BullMQ worker',
      [findRow(rows, name)?.median('perSecond'), bare?.median('perSecond')],
      (ours, peer) => ({
        measured: `${figure((ours / peer) * 100)} %: ${figure(ours)} of ${figure(peer)}`,
        met: ours >= 0.8 * peer,
      }),
    );
  const signedGoal = goal('the same, signed', SIGNED);
  return {
    markdown: `${markdown}\n\n![${title}](benchmarks/throughput.svg)`,
    plots: {
      'throughput.svg': rangePlot({
        title,
        unit: 'orders per second',
        scale: 'linear',
        groups: [{ rows: rows.map((row) => rangeRow(row, row.spread('perSecond'))) }],
      }),
    },
    goals: [
      goal('orders per second through one worker, unsigned', UNSIGNED),
      {
        ...signedGoal,
        goal: 'published (an Ed25519 check costs about 60 µs)',
        outcome: signedGoal.outcome === 'not measured' ? 'not measured' : 'published',
      },
    ],
  };
}

/** Scenario `latency`: from an order given to the first stop of its target, seen from outside. */
import { addOrderJob, type Queue } from '../../shared/queue.ts';
import { redisNowMs } from '../../shared/redis/connection.ts';
import { newHost, pidTarget, startWorker, tarpitOrder } from '../hobbler.ts';
import { launch, type Program } from '../launch.ts';
import { BARE, benchQueue, startBareWorker, untarpitOrder } from '../orders.ts';
import { rangePlot } from '../plot.ts';
import type { ScenarioResult } from '../results.ts';
import { findRow, type Row, rangeRow, rowsOf, rowTable } from '../rows.ts';
import { type Case, goalOf, type Measured, type Scenario, type Section } from '../scenario.ts';
import { percentile } from '../statistics.ts';
import { figure, ratio } from '../table.ts';
import type { BenchRedis, Workbench } from '../workbench.ts';

const ORDERS = 60;
/** Between two orders: the last one is over, and no rhythm of the worker's is met each time. */
const LEAST_PAUSE_MS = 20;
const MOST_PAUSE_MS = 60;
const SETTLES_MS = 500;
const OURS = 'hobbler: order given to first stop';
const PEER = `${BARE}: job added to job begun`;

export const latency: Scenario = {
  name: 'latency',
  title: 'From an order to the first stop',
  about: `One order after another for a \`pid:\` target, added to the host’s queue as BullMQ jobs, with a pause of 20 to 60 ms between
them; the clock starts before the job is added. It stops when the kernel tells the target’s parent, a C program, that its child
has stopped. Beside it a BullMQ worker in Node that does nothing with a job but read the same clock: what is left to save.
Redis is on the same machine, over a unix socket.`,
  fullSize: ORDERS,
  seconds: { open: 0, round: 9 },
  open: async (bench): Promise<Case[]> => [
    { name: OURS, measure: () => measureOurs(bench) },
    { name: PEER, measure: () => measureBare(bench) },
  ],
  render,
};

async function measureOurs(bench: Workbench): Promise<Measured> {
  const redis = await bench.redis();
  const host = newHost();
  const targets = launch(bench, bench.meter(), bench.bin('first_stops'), [String(bench.size(ORDERS))], { input: '' });
  const pids = (await targets.linesUntilReady()).map(Number);
  await startWorker(bench, host, { meter: bench.meter(), redis });
  const queue = benchQueue(bench, redis, host);
  await bench.settle(SETTLES_MS);
  const latenciesMs: number[] = [];
  for (const pid of pids) {
    await pause(bench);
    latenciesMs.push(await timeFirstStop(queue, redis, host, targets, pid));
  }
  return measured(latenciesMs);
}

async function timeFirstStop(
  queue: Queue,
  redis: BenchRedis,
  host: string,
  targets: Program,
  pid: number,
): Promise<number> {
  const target = pidTarget(pid);
  const order = tarpitOrder(host, target, await redisNowMs(redis.client));
  const givenAtNs = process.hrtime.bigint();
  await addOrderJob(queue, order);
  // Stops of the one before, which is not let go yet, may come in between.
  for (;;) {
    const [stopped, atNs] = (await targets.nextLine()).split(' ');
    if (Number(stopped) !== pid) continue;
    await addOrderJob(queue, untarpitOrder(host, target, order.version + 1));
    return Number(BigInt(atNs!) - givenAtNs) / 1e6;
  }
}

async function measureBare(bench: Workbench): Promise<Measured> {
  const redis = await bench.redis();
  const host = newHost();
  const queue = benchQueue(bench, redis, host);
  const worker = await startBareWorker(bench, bench.meter(), redis, queue, true);
  await bench.settle(SETTLES_MS);
  const latenciesMs: number[] = [];
  for (let turn = 0; turn < bench.size(ORDERS); turn++) {
    await pause(bench);
    const order = tarpitOrder(host, `pid:${process.pid}@1`, await redisNowMs(redis.client));
    const givenAtNs = process.hrtime.bigint();
    await addOrderJob(queue, order);
    const [, atNs] = (await worker.nextLine()).split(' ');
    latenciesMs.push(Number(BigInt(atNs!) - givenAtNs) / 1e6);
  }
  return measured(latenciesMs);
}

function pause(bench: Workbench): Promise<void> {
  return bench.wait(LEAST_PAUSE_MS + Math.random() * (MOST_PAUSE_MS - LEAST_PAUSE_MS));
}

function measured(latenciesMs: number[]): Measured {
  const values = { p50Ms: percentile(latenciesMs, 50), p99Ms: percentile(latenciesMs, 99) };
  return { values, lists: { latenciesMs } };
}

function render(result: ScenarioResult): Section {
  const rows = rowsOf(result);
  const bare = findRow(rows, PEER);
  const ours = findRow(rows, OURS);
  const at = (row: Row | undefined, percent: number) => {
    const all = row?.list('latenciesMs') ?? [];
    return all.length > 0 ? percentile(all, percent) : undefined;
  };
  const title = 'Latency: p50, and to p99';
  const markdown = rowTable(rows, [
    ...[50, 90, 99, 100].map((percent) => ({
      title: percent === 100 ? 'most, ms' : `p${percent}, ms`,
      cell: (row: Row) => figure(at(row, percent)),
    })),
    { title: 'p50 to bare BullMQ', cell: (row) => ratio(at(row, 50), at(bare, 50)) },
    { title: 'orders', cell: (row) => figure(row.list('latenciesMs').length) },
  ]);
  return {
    markdown: `${markdown}\n\n![${title}](benchmarks/latency.svg)`,
    plots: {
      'latency.svg': rangePlot({
        title,
        unit: 'ms',
        scale: 'linear',
        groups: [
          {
            rows: rows.map((row) => {
              const [p50, p99] = [at(row, 50), at(row, 99)];
              const label = row === bare ? 'bare BullMQ: to job begun' : 'hobbler: to first stop';
              const range = p50 === undefined ? undefined : { median: p50, least: p50, most: p99! };
              return { ...rangeRow(row, range), label };
            }),
          },
        ],
      }),
    },
    goals: [
      goalOf<[number, number]>(
        'order given to first stop (`pid:`)',
        'p50 3 ms, p99 15 ms',
        [at(ours, 50), at(ours, 99)],
        (p50, p99) => ({
          measured: `p50 ${figure(p50)} ms, p99 ${figure(p99)} ms; bare BullMQ ${figure(at(bare, 50))}, ${figure(at(bare, 99))}`,
          met: p50 <= 3 && p99 <= 15,
        }),
      ),
    ],
  };
}

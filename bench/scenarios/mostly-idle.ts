/** Scenario `mostly-idle`: very many targets of which few are busy, with hobbler's defaults beside the floor. */
import { cpuShares, type Herd, startHerd } from '../herd.ts';
import { pidTarget, SPARING, startHobbler, statesOf, untilSpared } from '../hobbler.ts';
import { FLOOR, PEER_SETTLES_MS, startFloor } from '../peers.ts';
import { rangePlot } from '../plot.ts';
import type { ScenarioResult } from '../results.ts';
import { findRow, type Row, rangeRow, rowsOf, rowTable } from '../rows.ts';
import { type Case, goalOf, type Measured, type Scenario, type Section } from '../scenario.ts';
import { median } from '../statistics.ts';
import { figure, ratio, spread } from '../table.ts';
import { ASKED_PERCENT, cpuPercent, type Workbench } from '../workbench.ts';

const TARGETS = 10_000;
const BUSY = 20;
const HOBBLER_WINDOW_S = 10;
const FLOOR_WINDOW_S = 2.1;
/** The budget is kept by windows of 5 s; the burst at the start takes some to be forgotten. */
const BUDGET_SETTLES_MS = 20_000;

export const mostlyIdle: Scenario = {
  name: 'mostly-idle',
  title: 'Many targets, most of them idle',
  about: `10,000 targets, 20 of which spin while the others sleep, with hobbler’s defaults: the idle are spared, and periods get
longer when hobbling would cost more than 5 % of a core. The floor cycles them all. The share that the busy get says whether
the duty cycle was kept (asked: ${figure(ASKED_PERCENT)} % of a core each): each one’s CPU by the kernel’s clock of that process.`,
  fullSize: TARGETS,
  seconds: { open: 0, round: 47 },
  open: async (bench): Promise<Case[]> =>
    [FLOOR, SPARING].map((name) => ({ name, measure: () => measureOn(bench, name) })),
  render,
};

async function measureOn(bench: Workbench, name: string): Promise<Measured> {
  const size = bench.size(TARGETS);
  const busyCount = Math.min(BUSY, size);
  const own = bench.meter();
  const targets = bench.meter();
  const sleepers = await startHerd(bench, targets, size - busyCount, 'sleep');
  const busy = await startHerd(bench, targets, busyCount, 'spin');
  const pids = [...busy.pids, ...sleepers.pids];
  if (name === FLOOR) {
    startFloor(bench, own, pids);
    await busy.go();
    await bench.settle(PEER_SETTLES_MS[FLOOR]!);
    return { values: await costAndShare(bench, { own, targets }, busy, FLOOR_WINDOW_S) };
  }
  const redis = await bench.redis();
  const hobbler = await startHobbler(bench, { meter: own, redis, targets: pids.map(pidTarget) });
  await busy.go();
  await untilSpared(bench, hobbler, size - busyCount);
  await bench.settle(BUDGET_SETTLES_MS);
  const values = await costAndShare(bench, { own, targets, redis: redis.meter }, busy, HOBBLER_WINDOW_S);
  const reports = await hobbler.reports();
  const periods = reports.flatMap(({ state, periodMs }) => (state === 'hobbling' && periodMs ? [periodMs] : []));
  return { values: { ...values, ...statesOf(reports), periodMs: median(periods) } };
}

/** CPU of the meters, and what each of the busy got, in one window. */
async function costAndShare(
  bench: Workbench,
  meters: Parameters<typeof cpuPercent>[0],
  busy: Herd,
  usualSeconds: number,
): Promise<Record<string, number>> {
  const seconds = bench.windowSeconds(usualSeconds);
  const before = await busy.cpu();
  const cpu = await cpuPercent(meters, seconds);
  const shares = cpuShares(before, await busy.cpu());
  return { ...cpu, share: median(shares), shareLeast: Math.min(...shares), shareMost: Math.max(...shares) };
}

function render(result: ScenarioResult): Section {
  const rows = rowsOf(result);
  const floor = findRow(rows, FLOOR);
  const ours = findRow(rows, SPARING);
  const title = 'Own CPU, 10,000 targets of which 20 are busy';
  const markdown = rowTable(rows, [
    { title: 'own CPU, % of a core', cell: (row: Row) => spread(row.spread('own')) },
    { title: 'to the C floor', cell: (row) => ratio(row.median('own'), floor?.median('own')) },
    { title: 'the targets, %', cell: (row) => figure(row.median('targets')) },
    { title: 'a busy one gets, %', cell: (row) => figure(row.median('share')) },
    {
      title: 'the least, the most',
      cell: (row) => `${figure(row.median('shareLeast'))}, ${figure(row.median('shareMost'))}`,
    },
    { title: 'spared', cell: (row) => (row.values('spared').length > 0 ? figure(row.median('spared')) : '') },
    { title: 'period, ms', cell: (row) => (row.values('periodMs').length > 0 ? figure(row.median('periodMs')) : '') },
  ]);
  return {
    markdown: `${markdown}\n\n![${title}](benchmarks/mostly-idle.svg)`,
    plots: {
      'mostly-idle.svg': rangePlot({
        title,
        unit: '% of one core (logarithmic)',
        scale: 'log',
        groups: [{ rows: rows.map((row) => rangeRow(row, row.spread('own'))) }],
        mark: { label: 'budget: 5 %', value: 5 },
      }),
    },
    goals: [
      goalOf<[number, number]>(
        'own CPU, 10,000 targets, most of them idle',
        'at most 5 % of a core, the duty cycle kept',
        [ours?.median('own'), ours?.median('share')],
        (own, share) => ({
          measured: `${figure(own)} % of a core; a busy one gets ${figure(share)} % (asked: ${figure(ASKED_PERCENT)} %)`,
          met: own <= 5 && Math.abs(share / ASKED_PERCENT - 1) <= 0.05,
        }),
      ),
    ],
  };
}

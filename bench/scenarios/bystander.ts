/** Scenario `bystander`: what tarpitting brings to those who are not tarpitted, for what it costs. */
import { cpuShares, startHerd } from '../herd.ts';
import { pidTarget, startHobbler, statesOf } from '../hobbler.ts';
import { ASYNCIO, CPULIMIT, FLOOR, PEER_SETTLES_MS, startPeer, THREADS } from '../peers.ts';
import { rangePlot } from '../plot.ts';
import type { ScenarioResult } from '../results.ts';
import { findRow, type Row, rangeRow, rowsOf, rowTable } from '../rows.ts';
import type { Case, Goal, Measured, Scenario, Section } from '../scenario.ts';
import { type Spread, spreadOf } from '../statistics.ts';
import { figure, spread } from '../table.ts';
import { cpuPercent, type Workbench } from '../workbench.ts';

const TARGETS = 200;
const BYSTANDERS_PER_CORE = 2;
const WINDOW_S = 2.1;
/** Sparing is over after one look, and the cores are in their new balance soon after. */
const SETTLES_MS = 2_000;
/** What has just been started still compiles itself; a worker lives for months. */
const OURS_SETTLES_MS = 10_000;

const NOBODY = 'nobody hobbles';
const OURS = 'hobbler';

export const bystander: Scenario = {
  name: 'bystander',
  title: 'What a bystander gains',
  about: `200 targets spin, and two bystanders per core want to work, too. Without a hobbler they all get the same. The gain is the CPU
that the bystanders get more than in the same round without a hobbler; the figure that counts is how many seconds of CPU they
gain per second of CPU that the contender spends. It holds everything: what the contender costs, what its signals cost the
targets, and how well it hobbles. Below 1 the hobbler takes more than it brings: what the original was given up for.`,
  fullSize: TARGETS,
  seconds: { open: 0, round: 44 },
  open: async (bench): Promise<Case[]> =>
    [NOBODY, FLOOR, OURS, ASYNCIO, THREADS, CPULIMIT].map((name) => ({ name, measure: () => measureOn(bench, name) })),
  render,
};

async function measureOn(bench: Workbench, name: string): Promise<Measured> {
  const own = bench.meter();
  const targetMeter = bench.meter();
  const targets = await startHerd(bench, targetMeter, bench.size(TARGETS), 'spin');
  const bystanders = await startHerd(bench, bench.meter(), bench.cores * BYSTANDERS_PER_CORE, 'spin');
  let states = async (): Promise<Record<string, number>> => ({});
  if (name === OURS) {
    const redis = await bench.redis();
    const hobbler = await startHobbler(bench, { meter: own, redis, targets: targets.pids.map(pidTarget) });
    states = async () => statesOf(await hobbler.reports());
  } else if (name !== NOBODY) {
    startPeer(bench, own, targets.pids, name);
    await bench.settle(PEER_SETTLES_MS[name]!);
  }
  await targets.go();
  await bystanders.go();
  await bench.settle(name === OURS ? OURS_SETTLES_MS : SETTLES_MS);
  const seconds = bench.windowSeconds(WINDOW_S);
  const before = await bystanders.cpu();
  const cpu = await cpuPercent({ own, targets: targetMeter }, seconds);
  const shares = cpuShares(before, await bystanders.cpu());
  const atTheEnd = await states();
  await Promise.all([targets.end(), bystanders.end()]);
  return { values: { ...cpu, bystanders: shares.reduce((sum, share) => sum + share, 0), ...atTheEnd } };
}

interface Gain {
  /** Percent of a core that the bystanders got more than in the same round without a hobbler. */
  gained: number;
  spent: number;
}

/** What each round brought, and what it cost. */
function gainsOf(row: Row, without: Row | undefined): Gain[] {
  return row.samples.flatMap(({ round, values }) => {
    const base = without?.samples.find((sample) => sample.round === round)?.values?.bystanders;
    const { bystanders, own } = values ?? {};
    return base === undefined || bystanders === undefined || own === undefined
      ? []
      : [{ gained: bystanders - base, spent: own }];
  });
}

/** CPU gained per CPU spent, of all rounds. */
function yieldOf(row: Row, without: Row | undefined): Spread | undefined {
  return spreadOf(gainsOf(row, without).map(({ gained, spent }) => gained / spent));
}

function render(result: ScenarioResult): Section {
  const rows = rowsOf(result);
  const without = findRow(rows, NOBODY);
  const isHobbled = (row: Row) => row !== without;
  const title = 'CPU that bystanders gain per CPU spent';
  const markdown = rowTable(rows, [
    { title: 'bystanders, % of a core', cell: (row: Row) => spread(row.spread('bystanders')) },
    {
      title: 'gain',
      cell: (row) =>
        isHobbled(row) ? figure(spreadOf(gainsOf(row, without).map(({ gained }) => gained))?.median) : '',
    },
    { title: 'spent by the contender', cell: (row) => (isHobbled(row) ? spread(row.spread('own')) : '') },
    { title: 'gained per spent', cell: (row) => (isHobbled(row) ? spread(yieldOf(row, without)) : '') },
    { title: 'the targets, %', cell: (row) => figure(row.median('targets')) },
  ]);
  return {
    markdown: `${markdown}\n\n![${title}](benchmarks/bystander.svg)`,
    plots: {
      'bystander.svg': rangePlot({
        title,
        unit: 'seconds gained per second spent (logarithmic)',
        scale: 'log',
        groups: [{ rows: rows.filter(isHobbled).map((row) => rangeRow(row, yieldOf(row, without))) }],
        mark: { label: 'as much as it costs', value: 1 },
      }),
    },
    goals: [yieldGoal(rows, without)],
  };
}

/** Published, and as high as it goes: there is no number to meet. */
function yieldGoal(rows: readonly Row[], without: Row | undefined): Goal {
  const of = (name: string) => {
    const row = findRow(rows, name);
    return row && yieldOf(row, without)?.median;
  };
  const ours = of(OURS);
  const others = [FLOOR, ASYNCIO, CPULIMIT].map((name) => `${name} ${figure(of(name))}`).join('; ');
  return {
    what: 'CPU freed for a bystander per CPU spent',
    goal: 'published, and as high as it goes',
    measured: ours === undefined ? '' : `${figure(ours)}; ${others}`,
    outcome: ours === undefined ? 'not measured' : 'published',
  };
}

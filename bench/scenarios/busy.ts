/**
 * Scenario `busy`: whether a duty cycle asked is the duty cycle got, by targets that want all they can have. Two
 * measures, because with more busy targets than the cores can feed a CPU share says nothing of a hobbler: there it is
 * the time in the run phase, seen from outside.
 */
import { openGroup } from '../cgroups.ts';
import { cpuShares, type Herd, startHerd } from '../herd.ts';
import { pidTarget, startHobbler, statesOf } from '../hobbler.ts';
import { ASYNCIO, CPULIMIT, FLOOR, PEER_SETTLES_MS, startPeer } from '../peers.ts';
import { watchPhases } from '../phases.ts';
import { rangePlot } from '../plot.ts';
import type { ScenarioResult } from '../results.ts';
import { type Row, rangeRow, rowsOf, rowTable } from '../rows.ts';
import { type Case, type Goal, goalOf, LeftOut, type Measured, type Scenario, type Section } from '../scenario.ts';
import { median, spreadOf } from '../statistics.ts';
import { figure } from '../table.ts';
import { ASKED_PERCENT, CYCLE, PERIOD_MS, type Workbench } from '../workbench.ts';

/** More than this part of what the duty cycle allows would keep the cores from feeding all. */
const FILL = 0.8;
const CROWD = 200;
/** 15 periods. */
const SHARE_WINDOW_S = 3.15;
const PHASE_WINDOW_S = 3.15;
/** A loop is found busy by looks once a second, and then gets a slot among the busy. */
const SETTLES_MS = 2_500;
/** Others have no such thing: some periods. */
const PEER_IN_STRIDE_MS = 1_000;
/** How many of the crowd are watched, and how often: 4,000 looks a second take 5 % of a core. */
const WATCHED = 8;
const STEP_US = 2_000;

const SIGNAL = 'hobbler, signal';
const FREEZER = 'hobbler, freezer (a group each)';
const SHARE = 'share of CPU';
const PHASE = 'time in the run phase';

export const busy: Scenario = {
  name: 'busy',
  title: 'The share that busy targets get',
  about: `Targets that spin, each a target of its own; asked is 10 of 210 ms, ${figure(ASKED_PERCENT)} % of a core. **Share of CPU**: as
many as fill 0.8 of what the duty cycle allows (${Math.floor(FILL * 2 * (PERIOD_MS / CYCLE.runMs))} on 2 cores), so that the cores can feed all; each one’s CPU by the kernel’s
clock of that process. **Time in the run phase**: 200 of them, more than the cores can feed. Eight, spread over the crowd, are
watched from outside by a C program of real-time priority: it looks at each at one random moment of every 2 ms and takes it
for stopped when its state is T or a SIGSTOP is pending, so what is seen is the phase as it was signalled, and not how long
the target waited for a core. What the watching costs is known: 5 % of a core, the same for all. A quota is not among them:
it caps the sum over all cores, which for one busy process is another question. cpulimit is asked for 5 %, its nearest.`,
  fullSize: CROWD,
  seconds: { open: 0, round: 44 },
  open: async (bench) => casesOf(bench),
  render,
};

function casesOf(bench: Workbench): Case[] {
  const fed = bench.size(Math.floor(FILL * bench.cores * (PERIOD_MS / CYCLE.runMs)));
  const crowd = bench.size(CROWD);
  return [
    ...[FLOOR, SIGNAL, FREEZER, ASYNCIO, CPULIMIT].map((name) => ({
      name,
      group: `${fed} busy: ${SHARE}`,
      measure: () => hobbled(bench, name, fed, (herd) => shares(bench, herd)),
    })),
    ...[FLOOR, SIGNAL].map((name) => ({
      name,
      group: `${crowd} busy: ${PHASE}`,
      measure: () => hobbled(bench, name, crowd, (herd) => runPhases(bench, herd)),
    })),
  ];
}

/** Starts targets and who hobbles them, then lets them spin: a contender that starts among spinners takes for ever. */
async function hobbled(
  bench: Workbench,
  name: string,
  count: number,
  look: (herd: Herd) => Promise<Record<string, number>>,
): Promise<Measured> {
  const own = bench.meter();
  const groups = name === FREEZER ? openGroups(bench, count) : [];
  const herd = await startHerd(bench, bench.meter(), count, 'spin');
  let states = async (): Promise<Record<string, number>> => ({});
  const isOurs = name === SIGNAL || name === FREEZER;
  if (isOurs) {
    for (const [index, group] of groups.entries()) group.fill([herd.pids[index]!]);
    const targets = name === FREEZER ? groups.map(({ path }) => `cgroup:${path}`) : herd.pids.map(pidTarget);
    const mechanism = name === FREEZER ? 'freezer' : 'signal';
    const redis = await bench.redis();
    const hobbler = await startHobbler(bench, { meter: own, redis, targets, every: true, adapts: false, mechanism });
    states = async () => statesOf(await hobbler.reports());
  } else {
    startPeer(bench, own, herd.pids, name);
    await bench.settle(PEER_SETTLES_MS[name]!);
  }
  await herd.go();
  await bench.settle(isOurs ? SETTLES_MS : PEER_IN_STRIDE_MS);
  const before = own.seconds();
  const values = await look(herd);
  const ownSeconds = own.seconds() - before;
  const atTheEnd = await states();
  await herd.end();
  return { values: { ...values, ownSeconds, ...atTheEnd } };
}

/** A group for each target, where the freezer of one version or the other is to be had. */
function openGroups(bench: Workbench, count: number) {
  for (const kind of ['freezer v2', 'freezer v1'] as const) {
    try {
      return Array.from({ length: count }, () => openGroup(bench.undo, kind));
    } catch (error) {
      if (!(error instanceof LeftOut)) throw error;
    }
  }
  throw new LeftOut('no freezer hierarchy on this machine');
}

async function shares(bench: Workbench, herd: Herd): Promise<Record<string, number>> {
  const seconds = bench.windowSeconds(SHARE_WINDOW_S);
  const before = await herd.cpu();
  await bench.wait(seconds * 1000);
  return percents(cpuShares(before, await herd.cpu()));
}

async function runPhases(bench: Workbench, herd: Herd): Promise<Record<string, number>> {
  const step = Math.max(1, Math.floor(herd.pids.length / WATCHED));
  const watched = herd.pids.filter((_, index) => index % step === 0).slice(0, WATCHED);
  const seconds = bench.windowSeconds(PHASE_WINDOW_S);
  const { runShares } = await watchPhases(bench, bench.meter(), watched, { stepUs: STEP_US, seconds });
  return percents(runShares.map((share) => share * 100));
}

function percents(values: readonly number[]): Record<string, number> {
  return { got: median(values), least: Math.min(...values), most: Math.max(...values) };
}

function render(result: ScenarioResult): Section {
  const rows = rowsOf(result);
  const parts = [SHARE, PHASE].map((what) => rows.filter(({ group }) => group?.endsWith(what)));
  const tables = parts.flatMap((own) => (own.length === 0 ? [] : [`### ${own[0]!.group}\n\n${gotTable(own)}`]));
  const title = 'What busy targets get: median of them, least to most';
  return {
    markdown: [...tables, `![${title}](benchmarks/busy.svg)`].join('\n\n'),
    plots: {
      'busy.svg': rangePlot({
        title,
        unit: '% (of a core, of the time)',
        scale: 'linear',
        groups: parts.flatMap((own) =>
          own.length === 0
            ? []
            : [{ heading: own[0]!.group!, rows: own.map((row) => rangeRow(row, acrossTargets(row))) }],
        ),
        mark: { label: `asked: ${figure(ASKED_PERCENT)} %`, value: ASKED_PERCENT },
      }),
    },
    goals: [dutyGoal(SHARE, parts[0]!), dutyGoal(PHASE, parts[1]!)],
  };
}

/** Median of the rounds’ medians, with the least and the most that any target got in a usual round. */
function acrossTargets(row: Row) {
  const middle = row.spread('got');
  const ends = [row.median('least'), row.median('most')];
  return middle && { median: middle.median, least: ends[0]!, most: ends[1]! };
}

function gotTable(rows: readonly Row[]): string {
  return rowTable(rows, [
    { title: 'got, %: median of targets', cell: (row) => figure(row.median('got')) },
    { title: 'against asked', cell: (row) => errorText(row.median('got')) },
    { title: 'least of targets', cell: (row) => figure(row.median('least')) },
    { title: 'most of targets', cell: (row) => figure(row.median('most')) },
    { title: 'worst against asked', cell: (row) => errorText(worst(row)) },
  ]);
}

function errorText(got: number | undefined): string {
  if (got === undefined) return figure(undefined);
  const error = (got / ASKED_PERCENT - 1) * 100;
  return `${error < 0 ? '−' : '+'}${figure(Math.abs(error))} %`;
}

/** Of the least and the most the one further from what was asked. */
function worst(row: Row): number | undefined {
  const ends = spreadOf([...row.values('least'), ...row.values('most')]);
  if (!ends) return undefined;
  return Math.abs(ends.most - ASKED_PERCENT) > Math.abs(ends.least - ASKED_PERCENT) ? ends.most : ends.least;
}

function dutyGoal(what: string, rows: readonly Row[]): Goal {
  const ours = rows.find(({ name }) => name === SIGNAL);
  const [count] = ours?.group?.split(' ') ?? [];
  return goalOf<[number]>(
    `busy targets${count === undefined ? '' : `, ${count} of them`}: ${what}`,
    'within 5 % of the duty cycle asked',
    [ours?.median('got')],
    (got) => ({
      measured: `${figure(got)} %, asked ${figure(ASKED_PERCENT)} %: ${errorText(got)}`,
      met: Math.abs(got / ASKED_PERCENT - 1) <= 0.05,
    }),
  );
}

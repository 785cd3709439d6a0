/** Scenario `lateness`: how exactly phases begin and end, on a machine that is idle and on one whose cores are all busy. */
import { startHerd } from '../herd.ts';
import { pidTarget, startHobbler, statesOf } from '../hobbler.ts';
import { FLOOR, PEER_SETTLES_MS, startFloor } from '../peers.ts';
import { deviations, type PhaseLengths, phasesOf, watchPhases } from '../phases.ts';
import { rangePlot } from '../plot.ts';
import type { ScenarioResult } from '../results.ts';
import { findRow, groupsOf, type Row, rangeRow, rowsOf, rowTable } from '../rows.ts';
import { type Case, type Goal, goalOf, type Measured, type Scenario, type Section } from '../scenario.ts';
import { percentile } from '../statistics.ts';
import { figure } from '../table.ts';
import { CYCLE, type Workbench } from '../workbench.ts';

const TARGETS = 200;
/** Of the targets, those that look for gaps in their own running; they use their share of a core. */
const WITNESSES = 4;
/** Of the witnesses, those that are watched from outside, too: 4,000 looks a second, 5 % of a core. */
const WATCHED = 2;
const STEP_US = 500;
const WINDOW_S = 3.15;
/** As in `idle`; then the worker's next heartbeat has counted ticks of this time alone. */
const SETTLES_MS = 10_000;
const FLOOR_SETTLES_MS = 1_000;
const SPINNERS_PER_CORE = 1;

const IDLE = 'machine idle';
const LOADED = 'every core busy';
const OURS = 'hobbler';

export const lateness: Scenario = {
  name: 'lateness',
  title: 'How late phases are',
  about: `200 targets, cycled in every period; all but four sleep. Those four read the clock all the time and so see gaps in their
own running: gaps of 100 ms and more are their stop phases, what lies between two is a run phase. Two of them are at the same
time watched from outside, as in “The share that busy targets get”, at one random moment of every 0.5 ms. *Signalled* is what
the watcher saw: the hobbler’s doing alone. *Felt* is what the target saw: it also waits for a core. A deviation is how much
longer or shorter than asked (10 and 200 ms) a phase was. *Ticks* is each contender’s own count of how late its timer came.
With every core busy a spinner outside the tarpit runs on each core; hobbler gives itself a nice value of -10, as it may as
root, the floor has none.`,
  fullSize: TARGETS,
  seconds: { open: 0, round: 40 },
  open: async (bench): Promise<Case[]> =>
    [IDLE, LOADED].flatMap((group) =>
      [FLOOR, OURS].map((name) => ({ name, group, measure: () => measureOn(bench, name, group === LOADED) })),
    ),
  render,
};

async function measureOn(bench: Workbench, name: string, isLoaded: boolean): Promise<Measured> {
  const meter = bench.meter();
  const size = Math.max(WITNESSES, bench.size(TARGETS));
  const witnesses = await startHerd(bench, meter, WITNESSES, 'gaps');
  const sleepers = await startHerd(bench, meter, size - WITNESSES, 'sleep');
  const outside = await startHerd(bench, meter, isLoaded ? bench.cores * SPINNERS_PER_CORE : 0, 'spin');
  const pids = [...witnesses.pids, ...sleepers.pids];
  let ownTicks = async (): Promise<Record<string, number>> => ({});
  if (name === FLOOR) {
    const floor = startFloor(bench, bench.meter(), pids);
    ownTicks = async () => ({ ...(await floor.end()) });
    await bench.settle(PEER_SETTLES_MS[FLOOR]!);
  } else {
    const redis = await bench.redis();
    const targets = pids.map(pidTarget);
    const hobbler = await startHobbler(bench, { meter: bench.meter(), redis, targets, every: true, adapts: false });
    ownTicks = async () => {
      const { latenessP50Ms, latenessP99Ms } = await hobbler.status();
      const ticks = { p50Ms: latenessP50Ms ?? Number.NaN, p99Ms: latenessP99Ms ?? Number.NaN };
      return { ...ticks, ...statesOf(await hobbler.reports()) };
    };
  }
  await witnesses.go();
  await outside.go();
  await bench.settle(name === FLOOR ? FLOOR_SETTLES_MS : SETTLES_MS);
  const fromMs = monotonicMs();
  const seconds = bench.windowSeconds(WINDOW_S);
  const seen = await watchPhases(bench, bench.meter(), witnesses.pids.slice(0, WATCHED), { stepUs: STEP_US, seconds });
  const window = { fromMs, toMs: monotonicMs() };
  const felt = (await witnesses.gaps()).map((gaps) => phasesOf(gaps, CYCLE.stopMs, window));
  return {
    values: await ownTicks(),
    lists: {
      signalledRunMs: seen.runMs,
      signalledStopMs: seen.stopMs,
      feltRunMs: felt.flatMap(({ runMs }) => runMs),
      feltStopMs: felt.flatMap(({ stopMs }) => stopMs),
    },
  };
}

/** The same clock as the herd's: CLOCK_MONOTONIC. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function lengthsOf(row: Row, view: 'signalled' | 'felt'): PhaseLengths {
  return { runMs: row.list(`${view}RunMs`), stopMs: row.list(`${view}StopMs`) };
}

function deviationAt(row: Row, view: 'signalled' | 'felt', percent: number): number {
  return percentile(deviations(lengthsOf(row, view), CYCLE), percent);
}

function render(result: ScenarioResult): Section {
  const rows = rowsOf(result);
  const groups = groupsOf(rows);
  const tables = groups.map((group) => `### ${group}\n\n${latenessTable(rows.filter((row) => row.group === group))}`);
  const title = 'How far phases were from the length asked: p50, and to p99';
  return {
    markdown: [...tables, `![${title}](benchmarks/lateness.svg)`].join('\n\n'),
    plots: {
      'lateness.svg': rangePlot({
        title,
        unit: 'ms (logarithmic)',
        scale: 'log',
        groups: (['signalled', 'felt'] as const).flatMap((view) =>
          groups.map((group) => ({
            heading: `${group}, as ${view}`,
            rows: rows
              .filter((row) => row.group === group)
              .map((row) => {
                const [p50, p99] = [deviationAt(row, view, 50), deviationAt(row, view, 99)];
                return rangeRow(row, Number.isFinite(p99) ? { median: p50, least: p50, most: p99 } : undefined);
              }),
          })),
        ),
      }),
    },
    goals: [latenessGoal(rows, IDLE, 2), latenessGoal(rows, LOADED, 10)],
  };
}

function latenessTable(rows: readonly Row[]): string {
  const pair = (a: number | undefined, b: number | undefined) => `${figure(a)}, ${figure(b)}`;
  return rowTable(rows, [
    { title: 'ticks late, ms: p50, p99', cell: (row) => pair(row.median('p50Ms'), row.median('p99Ms')) },
    ...(['signalled', 'felt'] as const).flatMap((view) => [
      {
        title: `${view}: deviation p50, p99, ms`,
        cell: (row: Row) => pair(deviationAt(row, view, 50), deviationAt(row, view, 99)),
      },
      {
        title: `${view}: longest run, stop, ms`,
        cell: (row: Row) => {
          const { runMs, stopMs } = lengthsOf(row, view);
          return pair(percentile(runMs, 100), percentile(stopMs, 100));
        },
      },
    ]),
    { title: 'phases', cell: (row) => figure(lengthsOf(row, 'signalled').stopMs.length * 2) },
  ]);
}

function latenessGoal(rows: readonly Row[], group: string, mostMs: number): Goal {
  const ours = findRow(rows, OURS, group);
  const floor = findRow(rows, FLOOR, group);
  return goalOf<[number]>(
    `phase lateness p99, ${group}`,
    `${mostMs} ms`,
    [ours && deviationAt(ours, 'signalled', 99)],
    (p99Ms) => ({
      measured: `${figure(p99Ms)} ms as signalled; the floor ${figure(floor && deviationAt(floor, 'signalled', 99))} ms`,
      met: p99Ms <= mostMs,
    }),
  );
}

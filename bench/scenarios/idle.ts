/** Scenario `idle`: what it costs to hobble targets that sleep, by their number; hobbler beside everybody else. */
import { startHerd } from '../herd.ts';
import { EVERY, pidTarget, SPARING, startHobbler, statesOf, untilSpared } from '../hobbler.ts';
import { memoryOf } from '../memory.ts';
import { ASYNCIO, CPULIMIT, FLOOR, IDLE_NODE, PEER_SETTLES_MS, startPeer, THREADS } from '../peers.ts';
import { linePlot, rangePlot } from '../plot.ts';
import type { ScenarioResult } from '../results.ts';
import { findRow, groupsOf, type Row, rangeRow, rowsOf, rowTable, toneOf } from '../rows.ts';
import { type Case, type Goal, goalOf, type Measured, type Scenario, type Section } from '../scenario.ts';
import { figure, ratio, spread } from '../table.ts';
import { cpuPercent, type Workbench } from '../workbench.ts';

const SIZES = [200, 2_000, 10_000];
/** One process, thread or coroutine per target does not scale further. */
const MOST_OF_ORIGINALS = 200;
/** From here on `mostly-idle` has it, which is the same and more. */
const MOSTLY_IDLE_FROM = 10_000;
/** Whole turns of all that a worker does by the clock, the slowest of which, reconciling, comes every 10 s. */
const HOBBLER_WINDOW_S = 10;
/** Those that do the same in every period. */
const PEER_WINDOW_S = 2.1;
/** Until V8 has compiled what runs all the time: that is paid once, and a worker runs for months. */
const SETTLES_MS = 10_000;

export const idle: Scenario = {
  name: 'idle',
  title: 'Targets that sleep',
  about: `Own CPU of each contender while all of its targets sleep. hobbler is measured all in: worker and guard as whole
processes, with signals, scans, heartbeat, reports and Redis traffic. Every contender but the sparing hobbler stops and
continues every target in every period of 210 ms. “The targets” is what the targets themselves spend on handling signals:
nobody's own cost, and saved where they are spared. Memory is the sum over a contender's processes; the
bench is a Node, too, so PSS, which divides pages that are shared, makes every Node look smaller than it is alone. 10,000
targets with the idle spared are under “Many targets, most of them idle”.`,
  seconds: { open: 0, round: 145 },
  open: async (bench) => casesOf(bench),
  render,
};

function casesOf(bench: Workbench): Case[] {
  const sizes = bench.sizes(SIZES);
  return sizes.flatMap((size) => {
    const originals = size <= MOST_OF_ORIGINALS ? [ASYNCIO, THREADS, CPULIMIT] : [];
    const sparing = size < MOSTLY_IDLE_FROM ? [SPARING] : [];
    const names = [FLOOR, EVERY, ...sparing, ...originals, ...(size === Math.min(...sizes) ? [IDLE_NODE] : [])];
    return names.map((name) => ({ name, group: groupName(size), measure: () => measureOn(bench, size, name) }));
  });
}

function groupName(size: number): string {
  return `${size.toLocaleString('en')} targets`;
}

async function measureOn(bench: Workbench, size: number, name: string): Promise<Measured> {
  const own = bench.meter();
  const targets = bench.meter();
  const { pids } = await startHerd(bench, targets, size, 'sleep');
  if (name === EVERY || name === SPARING) {
    const redis = await bench.redis();
    const every = name === EVERY;
    const hobbler = await startHobbler(bench, {
      meter: own,
      redis,
      targets: pids.map(pidTarget),
      every,
      adapts: !every,
    });
    if (!every) await untilSpared(bench, hobbler, size);
    await bench.settle(SETTLES_MS);
    const cpu = await cpuPercent({ own, targets, redis: redis.meter }, bench.windowSeconds(HOBBLER_WINDOW_S));
    return { values: { ...cpu, ...memoryOf(own.pids()), ...statesOf(await hobbler.reports()) } };
  }
  startPeer(bench, own, pids, name);
  await bench.settle(PEER_SETTLES_MS[name]!);
  const cpu = await cpuPercent({ own, targets }, bench.windowSeconds(PEER_WINDOW_S));
  return { values: { ...cpu, ...memoryOf(own.pids()) } };
}

function render(result: ScenarioResult): Section {
  const rows = rowsOf(result);
  const groups = groupsOf(rows);
  const tables = groups.map((group) => {
    const own = rows.filter((row) => row.group === group);
    return `### ${group}\n\n${costTable(own, findRow(own, FLOOR, group))}`;
  });
  const plots = {
    'idle.svg': rangePlot({
      title: 'Own CPU while all targets sleep',
      unit: '% of one core (logarithmic)',
      scale: 'log',
      groups: groups.map((group) => ({
        ...(group === undefined ? {} : { heading: group }),
        rows: rows.filter((row) => row.group === group).map((row) => rangeRow(row, row.spread('own'))),
      })),
    }),
    'idle-by-targets.svg': linePlot(
      'Own CPU by number of targets',
      'targets that sleep',
      '% of one core',
      [FLOOR, EVERY, SPARING].map((name) => ({ label: name, tone: toneOf(name), points: pointsOf(rows, name) })),
    ),
  };
  const images =
    '![Own CPU while all targets sleep](benchmarks/idle.svg)\n\n![Own CPU by number of targets](benchmarks/idle-by-targets.svg)';
  return { markdown: [...tables, images].join('\n\n'), plots, goals: goalsOf(rows) };
}

function costTable(rows: readonly Row[], floor: Row | undefined): string {
  return rowTable(rows, [
    { title: 'own CPU, % of a core', cell: (row) => spread(row.spread('own')) },
    { title: 'to the C floor', cell: (row) => ratio(row.median('own'), floor?.median('own')) },
    { title: 'the targets, %', cell: (row) => figure(row.median('targets')) },
    { title: 'Redis, %', cell: (row) => (row.values('redis').length > 0 ? figure(row.median('redis')) : '') },
    { title: 'RSS, MB', cell: (row) => figure(row.median('rssMB')) },
    { title: 'PSS, MB', cell: (row) => figure(row.median('pssMB')) },
  ]);
}

function pointsOf(rows: readonly Row[], name: string): { x: number; y: number }[] {
  return rows
    .filter((row) => row.name === name)
    .flatMap((row) => {
      const y = row.median('own');
      return y === undefined ? [] : [{ x: Number(row.group?.replace(/\D/g, '')), y }];
    });
}

function goalsOf(rows: readonly Row[]): Goal[] {
  const own = (name: string, size: number) => findRow(rows, name, groupName(size))?.median('own');
  return [
    ...[200, 2_000].map((size) =>
      goalOf<[number, number]>(
        `own CPU, ${groupName(size)}, every one cycled, all in`,
        'within 1.5 × the C floor',
        [own(EVERY, size), own(FLOOR, size)],
        (ours, floor) => ({ measured: `${ratio(ours, floor)}: ${figure(ours)} % of a core`, met: ours <= 1.5 * floor }),
      ),
    ),
    goalOf<[number, number]>(
      'the same, 200 targets',
      '15 × below the original asyncio design',
      [own(EVERY, 200), own(ASYNCIO, 200)],
      (ours, asyncio) => ({ measured: `${ratio(asyncio, ours)} below`, met: asyncio >= 15 * ours }),
    ),
    goalOf<[number, number]>(
      'the original’s own test (200 that sleep), the idle spared',
      'under 0.5 % of a core, below the C floor',
      [own(SPARING, 200), own(FLOOR, 200)],
      (ours, floor) => ({
        measured: `${figure(ours)} %; the floor ${figure(floor)} %`,
        met: ours < 0.5 && ours < floor,
      }),
    ),
    goalOf<[number]>(
      'memory of worker and guard, 2,000 targets',
      '110 MB RSS',
      [findRow(rows, EVERY, groupName(2_000))?.median('rssMB')],
      (rssMB) => ({ measured: `${figure(rssMB)} MB`, met: rssMB <= 110 }),
    ),
  ];
}

/** Scenario `groups`: what each mechanism costs when targets are cgroups of many processes. */
import { type GroupKind, type Meter, openGroup, type TargetGroup } from '../cgroups.ts';
import { startHerd } from '../herd.ts';
import { startHobbler, statesOf } from '../hobbler.ts';
import { FLOOR, PEER_SETTLES_MS, startFloor, startFreezerFloor } from '../peers.ts';
import { rangePlot } from '../plot.ts';
import type { ScenarioResult } from '../results.ts';
import { findRow, type Row, rangeRow, rowsOf, rowTable } from '../rows.ts';
import { type Case, type Goal, goalOf, LeftOut, type Measured, type Scenario, type Section } from '../scenario.ts';
import { figure, ratio, spread } from '../table.ts';
import { cpuPercent, type Workbench } from '../workbench.ts';

const GROUPS = 20;
const PER_GROUP = 100;
/** Heartbeats come every 5 s. */
const HOBBLER_WINDOW_S = 5.04;
const PEER_WINDOW_S = 2.1;
/** As in `idle`. */
const SETTLES_MS = 10_000;

const SIGNAL = 'hobbler, signal';
const FREEZER_V1 = 'hobbler, freezer v1';
const FREEZER_V2 = 'hobbler, freezer v2';
const QUOTA_V1 = 'hobbler, quota v1';
const QUOTA_V2 = 'hobbler, quota v2';

/** A mechanism is offered by the hierarchy that the groups are in, and by no other. */
const OURS: Record<string, { mechanism: 'signal' | 'freezer' | 'quota'; kinds: GroupKind[] }> = {
  [SIGNAL]: { mechanism: 'signal', kinds: ['freezer v2', 'freezer v1'] },
  [FREEZER_V1]: { mechanism: 'freezer', kinds: ['freezer v1'] },
  [FREEZER_V2]: { mechanism: 'freezer', kinds: ['freezer v2'] },
  [QUOTA_V1]: { mechanism: 'quota', kinds: ['cpu v1'] },
  [QUOTA_V2]: { mechanism: 'quota', kinds: ['cpu v2'] },
};
const FLOOR_SIGNALS = `${FLOOR}, signals`;
const FLOOR_V1 = `${FLOOR}, freezer v1`;
const FLOOR_V2 = `${FLOOR}, freezer v2`;
const FLOORS: Record<string, GroupKind | undefined> = {
  [FLOOR_SIGNALS]: undefined,
  [FLOOR_V1]: 'freezer v1',
  [FLOOR_V2]: 'freezer v2',
};

export const groups: Scenario = {
  name: 'groups',
  title: 'Targets that are cgroups',
  about: `2,000 sleeping processes in 20 cgroups of 100, each a \`cgroup:\` target that is cycled in every period, by mechanism. The
groups are made in the one hierarchy that the mechanism is to be had from and, with v1, in the one that counts CPU, as
container engines make theirs. A freezer stops a whole group by one write; “the
targets” is what the targets themselves spend on being stopped and continued. A quota has no phases at all.`,
  fullSize: GROUPS * PER_GROUP,
  seconds: { open: 0, round: 75 },
  open: async (bench): Promise<Case[]> => [
    ...Object.keys(FLOORS).map((name) => ({ name, measure: () => measureFloor(bench, name) })),
    ...Object.keys(OURS).map((name) => ({ name, measure: () => measureOurs(bench, name) })),
  ],
  render,
};

async function measureFloor(bench: Workbench, name: string): Promise<Measured> {
  const own = bench.meter();
  const kind = FLOORS[name];
  const { pids, made, meter } = await startGroups(bench, kind ? [kind] : OURS[SIGNAL]!.kinds);
  const paths = made.flatMap(({ freezerPath }) => freezerPath ?? []);
  if (kind) startFreezerFloor(bench, own, paths);
  else startFloor(bench, own, pids, perGroup(bench));
  await bench.settle(PEER_SETTLES_MS[FLOOR]!);
  return { values: await cpuPercent({ own, targets: meter }, bench.windowSeconds(PEER_WINDOW_S)) };
}

async function measureOurs(bench: Workbench, name: string): Promise<Measured> {
  const own = bench.meter();
  const { mechanism, kinds } = OURS[name]!;
  const { made, meter } = await startGroups(bench, kinds);
  const redis = await bench.redis();
  const targets = made.map(({ path }) => `cgroup:${path}`);
  const hobbler = await startHobbler(bench, { meter: own, redis, targets, every: true, adapts: false, mechanism });
  await bench.settle(SETTLES_MS);
  const values = await cpuPercent({ own, targets: meter }, bench.windowSeconds(HOBBLER_WINDOW_S));
  const reports = await hobbler.reports();
  const wrong = reports.find((report) => report.mechanism !== mechanism);
  if (wrong)
    throw new LeftOut(`${wrong.target} was hobbled by ${wrong.mechanism}: ${wrong.mechanismWhy ?? 'no reason'}`);
  return { values: { ...values, ...statesOf(reports) } };
}

function perGroup(bench: Workbench): number {
  return Math.max(1, Math.floor(bench.size(GROUPS * PER_GROUP) / GROUPS));
}

/** The groups, in the first kind of hierarchy that this machine has, and their processes. */
async function startGroups(bench: Workbench, kinds: readonly GroupKind[]) {
  const meter = bench.meter();
  const made = Array.from({ length: GROUPS }, () => openFirst(bench, kinds, meter));
  const each = perGroup(bench);
  const { pids } = await startHerd(bench, meter, GROUPS * each, 'sleep');
  for (const [index, group] of made.entries()) group.fill(pids.slice(index * each, (index + 1) * each));
  return { made, pids, meter };
}

function openFirst({ undo }: Workbench, [first, ...others]: readonly GroupKind[], meter: Meter): TargetGroup {
  try {
    return openGroup(undo, first!, meter);
  } catch (error) {
    if (!(error instanceof LeftOut) || others.length === 0) throw error;
    return openGroup(undo, others[0]!, meter);
  }
}

function render(result: ScenarioResult): Section {
  const rows = rowsOf(result);
  const signals = findRow(rows, SIGNAL);
  const title = 'Own CPU, 2,000 processes in 20 groups';
  const markdown = rowTable(rows, [
    { title: 'own CPU, % of a core', cell: (row: Row) => spread(row.spread('own')) },
    { title: 'to hobbler’s signals', cell: (row) => ratio(row.median('own'), signals?.median('own')) },
    { title: 'the targets, %', cell: (row) => figure(row.median('targets')) },
  ]);
  return {
    markdown: `${markdown}\n\n![${title}](benchmarks/groups.svg)`,
    plots: {
      'groups.svg': rangePlot({
        title,
        unit: '% of one core',
        scale: 'linear',
        groups: [{ rows: rows.map((row) => rangeRow(row, row.spread('own'))) }],
      }),
    },
    goals: [
      part('freezer v1, processes in groups of 100', 'under a quarter of `signal`', rows, FREEZER_V1, 0.25),
      part('freezer v2, processes in groups of 100', 'under 0.7 of `signal`', rows, FREEZER_V2, 0.7),
      quotaGoal(rows),
    ],
  };
}

function part(what: string, goal: string, rows: readonly Row[], name: string, most: number): Goal {
  const own = (row: string) => findRow(rows, row)?.median('own');
  return goalOf<[number, number]>(what, goal, [own(name), own(SIGNAL)], (ours, signals) => ({
    measured: `${figure(ours / signals)} of it: ${figure(ours)} % of a core`,
    met: ours < most * signals,
  }));
}

/** Whatever a worker costs without phases is no cost per process: it must lie far below that of any phases. */
function quotaGoal(rows: readonly Row[]): Goal {
  const own = (row: string) => findRow(rows, row)?.median('own');
  return goalOf<[number, number]>(
    'quota, processes in groups of 100',
    'no cost per process',
    [own(QUOTA_V1) ?? own(QUOTA_V2), own(SIGNAL)],
    (ours, signals) => ({
      measured: `${figure(ours)} % of a core in all, with 2,000 processes; signals ${figure(signals)} %`,
      met: ours < 1 && ours < signals / 4,
    }),
  );
}

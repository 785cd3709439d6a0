/** What `status` says: holds, hosts, targets, mechanisms of a host, and what is wrong. Pure. */
import type { FleetView, HostView } from '../shared/redis/fleet.ts';
import type { Status } from '../shared/report.ts';
import {
  type Column,
  columnsOf,
  formatAge,
  formatBytes,
  formatRatio,
  formatTable,
  type Palette,
  plain,
} from './print.ts';
import { formatProblems, problemsOf } from './problems.ts';
import { COLUMN_IDS, COLUMNS } from './top/columns.ts';
import { rowsOf, sortRows, type TargetRow } from './top/rows.ts';

export interface StatusShape {
  /** Columns of the terminal; infinite where there is none. */
  width: number;
  /** One host was asked for: then its mechanisms are told. */
  isOneHost: boolean;
}

const HOST_COLUMNS: readonly Column[] = [
  { title: 'HOST' },
  { title: 'WORKER' },
  { title: 'BEAT', align: 'right' },
  { title: 'TARGETS', align: 'right' },
  { title: 'PROCESSES', align: 'right' },
  { title: 'OWN CPU', align: 'right' },
  { title: 'MEMORY', align: 'right' },
  { title: 'GUARD' },
  { title: 'NOTE' },
];

interface StatusColumn extends Column {
  text: (row: TargetRow) => string;
  paint?: (text: string, row: TargetRow, palette: Palette) => string;
}

const TARGET_COLUMNS: readonly StatusColumn[] = COLUMN_IDS.map((id) => {
  const { title, align, text, paint } = COLUMNS[id];
  return { title, align, text, paint: (cell, row, palette) => paint?.(row, palette)?.(cell) ?? cell };
});
const MECHANISM_WHY: StatusColumn = {
  title: 'MECHANISM WHY',
  text: ({ report }) => plain(report?.mechanismWhy ?? '?'),
};
/** What a narrow terminal goes without, the first of them first. */
const DROPPED = ['MECHANISM WHY', 'BEFORE', 'PERIOD', 'MECHANISM', 'COST', 'BY', 'PROCESSES'];
/** The reason is last and is not cut; this much of it should fit. */
const REASON_WIDTH = 24;
const GAP_WIDTH = 2;

/** The fleet as lines of text. */
export function formatFleet(view: FleetView, palette: Palette, shape: StatusShape): string[] {
  const { hosts, hold, nowMs } = view;
  const lines: string[] = [];
  if (hold) {
    lines.push(
      palette.yellow(
        `The fleet is held: ${plain(hold.reason)} (${plain(hold.by)}, ${formatAge(nowMs - hold.sinceMs)} ago)`,
      ),
    );
  }
  if (hosts.length === 0)
    return [...lines, 'No worker has ever reported to this Redis. Start one with: hobbler worker'];
  lines.push(
    ...formatTable(
      HOST_COLUMNS,
      hosts.map((host) => hostRow(host, nowMs, palette)),
    ),
    '',
    ...formatTargets(view, palette, shape.width),
  );
  if (shape.isOneHost) for (const { status } of hosts) lines.push('', ...formatMechanisms(status, palette));
  const problems = formatProblems(problemsOf(view), palette);
  return problems.length === 0 ? lines : [...lines, '', ...problems];
}

function formatTargets(view: FleetView, palette: Palette, width: number): string[] {
  const rows = sortRows(rowsOf(view), { sort: 'host', isReversed: false });
  if (rows.length === 0) return ['Nobody is in the tarpit.'];
  const columns = columnsFor(rows, width);
  return formatTable(
    columns,
    rows.map((row) => columns.map(({ text, paint }) => (paint ? paint(text(row), row, palette) : text(row)))),
  );
}

/** All columns, but for those that a terminal of this width has no room for. */
function columnsFor(rows: readonly TargetRow[], width: number): readonly StatusColumn[] {
  let columns: StatusColumn[] = [...TARGET_COLUMNS.slice(0, -1), MECHANISM_WHY, TARGET_COLUMNS.at(-1)!];
  if (!Number.isFinite(width)) return columns;
  const widths = new Map(
    columns.map((column) => [
      column.title,
      column.title === 'REASON'
        ? REASON_WIDTH
        : rows.reduce((most, row) => Math.max(most, columnsOf(column.text(row))), column.title.length),
    ]),
  );
  for (const dropped of DROPPED) {
    const needed = columns.reduce((sum, { title }) => sum + widths.get(title)! + GAP_WIDTH, -GAP_WIDTH);
    if (needed <= width) break;
    columns = columns.filter(({ title }) => title !== dropped);
  }
  return columns;
}

function formatMechanisms(status: Status | null, palette: Palette): string[] {
  if (status === null) return ['Its mechanisms are not known: it has left no status that can be read.'];
  return formatTable(
    [{ title: 'MECHANISM' }, { title: 'HERE' }, { title: 'WHY' }],
    Object.entries(status.mechanisms).map(([name, { supported, why }]) => [
      plain(name),
      supported ? palette.green('yes') : 'no',
      plain(why),
    ]),
  );
}

function hostRow({ host, liveness, status, broken, hold }: HostView, nowMs: number, palette: Palette): string[] {
  const paint = liveness === 'alive' ? palette.green : liveness === 'late' ? palette.yellow : palette.red;
  const notes = [
    ...(broken === null ? [] : [`its status cannot be read: ${plain(broken)}`]),
    ...(hold ? [`held: ${plain(hold.reason)} (${plain(hold.by)})`] : []),
    ...(status?.hold?.scope === 'local' ? [`held on the host itself: ${plain(status.hold.reason)}`] : []),
  ];
  if (!status) return [host, paint(liveness), '?', '?', '?', '?', '?', '?', notes.join('; ')];
  return [
    host,
    paint(liveness),
    formatAge(nowMs - status.beatAtMs),
    String(status.targets),
    String(status.processes),
    formatRatio(status.ownCpuRatio),
    formatBytes(status.rssBytes),
    status.guard === 'alive' ? 'alive' : palette.red('dead'),
    notes.join('; '),
  ];
}

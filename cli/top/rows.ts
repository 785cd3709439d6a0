/**
 * The targets of a fleet as rows: what is known of each, which of them a filter leaves, and in which order. Pure. Rows
 * hold plain values; nothing is written out here, so that ten thousand of them stay cheap.
 */
import type { FleetView } from '../../shared/redis/fleet.ts';
import type { Liveness, Report } from '../../shared/report.ts';
import { COLUMNS, type ColumnId } from './columns.ts';

export interface TargetRow {
  host: string;
  /** Of the host: what a lost one last said of its targets may no longer hold. */
  liveness: Liveness;
  target: string;
  /** Null: it cannot be read, `unreadable` says why. */
  report: Report | null;
  unreadable: string | null;
  /** Until the order expires, milliseconds; null: not known. */
  leftMs: number | null;
}

export interface Order {
  sort: ColumnId;
  isReversed: boolean;
}

/** Every target of every host, in no particular order. */
export function rowsOf({ hosts, nowMs }: FleetView): TargetRow[] {
  return hosts.flatMap(({ host, liveness, reports, brokenReports }) => [
    ...reports.map((report) => ({
      host,
      liveness,
      target: report.target,
      report,
      unreadable: null,
      leftMs: Math.max(0, report.expiresAtMs - nowMs),
    })),
    ...brokenReports.map(({ target, why }) => ({
      host,
      liveness,
      target,
      report: null,
      unreadable: why,
      leftMs: null,
    })),
  ]);
}

/** The rows in which every word of the filter is found somewhere, in any case. */
export function filterRows(rows: readonly TargetRow[], filter: string): readonly TargetRow[] {
  const words = filter.toLowerCase().split(' ').filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter((row) => {
    const text = textOf(row);
    return words.every((word) => text.includes(word));
  });
}

function textOf({ host, target, report, unreadable }: TargetRow): string {
  const parts =
    report === null
      ? [unreadable]
      : [report.state, report.account, report.mechanism, report.by, report.reason, report.why];
  return [host, target, ...parts].join(' ').toLowerCase();
}

/**
 * The rows by one column: texts from A, numbers from the largest, unless reversed. What is not known comes last either
 * way, and what is alike stays in the order of names, so that rows do not trade places from one look to the next.
 */
export function sortRows(rows: readonly TargetRow[], { sort, isReversed }: Order): TargetRow[] {
  const { value, isText } = COLUMNS[sort];
  const direction = (isText ? 1 : -1) * (isReversed ? -1 : 1);
  const keyed = rows.map((row) => ({ row, key: value(row) }));
  keyed.sort((a, b) => {
    if (a.key === b.key) return compareNames(a.row, b.row);
    if (a.key === null) return 1;
    if (b.key === null) return -1;
    return a.key < b.key ? -direction : direction;
  });
  return keyed.map(({ row }) => row);
}

function compareNames(a: TargetRow, b: TargetRow): number {
  if (a.host !== b.host) return a.host < b.host ? -1 : 1;
  if (a.target !== b.target) return a.target < b.target ? -1 : 1;
  return 0;
}

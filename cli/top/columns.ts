/**
 * The columns of targets: how each is called, sorted and written. `top` and `status` show the same ones. Pure. Unknown is
 * `?`, never zero (invariant 9); what cannot be had is `-`.
 */

import { isTrouble } from '../../shared/report.ts';
import { formatAge, formatRatio, type Palette, plain } from '../print.ts';
import type { TargetRow } from './rows.ts';

export const COLUMN_IDS = [
  'host',
  'target',
  'state',
  'mechanism',
  'processes',
  'before',
  'asked',
  'got',
  'cost',
  'period',
  'left',
  'by',
  'reason',
] as const;
export type ColumnId = (typeof COLUMN_IDS)[number];

export interface TargetColumn {
  title: string;
  /** The key that sorts by it. */
  key: string;
  align: 'left' | 'right';
  /** Texts are sorted from A, numbers from the largest. */
  isText: boolean;
  /** What it is sorted by; null: not known. */
  value: (row: TargetRow) => string | number | null;
  /** What is shown, fit for a terminal. */
  text: (row: TargetRow) => string;
  /** How that is coloured. */
  paint?: (row: TargetRow, palette: Palette) => ((text: string) => string) | undefined;
}

const UNKNOWN = '?';
const NONE = '-';

/** The period is longer than asked by more than rounding. */
const LONGER_RATIO = 1.01;

type Known = NonNullable<TargetRow['report']>;

function ofReport<T>(row: TargetRow, read: (report: Known) => T): T | null {
  return row.report === null ? null : read(row.report);
}

function number(
  title: string,
  key: string,
  read: (report: Known) => number | null,
  text: (value: number | null, report: Known) => string,
  paint?: TargetColumn['paint'],
): TargetColumn {
  return {
    title,
    key,
    align: 'right',
    isText: false,
    value: (row) => ofReport(row, read),
    text: (row) => ofReport(row, (report) => text(read(report), report)) ?? UNKNOWN,
    ...(paint === undefined ? {} : { paint }),
  };
}

function name(
  title: string,
  key: string,
  read: (row: TargetRow) => string,
  paint?: TargetColumn['paint'],
): TargetColumn {
  return {
    title,
    key,
    align: 'left',
    isText: true,
    value: (row) => {
      const text = read(row);
      return text === UNKNOWN ? null : text;
    },
    text: (row) => plain(read(row)),
    ...(paint === undefined ? {} : { paint }),
  };
}

const red = (is: (row: TargetRow) => boolean): NonNullable<TargetColumn['paint']> => {
  return (row, palette) => (is(row) ? palette.red : undefined);
};

export const COLUMNS: Record<ColumnId, TargetColumn> = {
  host: name(
    'HOST',
    'H',
    ({ host }) => host,
    ({ liveness }, { red, yellow }) => (liveness === 'lost' ? red : liveness === 'late' ? yellow : undefined),
  ),
  target: name('TARGET', 'T', ({ target }) => target),
  state: name(
    'STATE',
    'S',
    stateOf,
    red(({ report }) => report === null || isTrouble(report)),
  ),
  mechanism: name('MECHANISM', 'M', ({ report }) => {
    if (report === null) return UNKNOWN;
    return report.mechanism ?? (isOver(report) ? NONE : UNKNOWN);
  }),
  processes: number('PROCESSES', 'N', ({ processes }) => processes, String),
  before: number('BEFORE', 'B', ({ beforeRatio }) => beforeRatio, formatRatio),
  asked: number('ASKED', 'A', ({ askedRatio }) => askedRatio, formatRatio),
  got: number(
    'GOT',
    'G',
    ({ gotRatio }) => gotRatio,
    (ratio, { effective }) => `${formatRatio(ratio)}${effective === false ? '!' : ''}`,
    red(({ report }) => report?.effective === false),
  ),
  cost: number('COST', 'C', ({ costRatio }) => costRatio, formatCost),
  period: number('PERIOD', 'P', ({ periodMs }) => periodMs, formatPeriod),
  left: {
    ...number('LEFT', 'L', () => null, String),
    value: ({ leftMs }) => leftMs,
    text: ({ leftMs }) => (leftMs === null ? UNKNOWN : formatAge(leftMs)),
  },
  by: name('BY', 'Y', ({ report }) => report?.by ?? UNKNOWN),
  reason: name('REASON', 'W', reasonOf),
};

/** As its worker last said; with a `?` where that worker is lost, since nobody knows what became of it. */
function stateOf({ report, liveness }: TargetRow): string {
  if (report === null) return UNKNOWN;
  return liveness === 'lost' ? `${report.state}?` : report.state;
}

/** Why it is slowed, and why it is in its state; what went wrong comes first, since the end of a line may be cut. */
function reasonOf({ report, unreadable }: TargetRow): string {
  if (report === null) return `report cannot be read: ${unreadable ?? ''}`;
  const { reason, why } = report;
  if (why === null || why === '') return reason;
  if (isTrouble(report)) return reason === '' ? why : `${why} (${reason})`;
  return reason === '' ? `(${why})` : `${reason} (${why})`;
}

/** No loop runs for it, so there is no mechanism and no period. */
function isOver({ state }: Known): boolean {
  return state === 'denied' || state === 'refused' || state === 'unsupported' || state === 'gone';
}

function formatPeriod(periodMs: number | null, report: Known): string {
  // Only a loop that cycles has phases; under a quota there are none.
  if (periodMs === null) return report.state === 'hobbling' && report.mechanism !== 'quota' ? UNKNOWN : NONE;
  const isLonger = periodMs > (report.runMs + report.stopMs) * LONGER_RATIO;
  return `${Math.round(periodMs)} ms${isLonger ? '*' : ''}`;
}

/** A cost is small: below 0.1 % the share of a core is given to a hundredth. */
function formatCost(ratio: number | null): string {
  if (ratio === null || !Number.isFinite(ratio) || ratio === 0 || ratio >= 0.001) return formatRatio(ratio);
  return ratio < 0.0001 ? '<0.01 %' : `${(ratio * 100).toFixed(2)} %`;
}

/**
 * Which columns fit into a width, and how wide each is. Pure. Host and target always stand at the left; the rest is taken
 * by importance, and what is left over goes to names that were cut and to the reason.
 */
import { columnsOf } from '../print.ts';
import { COLUMN_IDS, COLUMNS, type ColumnId } from './columns.ts';
import type { TargetRow } from './rows.ts';

export interface Placed {
  id: ColumnId;
  /** Columns of the terminal. */
  width: number;
}

/** Widths that depend on what is in the rows; the others are fixed, so that figures do not move. */
export type Measured = Record<'host' | 'target' | 'state' | 'by', number>;

/** Room for the longest text of each, and for the arrow of the sorted column after its title. */
const FIXED: Partial<Record<ColumnId, number>> = {
  mechanism: 10,
  processes: 10,
  before: 7,
  asked: 6,
  got: 7,
  cost: 7,
  period: 9,
  left: 8,
};
const IMPORTANCE: readonly ColumnId[] = [
  'state',
  'got',
  'asked',
  'left',
  'reason',
  'processes',
  'cost',
  'by',
  'mechanism',
  'period',
  'before',
];
/** The reason is shown from this width on; with less it says nothing. */
const REASON_MIN = 14;
const BY_MAX = 16;
/** The most that names take of the width while there is more to show. */
const HOST_SHARE = 0.2;
const TARGET_SHARE = 0.3;

/** The natural width of the texts in the rows. Once per look at the fleet, not per frame. */
export function measure(rows: readonly TargetRow[]): Measured {
  const widest = (id: keyof Measured) => {
    let width = COLUMNS[id].title.length + 1;
    for (const row of rows) width = Math.max(width, columnsOf(COLUMNS[id].text(row)));
    return width;
  };
  return { host: widest('host'), target: widest('target'), state: widest('state'), by: widest('by') };
}

export interface LayoutRequest {
  width: number;
  measured: Measured;
  /** It is always shown. */
  sort: ColumnId;
  /** So many columns after the target are left out, to see those at the right. */
  skip: number;
  showsHost: boolean;
}

/** The columns that can be skipped. */
export const SKIPPABLE: readonly ColumnId[] = COLUMN_IDS.filter((id) => id !== 'host' && id !== 'target');

export function layOut({ width, measured, sort, skip, showsHost }: LayoutRequest): Placed[] {
  const widths = new Map<ColumnId, number>();
  const natural = (id: ColumnId) => (id in measured ? measured[id as keyof Measured] : FIXED[id]!);
  let left = width;
  const take = (id: ColumnId, wanted: number) => {
    widths.set(id, wanted);
    left -= wanted + (widths.size > 1 ? 1 : 0);
  };
  const share = (id: 'host' | 'target', most: number) =>
    take(id, Math.max(1, Math.min(natural(id), Math.max(id.length + 1, Math.floor(width * most)), left)));

  if (showsHost) share('host', HOST_SHARE);
  share('target', TARGET_SHARE);
  const rest = SKIPPABLE.slice(skip);
  const byImportance = IMPORTANCE.filter((id) => rest.includes(id));
  if (rest.includes(sort)) byImportance.unshift(...byImportance.splice(byImportance.indexOf(sort), 1));
  for (const id of byImportance) {
    const wanted = id === 'reason' ? REASON_MIN : id === 'by' ? Math.min(natural(id), BY_MAX) : natural(id);
    if (wanted + 1 <= left) take(id, wanted);
  }
  const grow = (id: ColumnId, most: number) => {
    const now = widths.get(id);
    if (now === undefined || left <= 0) return;
    const more = Math.min(left, Math.max(0, most - now));
    widths.set(id, now + more);
    left -= more;
  };
  for (const id of ['target', 'host', 'by'] as const) grow(id, natural(id));
  grow('reason', Number.POSITIVE_INFINITY);
  return COLUMN_IDS.filter((id) => widths.has(id)).map((id) => ({ id, width: widths.get(id)! }));
}

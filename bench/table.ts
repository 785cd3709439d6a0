/** Tables and figures in Markdown. Pure. What was not measured is said, never shown as a number. */
import type { Spread } from './statistics.ts';

export interface Column<Row> {
  title: string;
  /** Numbers stand right. */
  isText?: boolean;
  cell(row: Row): string;
}

/** A Markdown table. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map(({ title }) => escapeCell(title))),
    line(columns.map(({ isText }) => (isText ? '---' : '---:'))),
    ...rows.map((row) => line(columns.map(({ cell }) => escapeCell(cell(row))))),
  ].join('\n');
}

/** A bar would begin another cell, a line break another row. */
function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

export const UNKNOWN = 'not measured';

/** Three digits that mean something: 0.0123, 1.23, 12.3, 123. */
export function figure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString('en');
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(size >= 0.095 || size === 0 ? 2 : 3);
}

/** Median, with least and most in brackets. */
export function spread(value: Spread | undefined): string {
  if (value === undefined) return UNKNOWN;
  return `${figure(value.median)} (${figure(value.least)} to ${figure(value.most)})`;
}

/** How many times the one the other is. */
export function ratio(value: number | undefined, to: number | undefined): string {
  if (value === undefined || to === undefined || !(to > 0)) return UNKNOWN;
  return `${figure(value / to)} ×`;
}

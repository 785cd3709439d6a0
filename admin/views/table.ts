/**
 * One way to write a table: with caption, scoped headers, and on a phone as a list of cards, each value under its
 * label. The explicit roles look redundant and aren't: a table laid out as blocks loses its meaning for screen readers.
 */
import { type Html, type HtmlValue, html } from './html.ts';

export interface Column<Row> {
  label: string;
  cell: (row: Row) => HtmlValue;
  /** `head`: names the row. `number`: set to the right. `act`: buttons, no label on a phone. */
  kind?: 'head' | 'number' | 'act';
}

export interface Table<Row> {
  /** Names the table for screen readers; the heading above it does so for the eye. */
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  /** What tells a row from others across refreshes. */
  key: (row: Row) => string;
  /** Instead of the table when there are no rows: what that means, and what to do next. */
  empty: Html;
  rowClass?: (row: Row) => string;
}

export function table<Row>({ caption, columns, rows, key, empty, rowClass }: Table<Row>): Html {
  if (rows.length === 0) return html`<div class="empty">${empty}</div>`;
  return html`<div class="scroll"><table role="table">
<caption class="sr">${caption}</caption>
<thead role="rowgroup"><tr role="row">${columns.map((column) => headerCell(column))}</tr></thead>
<tbody role="rowgroup">${rows.map(
    (row) => html`
<tr role="row" data-key="${key(row)}" class="${rowClass?.(row) ?? ''}">${columns.map((column) => bodyCell(column, row))}</tr>`,
  )}
</tbody></table></div>`;
}

function headerCell<Row>({ label, kind }: Column<Row>): Html {
  return html`<th role="columnheader" scope="col" class="${kind ?? ''}">${kind === 'act' ? html`<span class="sr">${label}</span>` : label}</th>`;
}

function bodyCell<Row>({ label, kind, cell }: Column<Row>, row: Row): Html {
  if (kind === 'head') return html`<th role="rowheader" scope="row" class="head">${cell(row)}</th>`;
  return html`<td role="cell" class="${kind ?? ''}" data-label="${label}"><div>${cell(row)}</div></td>`;
}

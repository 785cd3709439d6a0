/**
 * One way to write a table: with caption, scoped headers that sort where they can, and on a phone as a list of cards, each
 * value under its label. The explicit roles look redundant and aren't: a table laid out as blocks loses its meaning for
 * screen readers.
 */
import { type Html, type HtmlValue, html } from './html.ts';

export interface Column<Row> {
  label: string;
  cell: (row: Row) => HtmlValue;
  /** `head`: names the row. `number`: set to the right. `act`: buttons, no label on a phone. */
  kind?: 'head' | 'number' | 'act';
  /** Where its header leads, and how the table is sorted by it now. */
  sort?: { href: string; direction: 'ascending' | 'descending' | null };
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

export interface TablePieces {
  before: Html;
  rows: { key: string; html: Html }[];
  after: Html;
}

export function table<Row>(content: Table<Row>): Html {
  const { before, rows, after } = tablePieces(content);
  return html`${before}${rows.map((row) => row.html)}${after}`;
}

/** The same, its rows apart. */
export function tablePieces<Row>({ caption, columns, rows, key, empty, rowClass }: Table<Row>): TablePieces {
  if (rows.length === 0) return { before: html`<div class="empty">${empty}</div>`, rows: [], after: html`` };
  const before = html`<div class="scroll"><table role="table">
<caption class="sr">${caption}</caption>
<thead role="rowgroup"><tr role="row">${columns.map((column) => headerCell(column))}</tr></thead>
<tbody role="rowgroup">`;
  const bodyRow = (row: Row) => ({
    key: key(row),
    html: html`
<tr role="row" data-key="${key(row)}"${classOf(rowClass?.(row))}>${columns.map((column) => bodyCell(column, row))}</tr>`,
  });
  return { before, rows: rows.map(bodyRow), after: html`</tbody></table></div>` };
}

function classOf(name: string | undefined): Html | null {
  return name ? html` class="${name}"` : null;
}

function headerCell<Row>({ label, kind, sort }: Column<Row>): Html {
  if (kind === 'act')
    return html`<th role="columnheader" scope="col" class="act"><span class="sr">${label}</span></th>`;
  const direction = sort?.direction && html` aria-sort="${sort.direction}"`;
  return html`<th role="columnheader" scope="col"${classOf(kind)}${direction}>${sort ? html`<a class="sort" href="${sort.href}">${label}</a>` : label}</th>`;
}

function bodyCell<Row>({ label, kind, cell }: Column<Row>, row: Row): Html {
  if (kind === 'head') return html`<th role="rowheader" scope="row" class="head">${cell(row)}</th>`;
  return html`<td role="cell"${classOf(kind)} data-label="${label}"><div>${cell(row)}</div></td>`;
}

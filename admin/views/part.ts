/**
 * A live page in parts: each is a piece of markup that is sent again when it changes, and the rows of its table one by
 * one. Parts are the same for everybody of one role, since one rendering is sent to all who look at the same thing: nothing
 * of a session (its CSRF token above all) may stand in one.
 */
import { type Html, html } from './html.ts';
import { type Table, tablePieces } from './table.ts';

export interface PartRow {
  key: string;
  html: Html;
}

export interface Part {
  /** Unique on its page. */
  id: string;
  before: Html;
  /** Between `before` and `after`; keys are unique. */
  rows: readonly PartRow[];
  after: Html;
}

const NOTHING = html``;

/** A part without rows; null leaves an empty place, so that what comes later comes where it belongs. */
export function part(id: string, content: Html | null | false): Part {
  return { id, before: content || NOTHING, rows: [], after: NOTHING };
}

/** A part that is a table, with what stands above and below it. */
export function tablePart<Row>(id: string, table: Table<Row>, around: { above?: Html; below?: Html } = {}): Part {
  const { before, rows, after } = tablePieces(table);
  return {
    id,
    before: html`${around.above ?? null}${before}`,
    rows,
    after: html`${after}${around.below ?? null}`,
  };
}

/** The part in its place on a page. */
export function place({ id, before, rows, after }: Part): Html {
  return html`<div data-part="${id}">${before}${rows.map((row) => row.html)}${after}</div>`;
}

/**
 * One frame of `top`: a picture of the fleet and a state in, lines out, none wider than the terminal, whatever the names
 * are. Pure. Only the rows in sight are written out.
 */
import { columnsOf, cut, formatAge, type Palette, plain, toWidth } from '../print.ts';
import { COLUMNS, type ColumnId } from './columns.ts';
import type { Look } from './feed.ts';
import { flow, formatSummary, type Summary, summarize } from './header.ts';
import { HELP, HELP_END } from './help.ts';
import { layOut, type Measured, measure, type Placed } from './layout.ts';
import { clampFirst, type TopState } from './model.ts';
import { filterRows, rowsOf, sortRows, type TargetRow } from './rows.ts';

/** One look at the fleet, made ready: done once per look, not once per frame. */
export interface Picture {
  look: Look;
  rows: readonly TargetRow[];
  measured: Measured;
  summary: Summary;
}

export function pictureOf(look: Look): Picture {
  const rows = rowsOf(look.view);
  return { look, rows, measured: measure(rows), summary: summarize(look.view) };
}

/** What stands beside the picture. */
export interface Scene {
  picture: Picture;
  /** The rows that the filter leaves, in order. */
  rows: readonly TargetRow[];
  /** One host; undefined: the fleet. */
  host: string | undefined;
  everyMs: number;
  /** Since the picture was taken, milliseconds. */
  ageMs: number;
  /** Why there is no newer one. */
  failure: string | undefined;
  /** The machine's clock, milliseconds since 1970. */
  wallMs: number;
}

export interface Size {
  width: number;
  /** Infinite where nobody scrolls: then every row is shown, and no keys are offered. */
  height: number;
}

export interface Frame {
  lines: string[];
  /** Rows that fit. */
  page: number;
}

/** A picture this much older than it should be is said to be old. */
const LATE_MS = 2_000;
/** Below this height there is no line for the keys; below the other, no summary. */
const FOOTER_FROM = 10;
const SUMMARY_FROM = 6;
const FOOTER = ['q quit', 'h help', '/ filter', '< > sort', 'r reverse', 'space pause', '← → columns'];

/** The rows of a picture as the state wants them. */
export function selectRows({ rows }: Picture, state: TopState): readonly TargetRow[] {
  return sortRows(filterRows(rows, state.filter), state);
}

export function renderFrame(scene: Scene, state: TopState, { width, height }: Size, palette: Palette): Frame {
  const head = headOf(scene, state, { width, height }, palette);
  const foot = Number.isFinite(height) && height >= FOOTER_FROM ? 1 : 0;
  const page = Math.max(0, height - head.length - 1 - foot);
  if (state.isHelp) {
    const lines = [palette.bold('hobbler top: keys and signs'), '', ...HELP].slice(0, Math.max(0, height - 1));
    lines.push(palette.bold(HELP_END));
    return { lines: lines.map((line) => cut(line, width)), page };
  }
  const table = tableOf(scene, state, width, page, palette);
  const lines = [...head, ...table].slice(0, height);
  if (foot > 0) {
    while (lines.length < height - 1) lines.push('');
    lines.push(footOf(scene, state, width, page, palette));
  }
  return { lines: lines.map((line) => cut(line, width)), page };
}

function headOf(scene: Scene, state: TopState, { width, height }: Size, palette: Palette): string[] {
  const { picture, host, everyMs, wallMs } = scene;
  const time = new Date(wallMs).toTimeString().slice(0, 8);
  const lines = [
    `${palette.bold('hobbler top')}  ${time}  ${host ?? 'the fleet'}, every ${everyMs < 1_000 ? `${everyMs} ms` : formatAge(everyMs)}`,
  ];
  const stale = staleOf(scene, state, palette);
  if (stale !== undefined) lines.push(stale);
  if (height >= SUMMARY_FROM) {
    const roundTripMs = scene.failure === undefined ? picture.look.roundTripMs : null;
    const summary = formatSummary(picture.summary, roundTripMs, width, palette);
    // On a low terminal the table matters more than the rest of the summary.
    lines.push(...(Number.isFinite(height) ? summary.slice(0, Math.max(1, Math.floor(height / 2) - 2)) : summary));
  }
  lines.push(filterLine(scene, state, palette));
  return lines;
}

/** Why what is shown is not the newest. */
function staleOf({ failure, ageMs, everyMs }: Scene, { isPaused }: TopState, palette: Palette): string | undefined {
  const age = `this picture is ${formatAge(ageMs)} old`;
  if (isPaused) return palette.yellow(`PAUSED, ${age}; space goes on`);
  if (failure !== undefined) return palette.red(`Redis cannot be read (${plain(failure)}): ${age}`);
  if (ageMs > everyMs + LATE_MS) return palette.yellow(`no answer from Redis yet: ${age}`);
  return undefined;
}

function filterLine({ picture, rows }: Scene, { filter, isTyping }: TopState, palette: Palette): string {
  if (filter === '' && !isTyping) return '';
  const found = `${rows.length} of ${picture.rows.length}`;
  const keys = isTyping ? '   enter keeps it, escape clears it' : '   escape clears it';
  return `${palette.bold('filter:')} ${plain(filter)}${isTyping ? palette.inverse(' ') : ''}   ${palette.dim(found + keys)}`;
}

function tableOf(scene: Scene, state: TopState, width: number, page: number, palette: Palette): string[] {
  const { picture, rows, host } = scene;
  if (rows.length === 0) return [whyEmpty(picture, host)];
  const placed = layOut({
    width,
    measured: picture.measured,
    sort: state.sort,
    skip: state.skip,
    showsHost: host === undefined,
  });
  const first = clampFirst(state.first, { rows: rows.length, page });
  const titles = formatCells(placed, (id) => titleOf(id, state));
  const bar = Number.isFinite(width) ? toWidth(titles, width) : titles;
  return [
    palette.inverse(bar),
    ...rows.slice(first, first + page).map((row) => {
      const line = formatCells(
        placed,
        (id) => COLUMNS[id].text(row),
        (id) => COLUMNS[id].paint?.(row, palette),
      );
      return row.liveness === 'lost' ? palette.dim(line) : line;
    }),
  ];
}

function whyEmpty({ look, rows }: Picture, host: string | undefined): string {
  if (rows.length > 0) return 'No target matches the filter.';
  if (look.view.hosts.length > 0) return 'Nobody is in the tarpit.';
  return host === undefined
    ? 'No worker has ever reported to this Redis. Start one with: hobbler worker'
    : `No worker has ever reported as ${host}.`;
}

function titleOf(id: ColumnId, { sort, isReversed }: TopState): string {
  const { title, isText } = COLUMNS[id];
  return id === sort ? `${title}${isText === isReversed ? '↓' : '↑'}` : title;
}

function formatCells(
  placed: readonly Placed[],
  text: (id: ColumnId) => string,
  paint?: (id: ColumnId) => ((text: string) => string) | undefined,
): string {
  return placed
    .map(({ id, width }, index) => {
      const isLast = index === placed.length - 1;
      const cell =
        isLast && COLUMNS[id].align === 'left' ? cut(text(id), width) : toWidth(text(id), width, COLUMNS[id].align);
      return paint?.(id)?.(cell) ?? cell;
    })
    .join(' ');
}

function footOf({ rows }: Scene, state: TopState, width: number, page: number, palette: Palette): string {
  const first = clampFirst(state.first, { rows: rows.length, page });
  const last = Math.min(rows.length, first + page);
  const where = rows.length > page ? `${first + 1}-${last} of ${rows.length}` : '';
  const [keys] = flow(FOOTER, Math.max(1, width - where.length - 2));
  const pad = ' '.repeat(Math.max(2, width - columnsOf(keys!) - where.length));
  return palette.dim(`${keys}${where === '' ? '' : pad + where}`);
}

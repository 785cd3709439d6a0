/**
 * Plots as SVG text. Pure, and all that the page needs: ranges (a dot for the median, a line from least to most) and
 * lines over a number of targets, both with a plain or a logarithmic axis. Colours suit a light and a dark page.
 */
import type { Spread } from './statistics.ts';
import { figure } from './table.ts';

export type Scale = 'linear' | 'log';
/** Who is shown: hobbler, the floor, or a peer. */
export type Tone = 'ours' | 'floor' | 'peer';

export interface RangeRow {
  label: string;
  tone: Tone;
  /** Undefined: not measured, and said so. */
  spread: Spread | undefined;
}

export interface RangePlot {
  title: string;
  unit: string;
  scale: Scale;
  groups: { heading?: string; rows: RangeRow[] }[];
  /** A goal or an asked value, drawn across all rows. */
  mark?: { label: string; value: number };
}

const WIDTH = 760;
const LEFT = 250;
const RIGHT = 90;
const ROW = 22;
const TOP = 44;
const AXIS = 42;
const CHART_HEIGHT = 300;
/** Nothing that is measured here is smaller and not zero. */
const LEAST = 1e-6;

/** One row per contender. */
export function rangePlot({ title, unit, scale, groups, mark }: RangePlot): string {
  const spreads = groups.flatMap(({ rows }) => rows.flatMap((row) => row.spread ?? []));
  const values = [
    ...spreads.flatMap(({ median, least, most }) => [median, least, most]),
    ...(mark ? [mark.value] : []),
  ];
  const axis = axisFor(values, scale, LEFT, WIDTH - RIGHT);
  const parts: string[] = [];
  let y = TOP;
  for (const { heading, rows } of groups) {
    if (heading !== undefined) parts.push(text(8, y + 15, heading, 'class="heading"'));
    if (heading !== undefined) y += ROW;
    for (const row of rows) {
      parts.push(...rangeRow(row, y + ROW / 2, axis));
      y += ROW;
    }
  }
  const bottom = y + 4;
  if (mark) {
    const x = axis.at(mark.value);
    parts.push(`<line class="mark" x1="${x}" y1="${TOP - 6}" x2="${x}" y2="${bottom}"/>`);
    parts.push(text(x, TOP - 10, mark.label, 'text-anchor="middle"'));
  }
  return svg(title, bottom + AXIS, [...horizontalAxis(axis, TOP, bottom, unit), ...parts]);
}

function rangeRow({ label, tone, spread }: RangeRow, y: number, axis: Axis): string[] {
  const name = text(LEFT - 10, y + 4, label, 'text-anchor="end"');
  if (!spread) return [name, text(LEFT + 6, y + 4, 'not measured', 'class="none"')];
  const [least, middle, most] = [spread.least, spread.median, spread.most].map(axis.at) as [number, number, number];
  return [
    name,
    `<line class="stem ${tone}" x1="${LEFT}" y1="${y}" x2="${middle}" y2="${y}"/>`,
    `<line class="range ${tone}" x1="${least}" y1="${y}" x2="${most}" y2="${y}"/>`,
    `<circle class="${tone}" cx="${middle}" cy="${y}" r="4.5"/>`,
    text(Math.max(most, middle) + 9, y + 4, figure(spread.median)),
  ];
}

export interface Line {
  label: string;
  tone: Tone;
  points: { x: number; y: number }[];
}

/** One line per contender, over a logarithmic number of targets. */
export function linePlot(title: string, xUnit: string, yUnit: string, lines: readonly Line[]): string {
  const points = lines.flatMap((line) => line.points);
  const bottom = TOP + CHART_HEIGHT;
  const left = 60;
  const right = WIDTH - 230;
  const across = axisFor(points.map(({ x }) => x), 'log', left, right); // biome-ignore format: one thought
  const up = axisFor(points.map(({ y }) => y), 'log', bottom, TOP); // biome-ignore format: one thought
  const parts = up.ticks.flatMap((tick) => [
    `<line class="grid" x1="${left}" y1="${up.at(tick)}" x2="${right}" y2="${up.at(tick)}"/>`,
    text(left - 8, up.at(tick) + 4, tickText(tick), 'text-anchor="end"'),
  ]);
  const ends: number[] = [];
  for (const { label, tone, points: own } of lines) {
    if (own.length === 0) continue;
    const path = own.map(({ x, y }) => `${across.at(x)},${up.at(y)}`).join(' ');
    parts.push(`<polyline class="line ${tone}" points="${path}"/>`);
    for (const { x, y } of own) parts.push(`<circle class="${tone}" cx="${across.at(x)}" cy="${up.at(y)}" r="4"/>`);
    const last = own.at(-1)!;
    ends.push(freeHeight(up.at(last.y), ends));
    parts.push(text(across.at(last.x) + 10, ends.at(-1)! + 4, `${label}: ${figure(last.y)}`));
  }
  parts.push(text(8, TOP - 12, yUnit));
  return svg(title, bottom + AXIS, [...horizontalAxis(across, TOP, bottom, xUnit), ...parts]);
}

/** Labels at the ends of lines must not lie on one another. */
function freeHeight(wanted: number, taken: readonly number[]): number {
  let y = wanted;
  while (taken.some((other) => Math.abs(other - y) < 15)) y += 3;
  return round(y);
}

interface Axis {
  /** Where a value lies, in pixels. */
  at: (value: number) => number;
  ticks: number[];
}

/** An axis that begins at zero, or at the power of ten below the least value. Nothing measured: from 0 or 1 to 1 or 10. */
function axisFor(values: readonly number[], scale: Scale, from: number, to: number): Axis {
  const positive = values.filter((value) => value >= LEAST);
  if (scale === 'linear') {
    const ticks = linearTicks(Math.max(...positive, LEAST));
    const at = place(0, ticks.at(-1)!, from, to);
    return { at: (value) => at(Math.max(0, value)), ticks };
  }
  const low = Math.floor(Math.log10(Math.min(...(positive.length > 0 ? positive : [1]))));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive, LEAST))));
  const at = place(low, high, from, to);
  return {
    // Zero and less have no place on such an axis: they stand at its beginning.
    at: (value) => at(value >= LEAST ? Math.log10(value) : low),
    ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
  };
}

function place(low: number, high: number, from: number, to: number): (value: number) => number {
  return (value) => round(from + ((value - low) / (high - low)) * (to - from));
}

/** Four to eight round numbers from zero to at least `most`. */
function linearTicks(most: number): number[] {
  const rough = most / 5;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((candidate) => candidate >= rough)!;
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, index) => Number((index * step).toPrecision(6)));
}

function horizontalAxis({ at, ticks }: Axis, top: number, bottom: number, unit: string): string[] {
  const lines = ticks.flatMap((tick) => [
    `<line class="grid" x1="${at(tick)}" y1="${top}" x2="${at(tick)}" y2="${bottom}"/>`,
    text(at(tick), bottom + 16, tickText(tick), 'text-anchor="middle"'),
  ]);
  const middle = (at(ticks[0]!) + at(ticks.at(-1)!)) / 2;
  return [...lines, text(middle, bottom + 34, unit, 'text-anchor="middle"')];
}

function tickText(tick: number): string {
  return tick >= 1000 ? tick.toLocaleString('en') : String(Number(tick.toPrecision(3)));
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}

function text(x: number, y: number, words: string, attributes = ''): string {
  return `<text x="${x}" y="${y}"${attributes && ` ${attributes}`}>${escapeXml(words)}</text>`;
}

function escapeXml(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** No background: the page's own shows. Greys that can be read on both white and black, brighter where it is dark. */
const STYLE = `text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#57606a}
.heading,.title{font-weight:600;fill:#24292f}.title{font-size:14px}.none{font-style:italic}
.grid{stroke:#8c959f;stroke-opacity:.3}.mark{stroke:#cf222e;stroke-dasharray:4 3}
.stem{stroke-opacity:.35}.range{stroke-width:3;stroke-linecap:round;stroke-opacity:.6}.line{fill:none;stroke-width:2}
.ours{stroke:#0969da}circle.ours{fill:#0969da}.floor{stroke:#1a7f37}circle.floor{fill:#1a7f37}.peer{stroke:#6e7781}circle.peer{fill:#6e7781}
@media(prefers-color-scheme:dark){text{fill:#9da7b3}.heading,.title{fill:#e6edf3}.mark{stroke:#f85149}
.ours{stroke:#58a6ff}circle.ours{fill:#58a6ff}.floor{stroke:#3fb950}circle.floor{fill:#3fb950}.peer{stroke:#8b949e}circle.peer{fill:#8b949e}}`;

function svg(title: string, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${STYLE}</style>`,
    text(8, 18, title, 'class="title"'),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

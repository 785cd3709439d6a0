/**
 * A replay as a picture: a row for each of those who were slowed most, time from left to right, the darker the harsher.
 * Pure: courses in, the text of an SVG file out. Names come from readings, so they are escaped.
 */
import { runRatio } from '../../shared/order.ts';
import { lengthOf } from '../words.ts';
import { type Course, nameOf } from './replay-report.ts';

/** In pixels. */
const WIDTH = 1_000;
const NAMES = 220;
const ROW = 16;
const HEAD = 40;
const MAX_ROWS = 100;
const MAX_NAME_CHARS = 34;
/** Marks on the time axis, at most. */
const MARKS = 8;
const STEPS_MS = [1, 5, 15, 30, 60, 180, 360, 720, 1_440, 2_880, 10_080].map((minutes) => minutes * 60_000);

/** Draws the first rows of `courses` between two moments, milliseconds since 1970. */
export function drawReplay(courses: readonly Course[], fromMs: number, untilMs: number): string {
  const rows = courses.slice(0, MAX_ROWS);
  const spanMs = Math.max(1, untilMs - fromMs);
  const x = (atMs: number) => round(NAMES + ((Math.max(fromMs, atMs) - fromMs) / spanMs) * (WIDTH - NAMES));
  const height = HEAD + Math.max(1, rows.length) * ROW + 8;
  const marks = marksBetween(fromMs, untilMs).flatMap((atMs) => [
    `<line x1="${x(atMs)}" x2="${x(atMs)}" y1="${HEAD - 6}" y2="${height}" stroke="#ddd"/>`,
    `<text x="${x(atMs) + 2}" y="${HEAD - 10}" fill="#666">${label(atMs)}</text>`,
  ]);
  const bars = rows.flatMap((course, index) => {
    const y = HEAD + index * ROW;
    const name = nameOf(course);
    const shown = name.length > MAX_NAME_CHARS ? `${name.slice(0, MAX_NAME_CHARS - 1)}…` : name;
    return [
      `<text x="${NAMES - 6}" y="${y + 11}" text-anchor="end">${escaped(shown)}</text>`,
      ...course.spans.map(({ fromMs: startMs, toMs, hobble }) => {
        const width = Math.max(1, round(x(toMs) - x(startMs)));
        const told = `${name}: ${hobble.runMs} of ${hobble.runMs + hobble.stopMs} ms for ${lengthOf(toMs - startMs)}`;
        return `<rect x="${x(startMs)}" y="${y + 2}" width="${width}" height="${ROW - 5}" fill="${shade(runRatio(hobble))}"><title>${escaped(told)}</title></rect>`;
      }),
    ];
  });
  const more = courses.length > rows.length ? `, the ${rows.length} slowed most` : '';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="10">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="6" y="14" font-size="12">${courses.length} slowed between ${iso(fromMs)} and ${iso(untilMs)}${more}</text>`,
    ...marks,
    ...bars,
    '</svg>\n',
  ].join('\n');
}

function marksBetween(fromMs: number, untilMs: number): number[] {
  const stepMs = STEPS_MS.find((step) => (untilMs - fromMs) / step <= MARKS) ?? Math.ceil((untilMs - fromMs) / MARKS);
  const marks: number[] = [];
  for (let atMs = Math.ceil(fromMs / stepMs) * stepMs; atMs <= untilMs; atMs += stepMs) marks.push(atMs);
  return marks;
}

/** From amber, for who may run half of the time, to dark red. */
function shade(ratio: number): string {
  const harshness = 1 - Math.min(1, ratio * 2);
  return `hsl(${Math.round(40 - 40 * harshness)} 80% ${Math.round(60 - 25 * harshness)}%)`;
}

function label(atMs: number): string {
  return new Date(atMs).toISOString().slice(5, 16).replace('T', ' ');
}

function iso(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 16).replace('T', ' ');
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}

/** Also of what XML cannot hold at all. */
function escaped(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\uFFFE\uFFFF]/gu, '?')
    .replace(/[&<>"]/g, (character) => entities[character]!);
}

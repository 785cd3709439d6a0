/**
 * An account's course as a plot: use against each limit as lines, where it was slowed as bands, changes as marks. Pure. The
 * plot is stretched to its place, so all words stand beside it in HTML; what it shows is also there as a table.
 */
import type { AccountReading } from '../fleet/account.ts';
import { exactTime } from './format.ts';
import { type Html, html } from './html.ts';

const WIDTH = 1_000;
const HEIGHT = 240;
/** Lines of different colours; further limits have none. */
export const MAX_LINES = 4;
/** Less than twice the limit is drawn in scale; beyond this the line leaves the plot. */
const MOST_RATIO = 4;
/** A band of a moment is still seen. */
const MIN_BAND = 3;

export interface Line {
  name: string;
  points: { atMs: number; ratio: number }[];
}

export interface Band {
  fromMs: number;
  toMs: number;
  level: number | null;
  words: string;
}

export interface Course {
  fromMs: number;
  untilMs: number;
  lines: Line[];
  bands: Band[];
  /** What the top of the plot stands for, as a multiple of the limit. */
  mostRatio: number;
}

/** The course of one subject of the account until now; null when there is nothing to draw. */
export function courseOf(history: AccountReading['history'], nowMs: number): Course | null {
  const first = history[0];
  if (!first) return null;
  const byLimit = new Map<string, Line>();
  const bands: Band[] = [];
  let open: Band | null = null;
  for (const entry of history) {
    if (entry.kind === 'reading') {
      const line = byLimit.get(entry.limit) ?? { name: entry.limit, points: [] };
      byLimit.set(entry.limit, line);
      line.points.push({ atMs: entry.atMs, ratio: entry.used / entry.of });
      continue;
    }
    if (open) bands.push({ ...open, toMs: entry.atMs });
    const { hobble, level } = entry;
    open = hobble && {
      ...{ fromMs: entry.atMs, toMs: nowMs, level },
      words: `${hobble.runMs} of ${hobble.runMs + hobble.stopMs} ms${level === null ? '' : `, level ${level}`}`,
    };
  }
  if (open) bands.push(open);
  const lines = [...byLimit.values()].slice(0, MAX_LINES);
  const highest = Math.max(1.25, ...lines.flatMap(({ points }) => points.map(({ ratio }) => ratio * 1.08)));
  return {
    fromMs: first.atMs,
    untilMs: Math.max(nowMs, first.atMs + 60_000),
    lines,
    bands,
    mostRatio: Math.min(MOST_RATIO, highest),
  };
}

export function timeline(account: string, course: Course): Html {
  const { fromMs, untilMs, lines, bands, mostRatio } = course;
  const x = (atMs: number) => round(((atMs - fromMs) / (untilMs - fromMs)) * WIDTH);
  const y = (ratio: number) => round(HEIGHT * (1 - Math.min(ratio, mostRatio) / mostRatio));
  const limitY = y(1);
  const drawnBands = bands.map(({ fromMs: startMs, toMs, level, words }) => {
    const width = Math.max(MIN_BAND, round(x(toMs) - x(startMs)));
    return html`<rect class="slowed l${Math.min(level ?? 1, 4)}" x="${x(startMs)}" y="0" width="${width}" height="${HEIGHT}"><title>slowed to ${words}, ${clock(startMs)} to ${clock(toMs)}</title></rect>`;
  });
  const drawnLines = lines.map(
    ({ points }, index) =>
      html`<polyline class="use u${index}" points="${steps(points, x, y, untilMs)}" vector-effect="non-scaling-stroke"/>`,
  );
  const summary = summaryOf(account, course);
  return html`<figure class="timeline"><div class="plot"><span class="scale top">${percentOf(mostRatio)}</span><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${summary}">
${drawnBands}
<line class="limit" x1="0" x2="${WIDTH}" y1="${limitY}" y2="${limitY}" vector-effect="non-scaling-stroke"/>
${drawnLines}</svg></div>
<div class="times" aria-hidden="true">${marks(fromMs, untilMs).map((atMs) => html`<span>${clock(atMs)}</span>`)}</div>
<figcaption>${lines.map(({ name }, index) => html`<span class="key u${index}">${name}</span>`)}<span class="key limit">the limit</span>${bands.length > 0 && html`<span class="key slowed">slowed</span>`}</figcaption></figure>`;
}

/** What the plot says, for who cannot see it; the table has the rest. */
function summaryOf(account: string, { fromMs, untilMs, lines, bands }: Course): string {
  const uses = lines.map(({ name, points }) => `${name} at ${percentOf(points.at(-1)!.ratio)} of its limit`);
  const slowed = bands.length === 0 ? 'not slowed' : `slowed ${bands.length === 1 ? 'once' : `${bands.length} times`}`;
  return `${account} from ${clock(fromMs)} to ${clock(untilMs)}: ${[...uses, slowed].join(', ')}`;
}

/** A reading holds until the next one. */
function steps(
  points: Line['points'],
  x: (atMs: number) => number,
  y: (ratio: number) => number,
  untilMs: number,
): string {
  const drawn: string[] = [];
  for (const [index, { atMs, ratio }] of points.entries()) {
    const next = points[index + 1];
    drawn.push(`${x(atMs)},${y(ratio)}`);
    // A fall is a window that starts anew, which happens at once.
    if (next && next.ratio < ratio) drawn.push(`${x(next.atMs)},${y(ratio)}`);
  }
  const last = points.at(-1)!;
  drawn.push(`${x(untilMs)},${y(last.ratio)}`);
  return drawn.join(' ');
}

function marks(fromMs: number, untilMs: number): number[] {
  return [0, 1, 2, 3].map((part) => fromMs + ((untilMs - fromMs) * part) / 3);
}

function clock(atMs: number): string {
  return exactTime(atMs)?.words.slice(5, 16) ?? 'unknown';
}

function percentOf(ratio: number): string {
  return `${Math.round(ratio * 100)} %`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

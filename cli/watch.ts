/**
 * What `top` and `status --watch` share: how often they may look, and how a screen is redrawn from its top, over what was
 * there and never further than it goes. Pure.
 */
import { parseDurationMs } from '../shared/duration.ts';
import { HobblerError } from '../shared/errors.ts';
import { count, cut } from './print.ts';

/** More often costs Redis more than it tells anybody: workers report once a second. Longer is a matter for cron. */
const SHORTEST_MS = 100;
const LONGEST_MS = 3_600_000;

/** A parser of the time between two looks. Throws invalid-input. */
export function parseInterval(where: string): (text: string) => number {
  return (text) => {
    const everyMs = parseDurationMs(text, where);
    if (everyMs >= SHORTEST_MS && everyMs <= LONGEST_MS) return everyMs;
    throw new HobblerError('invalid-input', 'not a time between two looks', {
      where,
      expected: '100ms to 1h',
      got: text,
    });
  };
}

/** A terminal that does not say its size. */
const DEFAULT_WIDTH = 80;
const DEFAULT_HEIGHT = 24;

/** What to write so that these lines are all that the screen shows; the cursor ends below them. */
export function fitScreen(lines: readonly string[], size: { columns?: number; rows?: number }): string {
  const width = size.columns || DEFAULT_WIDTH;
  const height = size.rows || DEFAULT_HEIGHT;
  const room = Math.max(1, height - 1); // the cursor stands on the last line
  const shown = lines.length <= room ? [...lines] : lines.slice(0, room - 1);
  const more = lines.length - shown.length;
  if (more > 0) shown.push(`… and ${count(more, 'more line')}; hobbler top scrolls`);
  // Each line wipes what is left of the old one, and the last one all below: nothing flickers.
  return `\u001b[H${shown.map((line) => `${cut(line, width)}\u001b[K\n`).join('')}\u001b[J`;
}

/**
 * `top` on a terminal: reads the fleet at its interval, redraws on keys, sizes and time, until somebody quits. Wires the
 * feed, the model, the frame and the screen; what each does is its own affair.
 */
import type { ReadStream, WriteStream } from 'node:tty';
import type { Clock } from '../../shared/clock.ts';
import type { Palette } from '../print.ts';
import type { FleetFeed, Look } from './feed.ts';
import { type Picture, pictureOf, renderFrame, type Scene, selectRows } from './frame.ts';
import { type Bounds, press, type TopState } from './model.ts';
import type { TargetRow } from './rows.ts';
import { Screen } from './screen.ts';

/** Ages go on being counted while nothing new comes, milliseconds. */
const TICK_MS = 1_000;

export interface LiveParts {
  feed: FleetFeed;
  first: Look;
  state: TopState;
  everyMs: number;
  clock: Clock;
  palette: Palette;
  input: ReadStream;
  output: WriteStream;
}

/** Runs until a key, a signal or the end of the terminal ends it. Rejects with what no picture can be drawn for. */
export async function runLive({ feed, first, everyMs, clock, palette, input, output, ...parts }: LiveParts) {
  const ended = Promise.withResolvers<void>();
  const end = () => ended.resolve();
  let state = parts.state;
  let picture = pictureOf(first);
  const select = memoizeSelection();
  let bounds: Bounds = { rows: 0, page: 0, showsHost: feed.host === undefined };

  const draw = () => {
    if (feed.look && feed.look !== picture.look && !state.isPaused) picture = pictureOf(feed.look);
    const rows = select(picture, state);
    const { failure, host } = feed;
    const ageMs = clock.monotonicMs() - picture.look.atMs;
    const scene: Scene = { picture, rows, host, everyMs, ageMs, failure, wallMs: clock.wallMs() };
    const { lines, page } = renderFrame(scene, state, screen.size, palette);
    bounds = { ...bounds, rows: rows.length, page };
    screen.paint(lines);
  };
  const look = async () => {
    if (state.isPaused) return;
    await feed.read();
    draw();
  };
  const screen = new Screen(input, output, clock, {
    onKey: (key) => {
      const wasPaused = state.isPaused;
      const pressed = press(state, key, bounds);
      state = pressed.state;
      if (pressed.act === 'quit') return end();
      if (pressed.act === 'suspend') return screen.suspend();
      if (pressed.act === 'redraw') screen.forget();
      draw();
      if (wasPaused && !state.isPaused) void look().catch(ended.reject);
    },
    onChange: draw,
    onEnd: end,
  });

  screen.open();
  const reading = clock.every(everyMs, () => look().catch(ended.reject));
  const ticking = clock.every(TICK_MS, draw);
  try {
    draw();
    await ended.promise;
  } finally {
    reading.cancel();
    ticking.cancel();
    screen.close();
  }
}

/** Rows are filtered and sorted anew only when the picture, the filter or the order has changed. */
function memoizeSelection(): (picture: Picture, state: TopState) => readonly TargetRow[] {
  let last: { picture: Picture; state: TopState; rows: readonly TargetRow[] } | undefined;
  return (picture, state) => {
    const isSame =
      last?.picture === picture &&
      last.state.filter === state.filter &&
      last.state.sort === state.sort &&
      last.state.isReversed === state.isReversed;
    if (!isSame) last = { picture, state, rows: selectRows(picture, state) };
    return last!.rows;
  };
}

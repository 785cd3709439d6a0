/**
 * `top`: the tarpit as it is now, as top(1) shows processes: a table that refreshes, with keys, on a terminal; else, or
 * with -n, plain frames for pipes and scripts. Reads only.
 */
import { type Command, Option } from 'commander';
import type { Finish } from '../cli.ts';
import { sleep } from '../shared/clock.ts';
import { HobblerError } from '../shared/errors.ts';
import { type Cli, parseHost, Settings } from './context.ts';
import { EXIT } from './exit.ts';
import { parseWhole } from './options.ts';
import { exitCodeOfView } from './problems.ts';
import { COLUMN_IDS, type ColumnId } from './top/columns.ts';
import type { FleetFeed } from './top/feed.ts';
import { pictureOf, renderFrame, selectRows } from './top/frame.ts';
import { FIRST_STATE, type TopState } from './top/model.ts';
import { parseInterval } from './watch.ts';

interface TopOptions {
  host?: string;
  every: number;
  once?: boolean;
  frames?: number;
  sort: ColumnId;
  reverse?: boolean;
  filter: string;
}

const DEFAULT_EVERY = '1s';

export function addTopCommand(program: Command, cli: Cli, finish: Finish): void {
  program
    .command('top')
    .description('the tarpit live: hosts, targets, asked and measured share, as top(1) shows processes')
    .option('--host <name>', 'this host only')
    .addOption(
      new Option('--every <duration>', 'between two looks, 100ms to 1h')
        .argParser(parseInterval('--every'))
        .default(parseInterval('--every')(DEFAULT_EVERY), DEFAULT_EVERY),
    )
    .addOption(new Option('--sort <column>', 'which column to sort by').choices(COLUMN_IDS).default('got'))
    .option('--reverse', 'the other way round')
    .option('--filter <text>', 'only rows in which every word is found', '')
    .option('-n, --frames <number>', 'print so many plain frames and end', parseWhole('--frames'))
    .addOption(new Option('--once', 'print one plain frame and end').conflicts('frames'))
    .addHelpText(
      'after',
      `\nKeys: q quit, h help, / filter, < > sort, r reverse, space pause, arrows and page keys scroll.
Where input or output is no terminal it prints plain frames, with every target, until it is ended.
Exit code with -n and --once, by the last frame: 0 all is well; 1 something is wrong, as for \`hobbler status\`; 3 Redis
is away, or no such host. While Redis is away it shows the last picture, and its age.`,
    )
    .action(async (options: TopOptions, command: Command) => {
      const settings = new Settings(command, cli);
      finish(await runTop(cli, settings, options));
    });
}

async function runTop(cli: Cli, settings: Settings, options: TopOptions): Promise<number> {
  const frames = options.once ? 1 : options.frames;
  if (frames === 0) {
    throw new HobblerError('invalid-input', 'no frame at all', { where: '--frames', expected: '1 or more', got: 0 });
  }
  const host = options.host === undefined ? undefined : parseHost(options.host);
  const state: TopState = {
    ...FIRST_STATE,
    sort: options.sort,
    isReversed: options.reverse ?? false,
    filter: options.filter,
  };
  const { withRedis } = await import('./redis.ts');
  const { FleetFeed } = await import('./top/feed.ts');
  return withRedis(settings, async (redis) => {
    const feed = new FleetFeed(redis, cli.clock, host);
    const first = await feed.begin();
    if (host !== undefined && first.view.hosts.length === 0) {
      cli.note(`hobbler: no worker has ever reported as ${host}`);
      return EXIT.unavailable;
    }
    const isLive = frames === undefined && cli.isTerminal && process.stdin.isTTY === true;
    if (!isLive) return printFrames(cli, feed, state, options.every, frames ?? Number.POSITIVE_INFINITY);
    const { runLive } = await import('./top/live.ts');
    await runLive({
      feed,
      first,
      state,
      everyMs: options.every,
      clock: cli.clock,
      palette: cli.palette,
      input: process.stdin,
      output: process.stdout,
    });
    return EXIT.ok;
  });
}

/** Prints frames after a first look that succeeded. Returns the exit code that the last one asks for. */
async function printFrames(
  cli: Cli,
  feed: FleetFeed,
  state: TopState,
  everyMs: number,
  frames: number,
): Promise<number> {
  const { clock } = cli;
  for (let number = 1; ; number++) {
    const look = feed.look!;
    const picture = pictureOf(look);
    const scene = {
      picture,
      rows: selectRows(picture, state),
      host: feed.host,
      everyMs,
      ageMs: clock.monotonicMs() - look.atMs,
      failure: feed.failure,
      wallMs: clock.wallMs(),
    };
    // Into a pipe nothing is cut: what reads it has its own idea of width.
    const width = (cli.isTerminal && process.stdout.columns) || Number.POSITIVE_INFINITY;
    const { lines } = renderFrame(scene, state, { width, height: Number.POSITIVE_INFINITY }, cli.palette);
    cli.out(`${number > 1 ? '\n' : ''}${lines.map((line) => line.trimEnd()).join('\n')}`);
    if (number >= frames) return feed.failure === undefined ? exitCodeOfView(look.view) : EXIT.unavailable;
    await sleep(clock, everyMs);
    await feed.read();
  }
}

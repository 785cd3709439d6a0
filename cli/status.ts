/**
 * `status`: the fleet as its workers report it, for people or as JSON, and whether something is wrong, as an exit code for
 * scripts; with --local, whether this host's own worker is alive, from its local files alone, which is what a health
 * check asks. Reads only. What it says is status-words.ts.
 */
import type { Command } from 'commander';
import type { Finish } from '../cli.ts';
import { HobblerError } from '../shared/errors.ts';
import type { FleetView } from '../shared/redis/fleet.ts';
import { type Cli, parseHost, Settings } from './context.ts';
import { EXIT } from './exit.ts';
import { readLocalState } from './local-state.ts';
import { formatAge, plain } from './print.ts';
import { exitCodeOfView, problemsOf } from './problems.ts';
import { formatFleet } from './status-words.ts';
import { fitScreen, parseInterval } from './watch.ts';

interface StatusOptions {
  json?: boolean;
  local?: boolean;
  host?: string;
  /** Milliseconds; true: the default. */
  watch?: number | true;
}

const DEFAULT_WATCH_MS = 1_000;

export function addStatusCommand(program: Command, cli: Cli, finish: Finish): void {
  program
    .command('status')
    .description('hosts, targets and holds, as the workers report them; exit code 1 when something is wrong')
    .option('--host <name>', 'this host only, with its mechanisms')
    .option('--local', "this machine's worker, by its local files, without Redis; exit code 1 when it is not alive")
    .option('--watch [duration]', 'again and again, until Ctrl-C (default: every 1s)', parseInterval('--watch'))
    .option('--json', 'print everything as JSON; with --watch one line each time')
    .addHelpText(
      'after',
      `\nExamples:
  hobbler status || page-somebody
  hobbler status --host web-1 --watch
  hobbler status --json | jq -r '.hosts[].reports[] | select(.effective == false) | .target'
Shares are of one core: before the hobble, asked, got over the last seconds, and what the worker spends on it (cost).
? is not known; ! has no effect; * the period is longer than asked, to save cost.
Exit codes:
  0  all is well
  1  something is wrong: a host late or lost, a guard dead, an order denied, refused or unsupported, a target that does
     not slow down, a record that cannot be read. A hold is not: somebody asked for it
  3  Redis does not answer, or no worker has ever reported`,
    )
    .action(async (options: StatusOptions, command: Command) => {
      const settings = new Settings(command, cli);
      if (options.local && options.watch !== undefined) {
        throw new HobblerError('invalid-input', 'not both', { where: '--local, --watch', hint: 'use watch(1)' });
      }
      finish(options.local ? showLocal(cli, settings, options) : await showFleet(cli, settings, options));
    });
}

function showLocal(cli: Cli, settings: Settings, { json }: StatusOptions): number {
  const state = readLocalState(settings.stateDir, cli.clock);
  if (json) cli.out(JSON.stringify(state, null, 2));
  else {
    const beat = state.beatAgeMs === null ? 'never heard' : `heard ${formatAge(state.beatAgeMs)} ago`;
    cli.out(`${state.isAlive ? 'alive' : 'not alive'}: ${state.why}; its guard last ${beat}`);
    if (state.hold !== null) cli.out(`held locally: ${plain(state.hold)}`);
  }
  return state.isAlive ? EXIT.ok : EXIT.failed;
}

async function showFleet(cli: Cli, settings: Settings, options: StatusOptions): Promise<number> {
  const host = options.host === undefined ? undefined : parseHost(options.host);
  const { withRedis } = await import('./redis.ts');
  const { FleetFeed, readView } = await import('./top/feed.ts');
  return withRedis(settings, async (redis) => {
    if (options.watch !== undefined) return watchFleet(cli, new FleetFeed(redis, cli.clock, host), options);
    const view = await readView(redis, host);
    const isUnknown = host !== undefined && view.hosts.length === 0;
    if (options.json) cli.out(JSON.stringify(withProblems(view), null, 2));
    else if (!isUnknown) cli.out(linesOf(cli, view, host).join('\n'));
    if (isUnknown) cli.note(`hobbler: no worker has ever reported as ${host}`);
    return exitCodeOfView(view);
  });
}

/** Shows it until a signal ends the process; there is nothing to put in order then. */
async function watchFleet(
  cli: Cli,
  feed: import('./top/feed.ts').FleetFeed,
  { json, watch }: StatusOptions,
): Promise<never> {
  const everyMs = typeof watch === 'number' ? watch : DEFAULT_WATCH_MS;
  await feed.begin();
  const failed = Promise.withResolvers<never>();
  const show = () => {
    const { view, atMs } = feed.look!;
    if (json) {
      // A line that is not there says that Redis was away; one that is, is true.
      if (feed.failure === undefined) cli.out(JSON.stringify(withProblems(view)));
      return;
    }
    const lines = linesOf(cli, view, feed.host);
    if (feed.failure !== undefined) {
      const age = formatAge(cli.clock.monotonicMs() - atMs);
      lines.unshift(cli.palette.red(`Redis cannot be read (${plain(feed.failure)}): this picture is ${age} old`));
    }
    if (cli.isTerminal) process.stdout.write(fitScreen(lines, process.stdout));
    else cli.out(`${lines.join('\n')}\n`);
  };
  show();
  cli.clock.every(everyMs, () => feed.read().then(show).catch(failed.reject));
  return failed.promise;
}

function withProblems(view: FleetView) {
  return { ...view, problems: problemsOf(view) };
}

function linesOf(cli: Cli, view: FleetView, host: string | undefined): string[] {
  const width = (cli.isTerminal && process.stdout.columns) || Number.POSITIVE_INFINITY;
  return formatFleet(view, cli.palette, { width, isOneHost: host !== undefined });
}

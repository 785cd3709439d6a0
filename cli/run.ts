/**
 * `run`: hobbles processes of this machine in the foreground, with no Redis and no orders, as cpulimit does. However it
 * ends, everything that it stopped runs again; the guard sees to that even when it is killed.
 */
import type { Command } from 'commander';
import type { Finish } from '../cli.ts';
import type { Clock } from '../shared/clock.ts';
import { HobblerError } from '../shared/errors.ts';
import type { Hobble } from '../shared/order.ts';
import { formatTarget, type Target } from '../shared/target.ts';
import { hobbleLocally, type LocalRow, type LocalSummary } from '../worker/local.ts';
import { Proc } from '../worker/process/proc.ts';
import { endCommand, startCommand } from './command.ts';
import { type Cli, Settings } from './context.ts';
import { EXIT } from './exit.ts';
import { addHobbleOptions, type HobbleOptions, parseDuration, parseHobble } from './options.ts';
import { formatLive, formatSummary } from './run-words.ts';
import { parseLocalTarget } from './target.ts';

interface RunOptions extends HobbleOptions {
  for?: number;
  quiet?: boolean;
  json?: boolean;
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

export function addRunCommand(program: Command, cli: Cli, finish: Finish): void {
  addHobbleOptions(
    program
      .command('run')
      .description('hobble processes of this machine until Ctrl-C, with no Redis')
      .argument('[target...]', 'pid, user:NAME, uid:NUMBER or cgroup:/PATH; or after --: a command to run')
      .usage('[options] <target...>\n       hobbler run [options] -- <command> [args...]'),
  )
    .option('--for <duration>', 'end by itself after this time', parseDuration('--for'))
    .option('-q, --quiet', 'no live line and no summary')
    .option('--json', 'print the summary as JSON')
    .addHelpText(
      'after',
      `\nExamples:
  hobbler run 4242                              (that process with its whole tree, at 10 of 210 ms: 4.8 % of a core)
  hobbler run --run-ms 50 user:alice user:bob
  hobbler run -- sh -c 'while :; do :; done'
Your own processes, or as root anybody's; never hobbler's own ancestors. Exit code: of the command, where one is run
(126, 127: it cannot be run; 128+N: ended by signal N); else 0 when it ended by Ctrl-C, --for, or the targets' end.
Ctrl-C lets everything go, then ends the command and all that it started. One hobbler per machine: where a worker
runs, give it an order (hobbler tarpit).`,
    )
    .action(async (operands: string[], options: RunOptions, command: Command) => {
      const settings = new Settings(command, cli);
      const { targets, commandArgs } = splitOperands(operands, cli.args);
      const hobble = parseHobble(options);
      finish(
        commandArgs === undefined
          ? await runTargets(cli, settings, targets, hobble, options)
          : await runCommand(cli, settings, commandArgs, hobble, options),
      );
    });
}

/** Tells targets from a command, which follows a `--`. Throws invalid-input for neither and for both. */
export function splitOperands(
  operands: readonly string[],
  args: readonly string[],
): { targets: readonly string[]; commandArgs: readonly string[] | undefined } {
  const dashes = args.indexOf('--');
  const commandArgs = dashes < 0 ? undefined : args.slice(dashes + 1);
  const targets = commandArgs === undefined ? operands : operands.slice(0, operands.length - commandArgs.length);
  const fail = (what: string) =>
    new HobblerError('invalid-input', what, {
      where: 'run',
      expected: 'targets, or -- and a command',
      hint: 'such as: hobbler run 4242, or: hobbler run -- make -j8',
    });
  if (commandArgs !== undefined && targets.length > 0) throw fail('targets and a command at once');
  if (commandArgs?.length === 0 || (commandArgs === undefined && targets.length === 0)) throw fail('nothing to hobble');
  return { targets, commandArgs };
}

async function runTargets(
  cli: Cli,
  settings: Settings,
  texts: readonly string[],
  hobble: Hobble,
  options: RunOptions,
): Promise<number> {
  const proc = new Proc();
  const targets = texts.map((text) => parseLocalTarget(text, proc));
  if (!options.quiet) cli.note(`hobbling ${targets.map(formatTarget).join(', ')}; Ctrl-C ends it`);
  const signals = catchSignals(cli.clock);
  try {
    const summary = await hobbleUntil(cli, settings, targets, hobble, options, signals.first);
    report(cli, summary, options, cli.out);
    return summary.rows.every(({ status }) => status === 'denied') ? EXIT.failed : EXIT.ok;
  } finally {
    signals.off();
  }
}

async function runCommand(
  cli: Cli,
  settings: Settings,
  args: readonly string[],
  hobble: Hobble,
  options: RunOptions,
): Promise<number> {
  const proc = new Proc();
  const signals = catchSignals(cli.clock);
  const command = await startCommand(args, proc);
  const target: Target = { kind: 'pid', pid: command.pid, startTicks: command.startTicks };
  try {
    const until = Promise.race([signals.first, command.ended]);
    const summary = await hobbleUntil(cli, settings, [target], hobble, options, until, () => command.openGate());
    // Everything runs again here, so that it can act on the signal. After --for it runs on by itself, and we wait.
    const signal = await Promise.race([signals.first, command.ended.then(() => undefined)]);
    if (signal !== undefined) {
      const wasToldByTerminal = process.stdin.isTTY === true && (signal === 'SIGINT' || signal === 'SIGQUIT');
      await endCommand(command, signal, { proc, clock: cli.clock, hurry: signals.second, wasToldByTerminal });
    }
    report(cli, summary, options, options.json ? cli.out : cli.note);
    return await command.ended;
  } catch (error) {
    command.giveUp();
    await command.ended;
    throw error;
  } finally {
    signals.off();
  }
}

async function hobbleUntil(
  cli: Cli,
  settings: Settings,
  targets: readonly Target[],
  hobble: Hobble,
  options: RunOptions,
  until: Promise<unknown>,
  onStart?: () => void,
): Promise<LocalSummary> {
  const { clock } = cli;
  const isLive = process.stderr.isTTY === true && !options.quiet;
  const clearLine = '\r\u001b[K';
  const timeUp = new Promise<void>((resolve) => {
    if (options.for !== undefined) clock.after(options.for, resolve);
  });
  const onReport = (rows: LocalRow[]) =>
    process.stderr.write(`${clearLine}${formatLive(rows, process.stderr.columns ?? 80)}`);
  try {
    return await hobbleLocally({
      targets,
      hobble,
      every: hobble.every ?? false,
      stateDir: settings.stateDir,
      clock,
      log: settings.createQuietLog('run'),
      until: Promise.race([until, timeUp]),
      ...(onStart === undefined ? {} : { onStart }),
      ...(isLive ? { onReport } : {}),
    });
  } finally {
    if (isLive) process.stderr.write(clearLine);
  }
}

function report(cli: Cli, summary: LocalSummary, { quiet, json }: RunOptions, write: (text: string) => void): void {
  if (json) cli.out(JSON.stringify(summary, null, 2));
  else if (!quiet) for (const line of formatSummary(summary)) write(line);
}

interface Signals {
  first: Promise<NodeJS.Signals>;
  second: Promise<NodeJS.Signals>;
  off(): void;
}

/** The wrapper for old Nodes and the terminal may both send the same Ctrl-C: within so many milliseconds that is one. */
const SAME_WITHIN_MS = 300;

/** Catches what ends us. */
function catchSignals(clock: Clock): Signals {
  const first = Promise.withResolvers<NodeJS.Signals>();
  const second = Promise.withResolvers<NodeJS.Signals>();
  let firstAtMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    const nowMs = clock.monotonicMs();
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      first.resolve(signal);
    } else if (nowMs - firstAtMs > SAME_WITHIN_MS) second.resolve(signal);
  };
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  return {
    first: first.promise,
    second: second.promise,
    off: () => {
      for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
    },
  };
}

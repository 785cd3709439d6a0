/**
 * The demo: the whole system on this machine, from a reading to a process that slows down and is let go, on processes of
 * its own. It puts the parts together, and says at the end whether what hobbler promises came about, by its exit code
 * too. Works for any user: what it may stop is its own.
 */
import type { Cli, Settings } from '../cli/context.ts';
import { describeError, EXIT, exitCodeOf } from '../cli/exit.ts';
import { formatRatio } from '../cli/print.ts';
import { runAndTell } from '../cli/running.ts';
import { Proc } from '../worker/process/proc.ts';
import { checkLeftovers } from './leftovers.ts';
import { Play } from './play.ts';
import { formatPromises, formatRates, Screen } from './screen.ts';
import { judgeRates, type Rates, ratesOf } from './story.ts';
import { ACCOUNTS, type DemoSystem, GREEDY, prepareSystem } from './system.ts';

export interface DemoOptions {
  cli: Cli;
  settings: Settings;
  keep: boolean;
  json: boolean;
}

export async function runDemo({ cli, settings, keep, json }: DemoOptions): Promise<number> {
  const { clock, palette } = cli;
  const log = settings.createQuietLog('demo');
  const proc = new Proc();
  const system = await prepareSystem({ redisUrl: settings.givenRedisUrl, keep, clock, log });
  // With --json stdout is for the summary alone.
  const say = json ? cli.note : cli.out;
  const isLive = !json && cli.isTerminal;
  const screen = new Screen((text) => (json ? process.stderr : process.stdout).write(text), isLive, palette);
  const play = new Play({
    system,
    proc,
    clock,
    screen,
    keep,
    onWhole: () => {
      if (!keep) return;
      screen.settle();
      say(formatRates(measure(play)).join('\n'));
      say(`admin: ${system.adminUrl()} (log in as ${system.adminLogin}); it goes on until Ctrl-C`);
    },
  });
  greet(say, system);
  const { failure } = await runAndTell([...system.services, play], clock, log, play.over);
  const leftovers = await checkLeftovers(proc, {
    ...play.traces,
    paths: [
      system.dir,
      ...(system.redisUrl.startsWith('unix:') && !system.isRedisGiven ? [new URL(system.redisUrl).pathname] : []),
    ],
  });
  if (failure !== undefined) {
    cli.note(describeError(failure));
    for (const line of formatPromises([leftovers], palette)) cli.note(line);
    return exitCodeOf(failure);
  }
  if (!play.isWhole) {
    say('ended before its end; everything was let go');
    for (const line of formatPromises([leftovers], palette)) say(line);
    return EXIT.failed;
  }
  const rates = measure(play);
  const promises = [...judgeRates(GREEDY, ACCOUNTS.slice(1), rates), leftovers];
  const isKept = promises.every((one) => one.isKept);
  if (json) {
    const limit = system.rules.limits.default ?? null;
    cli.out(
      JSON.stringify(
        { ok: isKept, redis: system.redisWords, limit, rates, promises, ownCpuRatio: play.ownCpuRatio },
        null,
        2,
      ),
    );
  } else {
    if (!keep) cli.out(`\n${formatRates(rates).join('\n')}`);
    cli.out(`\n${formatPromises(promises, palette).join('\n')}`);
    cli.out(`\nAll of hobbler and this demo, in one process, used ${formatRatio(play.ownCpuRatio)} of a core.`);
  }
  return isKept ? EXIT.ok : EXIT.failed;
}

function greet(say: (text: string) => void, { redisWords, rules }: DemoSystem): void {
  const limit = rules.limits.default;
  const window = limit?.window?.kind === 'every' ? `${limit.window.everyMs / 1000} s` : 'day';
  say(`Redis: ${redisWords}.`);
  say(
    `Three accounts, each a shell with three children that work, may use ${limit?.used} CPU seconds in a window of ${window}. ` +
      `${GREEDY} takes all that a core gives; ${ACCOUNTS.slice(1).join(' and ')} take a fifth of one. It takes about half a minute.\n`,
  );
}

function measure(play: Play): Record<string, Rates> {
  return Object.fromEntries(ACCOUNTS.map((account) => [account, ratesOf(play.cycle, account)]));
}

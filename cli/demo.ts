/** `demo`: the whole system on this machine, on processes of its own. What it shows is demo/'s affair. */
import type { Command } from 'commander';
import type { Finish } from '../cli.ts';
import { type Cli, Settings } from './context.ts';

interface DemoOptions {
  keep?: boolean;
  json?: boolean;
}

export function addDemoCommand(program: Command, cli: Cli, finish: Finish): void {
  program
    .command('demo')
    .description('see it work: three accounts, one over its limit, in about half a minute')
    .option('--keep', 'go on after the summary until Ctrl-C, with the admin page')
    .option('--json', 'print the summary as JSON')
    .addHelpText(
      'after',
      `\nStarts its own processes, meters and slows only those, and leaves nothing behind. Needs no root, no Docker, and no
Redis: with no HOBBLER_REDIS_URL it takes a redis-server from the PATH, else an embedded one.
Exit code 1: something that it promises did not happen.`,
    )
    .action(async (options: DemoOptions, command: Command) => {
      const settings = new Settings(command, cli);
      const { runDemo } = await import('../demo/demo.ts');
      finish(await runDemo({ cli, settings, keep: options.keep ?? false, json: options.json ?? false }));
    });
}

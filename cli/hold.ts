/** `hold` and `unhold`: the stop-everything switch, of the fleet, a host, or this machine by a local file. */
import type { Command } from 'commander';
import type { Finish } from '../cli.ts';
import { sleep } from '../shared/clock.ts';
import { HobblerError } from '../shared/errors.ts';
import type { Redis } from '../shared/redis/connection.ts';
import type { FleetView } from '../shared/redis/fleet.ts';
import { type Cli, operatorOf, parseHost, Settings } from './context.ts';
import { EXIT } from './exit.ts';
import { liftLocalHold, putLocalHold } from './local-state.ts';
import { count } from './print.ts';

interface HoldOptions {
  host?: string;
  local?: boolean;
  reason: string;
}

/** A held host says so at once; this covers a slow Redis, milliseconds. */
const CONFIRM_WITHIN_MS = 3_000;
const LOOK_EVERY_MS = 100;

export function addHoldCommands(program: Command, cli: Cli, finish: Finish): void {
  const place = (command: Command) =>
    command
      .option('--host <name>', 'one host (default: the whole fleet)')
      .option('--local', 'this machine, by its local file, without Redis')
      .requiredOption('--reason <text>', 'why; shown to operators and kept in the audit');

  place(program.command('hold').description('let everything go and stop nothing more, until unhold'))
    .addHelpText(
      'after',
      `\nExamples:
  hobbler hold --reason 'investigating slow logins'              (every host, within a second)
  hobbler hold --host web-1 --reason 'database maintenance'
Orders stand and go on expiring; what of them is left is taken up again at unhold. A hold survives restarts.`,
    )
    .action(async (options: HoldOptions, command: Command) => {
      const settings = new Settings(command, cli);
      finish(await putHold(cli, settings, checked(options)));
    });

  place(program.command('unhold').description('lift a hold'))
    .addHelpText(
      'after',
      '\nLifts exactly one: of the fleet, of --host, or --local. A host stays held while any of them stands.',
    )
    .action(async (options: HoldOptions, command: Command) => {
      const settings = new Settings(command, cli);
      finish(await liftHold(cli, settings, checked(options)));
    });
}

function checked(options: HoldOptions): HoldOptions {
  if (options.local && options.host !== undefined) {
    throw new HobblerError('invalid-input', 'a host or this machine, not both', { where: '--host, --local' });
  }
  if (options.reason.length > 500 || /\p{Cc}/u.test(options.reason)) {
    throw new HobblerError('invalid-input', 'not a reason', {
      where: '--reason',
      expected: 'at most 500 characters on one line',
      got: options.reason,
    });
  }
  return options.host === undefined ? options : { ...options, host: parseHost(options.host) };
}

async function putHold(cli: Cli, settings: Settings, { host, local, reason }: HoldOptions): Promise<number> {
  if (local) {
    putLocalHold(settings.stateDir, reason);
    cli.out('held this machine; lift it with: hobbler unhold --local --reason …');
    return EXIT.ok;
  }
  const { withRedis } = await import('./redis.ts');
  const { hold } = await import('../shared/redis/fleet.ts');
  return withRedis(settings, async (redis) => {
    await hold(redis, host, reason, operatorOf(cli.environment));
    cli.out(
      `held ${host ?? 'the fleet'}; lift it with: hobbler unhold${host === undefined ? '' : ` --host ${host}`} --reason …`,
    );
    const silent = await awaitHeld(redis, cli, (view) => host === undefined || view.host === host);
    return sayWhoIsSilent(cli, silent);
  });
}

async function liftHold(cli: Cli, settings: Settings, { host, local, reason }: HoldOptions): Promise<number> {
  let wasHeld: boolean;
  if (local) wasHeld = liftLocalHold(settings.stateDir);
  else {
    const { withRedis } = await import('./redis.ts');
    const { unhold } = await import('../shared/redis/fleet.ts');
    ({ wasHeld } = await withRedis(settings, (redis) => unhold(redis, host, reason, operatorOf(cli.environment))));
  }
  const place = local ? 'this machine' : (host ?? 'the fleet');
  cli.out(wasHeld ? `lifted the hold of ${place}` : `there was no hold of ${place}`);
  return EXIT.ok;
}

/** Waits until every live host in question says that it is held. Returns those that do not, lost ones included. */
export async function awaitHeld(
  redis: Redis,
  cli: Cli,
  isMeant: (view: FleetView['hosts'][number]) => boolean,
): Promise<{ host: string; liveness: string }[]> {
  const { readFleet } = await import('../shared/redis/fleet.ts');
  const giveUpAtMs = cli.clock.monotonicMs() + CONFIRM_WITHIN_MS;
  for (;;) {
    const { hosts } = await readFleet(redis);
    const silent = hosts.filter((view) => isMeant(view) && !(view.liveness === 'alive' && view.status?.hold));
    // A lost host does not come back within seconds; its guard and the orders' own expiry let its targets go.
    const isWorthWaiting = silent.some(({ liveness }) => liveness !== 'lost');
    if (!isWorthWaiting || cli.clock.monotonicMs() > giveUpAtMs) return silent;
    await sleep(cli.clock, LOOK_EVERY_MS);
  }
}

/** Says which hosts have not confirmed. Returns the exit code. */
export function sayWhoIsSilent(cli: Cli, silent: readonly { host: string; liveness: string }[]): number {
  for (const { host, liveness } of silent) {
    cli.note(
      `  ${host}: ${liveness}, has not confirmed${liveness === 'lost' ? '; its guard lets everything go when its worker dies' : ''}`,
    );
  }
  const alive = silent.filter(({ liveness }) => liveness !== 'lost');
  if (alive.length > 0)
    cli.note(`hobbler: ${count(alive.length, 'live host')} did not confirm; look with: hobbler status`);
  return silent.length === 0 ? EXIT.ok : EXIT.unavailable;
}

/** `tarpit` and `untarpit`: an operator's orders, given through the one issuer, and what came of them. */
import { type Command, Option } from 'commander';
import type { Finish } from '../cli.ts';
import { formatDuration } from '../shared/duration.ts';
import { HobblerError } from '../shared/errors.ts';
import { FLEET, runRatio } from '../shared/order.ts';
import type { OrderRequest } from '../shared/redis/issuer.ts';
import { formatTarget } from '../shared/target.ts';
import { Proc } from '../worker/process/proc.ts';
import { type Cli, operatorOf, parseHost, readSigner, Settings } from './context.ts';
import { addHobbleOptions, type HobbleOptions, parseDuration, parseHobble, parseLease } from './options.ts';
import { formatRatio } from './print.ts';
import { parseLocalTarget, parseRemoteTarget } from './target.ts';

/** How long an operator's order lives unless he says otherwise. */
const DEFAULT_FOR = '30m';
const DEFAULT_WAIT = '5s';

interface PlaceOptions {
  host?: string;
  fleet?: boolean;
  account?: string;
  wait: number;
  json?: boolean;
  reason: string;
}
type TarpitOptions = PlaceOptions & HobbleOptions & { for: number };

export function addOrderCommands(program: Command, cli: Cli, finish: Finish): void {
  const tarpit = program
    .command('tarpit')
    .description('slow a target down, until the order expires or is taken back')
    .argument('<target>', 'user:NAME, uid:NUMBER, pid:PID, pid:PID@START or cgroup:/PATH');
  addHobbleOptions(addPlaceOptions(tarpit))
    .addOption(
      new Option('--for <duration>', 'how long, at most 24h')
        .argParser(parseLease)
        .default(parseLease(DEFAULT_FOR), DEFAULT_FOR),
    )
    .requiredOption('--reason <text>', 'why; shown to operators and kept in the audit')
    .addHelpText(
      'after',
      `\nExamples:
  hobbler tarpit user:alice --host web-1 --reason 'mining since noon'
  hobbler tarpit user:alice --fleet --for 2h --run-ms 20 --reason 'over the limit'
  hobbler tarpit pid:4242 --reason 'runaway build'       (this host; its start time is looked up)
It waits until the host has answered. Exit code 1: the host did not do it; 3: no answer yet, the order stands.`,
    )
    .action(async (text: string, options: TarpitOptions, command: Command) => {
      const settings = new Settings(command, cli);
      const request: OrderRequest = {
        ...requestFrom('tarpit', text, options, settings, cli),
        hobble: parseHobble(options),
        forMs: options.for,
      };
      finish(await give(cli, settings, request, options));
    });

  const untarpit = program
    .command('untarpit')
    .description('let a target go')
    .argument('<target>', 'as it was given to tarpit; `hobbler status` lists them');
  addPlaceOptions(untarpit)
    .option('--reason <text>', 'why; kept in the audit', 'let go by an operator')
    .addHelpText(
      'after',
      `\nExamples:
  hobbler untarpit user:alice --host web-1
  hobbler untarpit user:alice --fleet --reason 'has paid'
The policy may tarpit an account again while it is over its limit; \`hobbler hold\` stops everything.`,
    )
    .action(async (text: string, options: PlaceOptions, command: Command) => {
      const settings = new Settings(command, cli);
      finish(await give(cli, settings, requestFrom('untarpit', text, options, settings, cli), options));
    });
}

function addPlaceOptions(command: Command): Command {
  return command
    .option('--host <name>', 'the host it is on (default: this one)')
    .option('--fleet', 'on every host, later ones too')
    .option('--account <name>', 'the account it is done for, where that is not the target')
    .addOption(
      new Option('--wait <duration>', 'how long to wait for the answer; 0s: not at all')
        .argParser(parseDuration('--wait'))
        .default(parseDuration('--wait')(DEFAULT_WAIT), DEFAULT_WAIT),
    )
    .option('--json', 'print the order and what came of it as JSON');
}

function requestFrom(
  action: OrderRequest['action'],
  text: string,
  { host: named, fleet, account, reason }: PlaceOptions,
  settings: Settings,
  cli: Cli,
): OrderRequest {
  if (fleet && named !== undefined) {
    throw new HobblerError('invalid-input', 'one host or the whole fleet, not both', { where: '--host, --fleet' });
  }
  const host = fleet ? FLEET : named === undefined ? settings.host : parseHost(named);
  const target = host === settings.host ? parseLocalTarget(text, new Proc()) : parseRemoteTarget(text, host);
  if (fleet && target.kind === 'pid') {
    throw new HobblerError('invalid-input', 'a pid is of one host', {
      where: '--fleet',
      got: text,
      hint: 'use --host',
    });
  }
  const named_ = account === undefined ? {} : { account };
  return { action, host, target: formatTarget(target), ...named_, reason, by: operatorOf(cli.environment) };
}

async function give(
  cli: Cli,
  settings: Settings,
  request: OrderRequest,
  { wait, json }: PlaceOptions,
): Promise<number> {
  const signer = readSigner(cli.environment);
  const { withRedis } = await import('./redis.ts');
  const { OrderIssuer } = await import('../shared/redis/issuer.ts');
  const { awaitOutcomes, exitCodeOfOutcomes } = await import('./outcome.ts');
  return withRedis(settings, async (redis) => {
    const issued = await new OrderIssuer(redis, signer, settings.createQuietLog('cli')).issue(request);
    const isFleet = request.host === FLEET;
    const outcomes = wait === 0 ? [] : await awaitOutcomes(redis, issued, wait, cli.clock);
    if (json) {
      cli.out(JSON.stringify({ order: issued.order, outcomes }, null, 2));
      return exitCodeOfOutcomes(outcomes, isFleet);
    }
    const { order } = issued;
    const place = isFleet ? 'the fleet' : order.host;
    cli.out(
      order.action === 'tarpit'
        ? `tarpit ${order.target} on ${place}: ${order.hobble.runMs} of ${order.hobble.runMs + order.hobble.stopMs} ms (${formatRatio(runRatio(order.hobble))}), for ${formatDuration(order.expiresAt - order.issuedAt)}`
        : `untarpit ${order.target} on ${place}`,
    );
    for (const { host, status, detail } of outcomes) {
      const line = `  ${host}: ${status}${detail === '' ? '' : `, ${detail}`}`;
      if (status === 'applied') cli.out(line);
      else cli.note(line);
    }
    if (isFleet && outcomes.length === 0 && wait > 0) cli.note('  no host is alive; each takes it up when it comes');
    return exitCodeOfOutcomes(outcomes, isFleet);
  });
}

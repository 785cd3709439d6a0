/**
 * `pin`, `unpin`, `pins` and `brake`: what an operator says of accounts to the policy, as against orders, which are about
 * targets. Owns the options and the answers; what is written stands in producer/operator-words.ts.
 */
import { type Command, Option } from 'commander';
import type { Finish } from '../cli.ts';
import { HobblerError } from '../shared/errors.ts';
import { type Cli, operatorOf, Settings } from './context.ts';
import { EXIT } from './exit.ts';
import { addHobbleOptions, type HobbleOptions, parseDuration, parseHobble } from './options.ts';
import { parseUntil } from './until.ts';

/** A pin that keeps somebody in is no way to forget him. */
const MAX_KEEP_MS = 31 * 86_400_000;
/** Past it, a pin is better without an end, or an exemption in the config. */
const MAX_RELEASE_MS = 366 * 86_400_000;
const MAX_REASON_CHARS = 300;

type PinOptions = HobbleOptions & { out?: boolean; in?: boolean; for?: number; until?: string; reason: string };
interface BrakeOptions {
  letGo?: boolean;
  letIn?: number;
  reason?: string;
}

export function addPinCommands(program: Command, cli: Cli, finish: Finish): void {
  const pin = program
    .command('pin')
    .description('keep an account out of the tarpit, or in it, whatever the policy says')
    .argument('<account>', 'as readings name it')
    .option('--out', 'out, whatever it uses')
    .option('--in', 'in, at this duty cycle or a harsher one of the policy')
    .addOption(new Option('--for <duration>', 'how long').argParser(parseDuration('--for')))
    .option('--until <time>', "2025-11-24T18:00:00Z, or 18:00 or tomorrow in the account's time zone")
    .requiredOption('--reason <text>', 'why; shown to the account and kept in the audit');
  addHobbleOptions(pin)
    .addHelpText(
      'after',
      `\nExamples:
  hobbler pin alice --out --until tomorrow --reason 'her thesis is due'
  hobbler pin bob --in --until 18:00 --reason 'has been warned twice'
A pin replaces an earlier one, and takes effect within a second. Without an end, --out lasts until unpin.`,
    )
    .action(async (account: string, options: PinOptions, command: Command) => {
      finish(await putPinFor(cli, new Settings(command, cli), account, options));
    });

  program
    .command('unpin')
    .description('leave an account to the policy again')
    .argument('<account>')
    .requiredOption('--reason <text>', 'why; kept in the audit')
    .action(async (account: string, { reason }: { reason: string }, command: Command) => {
      const settings = new Settings(command, cli);
      const { withRedis } = await import('./redis.ts');
      const { removePin } = await import('../shared/redis/pins.ts');
      const why = checkedReason(reason);
      const by = operatorOf(cli.environment);
      const was = await withRedis(settings, (redis) => removePin(redis, account, why, by));
      cli.out(was ? `unpinned ${account}` : `${account} was not pinned`);
      finish(EXIT.ok);
    });

  program
    .command('pins')
    .description('list who is pinned')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }, command: Command) => {
      finish(await listPins(cli, new Settings(command, cli), json === true));
    });

  program
    .command('brake')
    .description("say whether the policy's brake holds, or let go of it")
    .option('--let-go', 'let go, and count entries anew: the accounting is mended')
    .addOption(
      new Option(
        '--let-in <duration>',
        'let go, and let everybody in who is over, for so long: the figures are right',
      ).argParser(parseDuration('--let-in')),
    )
    .option('--reason <text>', 'why; kept in the audit')
    .addHelpText('after', '\nExit code 1: it holds, so nobody is put in.')
    .action(async (options: BrakeOptions, command: Command) => {
      finish(await useBrake(cli, new Settings(command, cli), options));
    });
}

async function putPinFor(cli: Cli, settings: Settings, account: string, options: PinOptions): Promise<number> {
  const { accountName } = await import('../producer/labels.ts');
  const { producerSchema } = await import('../producer/config.ts');
  const { Rules } = await import('../producer/policy/rules.ts');
  const { clockTime } = await import('../producer/words.ts');
  const { putPin } = await import('../shared/redis/pins.ts');
  const { loadSection } = await import('../shared/config.ts');
  const { withRedis } = await import('./redis.ts');
  if (!accountName.safeParse(account).success)
    throw new HobblerError('invalid-input', 'not an account', { where: '<account>', got: account });
  if ((options.out === true) === (options.in === true))
    throw new HobblerError('invalid-input', 'one of the two', { where: '--out, --in' });
  if (options.for !== undefined && options.until !== undefined)
    throw new HobblerError('invalid-input', 'one of the two', { where: '--for, --until' });
  const nowMs = cli.clock.wallMs();
  const { zone } = new Rules(loadSection(settings.configPath, 'producer', producerSchema)).of(account);
  const untilMs = endOf(options, zone, nowMs);
  if (untilMs !== null && untilMs > nowMs + MAX_RELEASE_MS)
    throw new HobblerError('invalid-input', 'too far away', {
      where: '--for, --until',
      expected: 'at most a year, or no end',
    });
  const common = { v: 1 as const, setAtMs: nowMs, by: operatorOf(cli.environment), why: checkedReason(options.reason) };
  if (options.in) {
    if (untilMs === null || untilMs > nowMs + MAX_KEEP_MS) {
      throw new HobblerError('invalid-input', 'who is kept in is told when that ends', {
        where: '--for, --until',
        expected: 'an end within 31 days',
      });
    }
    const keep = { ...common, kind: 'keep' as const, untilMs, hobble: parseHobble(options) };
    await withRedis(settings, (redis) => putPin(redis, account, keep));
  } else await withRedis(settings, (redis) => putPin(redis, account, { ...common, kind: 'release', untilMs }));
  const until = untilMs === null ? 'until it is unpinned' : `until ${clockTime(untilMs, nowMs, zone)}`;
  cli.out(
    `${account} is kept ${options.in ? 'in' : 'out'} ${until}; take it back with: hobbler unpin ${account} --reason …`,
  );
  return EXIT.ok;
}

function endOf({ for: forMs, until }: PinOptions, zone: string, nowMs: number): number | null {
  if (forMs !== undefined) return nowMs + forMs;
  return until === undefined ? null : parseUntil(until, zone, nowMs);
}

async function listPins(cli: Cli, settings: Settings, asJson: boolean): Promise<number> {
  const { readOperatorWords } = await import('../producer/operator-words.ts');
  const { withRedis } = await import('./redis.ts');
  const { pins } = await withRedis(settings, readOperatorWords);
  const nowMs = cli.clock.wallMs();
  const standing = [...pins].filter(([, { untilMs }]) => untilMs === null || untilMs > nowMs).sort();
  if (asJson) cli.out(JSON.stringify(Object.fromEntries(standing), null, 2));
  for (const [account, { kind, untilMs, by, why }] of asJson ? [] : standing) {
    const until = untilMs === null ? 'until unpinned' : `until ${new Date(untilMs).toISOString()}`;
    cli.out(`${account}  ${kind === 'release' ? 'out' : 'in'} ${until}, by ${by}: ${why}`);
  }
  if (!asJson && standing.length === 0) cli.out('nobody is pinned');
  return EXIT.ok;
}

async function useBrake(cli: Cli, settings: Settings, { letGo, letIn, reason }: BrakeOptions): Promise<number> {
  const { readOperatorWords, releaseBrake } = await import('../producer/operator-words.ts');
  const { withRedis } = await import('./redis.ts');
  if (letGo || letIn !== undefined) {
    if (reason === undefined) throw new HobblerError('invalid-input', 'expected a reason', { where: '--reason' });
    const word = {
      by: operatorOf(cli.environment),
      why: checkedReason(reason),
      letInUntilMs: letIn === undefined ? null : cli.clock.wallMs() + letIn,
    };
    const held = await withRedis(settings, (redis) => releaseBrake(redis, word));
    cli.out(held ? 'let go of the brake' : 'the brake did not hold');
    return EXIT.ok;
  }
  const { held } = (await withRedis(settings, readOperatorWords)).brake;
  if (!held) {
    cli.out('the brake does not hold');
    return EXIT.ok;
  }
  const since = new Date(held.sinceMs).toISOString();
  cli.out(`the brake holds since ${since}: ${held.entering} of ${held.known} accounts would have been put in
  the accounting was wrong, and is mended:  hobbler brake --let-go --reason …
  the figures are right:                    hobbler brake --let-in 1h --reason …`);
  return EXIT.failed;
}

function checkedReason(reason: string): string {
  if (reason.length > 0 && reason.length <= MAX_REASON_CHARS && !/\p{Cc}/u.test(reason)) return reason;
  throw new HobblerError('invalid-input', 'not a reason', {
    where: '--reason',
    expected: `1 to ${MAX_REASON_CHARS} characters on one line`,
    got: reason,
  });
}

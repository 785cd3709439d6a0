/**
 * `doctor`: is everything here for hobbler to work? Each line says ok, warn or fail, what was found, and what to do. The
 * host's part is worker/doctor.ts; here are config, Redis, clocks and the printing.
 */
import type { Command } from 'commander';
import type { Finish } from '../cli.ts';
import { messageOf } from '../shared/errors.ts';
import {
  connectRedis,
  hideSecrets,
  inspectRedis,
  isLoopback,
  redisNowMs,
  whyUnreachable,
} from '../shared/redis/connection.ts';
import { refusedByRedis } from '../shared/redis/trouble.ts';
import { checkHost, type Finding } from '../worker/doctor.ts';
import { Proc } from '../worker/process/proc.ts';
import { checkRedisUser } from './acl-check.ts';
import { type Cli, readSigner, Settings } from './context.ts';
import { EXIT } from './exit.ts';
import { type Palette, plain } from './print.ts';

/** Round trips whose median is told; past the bounds something is wrong with the network or with Redis. */
const ROUND_TRIPS = 9;
const SLOW_ROUND_TRIP_MS = 20;
/** Orders expire by Redis's clock; the wall clock matters for people and for readings, which refuse 60 s. */
const CLOCK_WARN_MS = 2_000;
const CLOCK_FAIL_MS = 60_000;

export function addDoctorCommand(program: Command, cli: Cli, finish: Finish): void {
  program
    .command('doctor')
    .description('is everything here for it to work: Redis, permissions, cgroups, clock')
    .option('--json', 'print the findings as JSON')
    .addHelpText(
      'after',
      `\nRun it as the user, and in the container, that the worker runs as. It signals only a child of its own.
Exit code 1: at least one check failed.`,
    )
    .action(async ({ json }: { json?: boolean }, command: Command) => {
      const settings = new Settings(command, cli);
      const config = checkConfig(cli, settings);
      const isConfigReadable = config.every(({ status }) => status !== 'fail');
      const findings = [
        ...config,
        ...(isConfigReadable ? await checkRedis(cli, settings) : []),
        ...(isConfigReadable
          ? await checkHost({ proc: new Proc(), stateDir: settings.stateDir, clock: cli.clock })
          : []),
      ];
      if (json) cli.out(JSON.stringify({ ok: !findings.some(isFailure), findings }, null, 2));
      else cli.out(formatFindings(findings, cli.palette).join('\n'));
      finish(findings.some(isFailure) ? EXIT.failed : EXIT.ok);
    });
}

const isFailure = ({ status }: Finding) => status === 'fail';

function checkConfig(cli: Cli, settings: Settings): Finding[] {
  const name = 'config';
  try {
    const { worker } = settings;
    readSigner(cli.environment);
    const keys = worker.keys.length === 0 ? 'no keys: orders are not checked' : `${worker.keys.length} trusted keys`;
    return [
      {
        name,
        status: 'ok',
        detail: `${settings.configPath ?? 'built-in defaults'}; host ${settings.host}; minUid ${worker.minUid}; ${keys}`,
      },
    ];
  } catch (error) {
    return [{ name, status: 'fail', detail: plain(messageOf(error)), hint: 'correct it; no service starts with it' }];
  }
}

async function checkRedis(cli: Cli, settings: Settings): Promise<Finding[]> {
  const { clock } = cli;
  let url: string;
  let redis: ReturnType<typeof connectRedis>;
  try {
    url = settings.redisUrl;
    redis = connectRedis(settings.redis('hobbler-doctor'), settings.createQuietLog('doctor'));
  } catch (error) {
    return [
      { name: 'redis', status: 'fail', detail: messageOf(error), hint: 'correct HOBBLER_REDIS_URL or redis.tls' },
    ];
  }
  try {
    const checks = await inspectRedis(redis);
    const findings: Finding[] = [{ name: 'redis', status: 'ok', detail: `answers at ${hideSecrets(url)}` }];
    for (const { name, ok, detail, hint } of checks) {
      findings.push({ name: `redis ${name}`, status: ok ? 'ok' : 'fail', detail, ...(ok || !hint ? {} : { hint }) });
    }
    const roundTripMs = await medianRoundTripMs(redis, clock);
    findings.push(roundTripFinding(roundTripMs));
    const before = clock.wallMs();
    const redisMs = await redisNowMs(redis);
    findings.push(clockFinding(redisMs - (before + clock.wallMs()) / 2));
    findings.push(trustFinding(settings, url), ...(await checkRedisUser(redis, settings.host, isLoopback(url))));
    return findings;
  } catch (error) {
    const refusal = refusedByRedis(error, whyUnreachable(redis, error), hideSecrets(url));
    if (refusal) return [{ name: 'redis', status: 'fail', detail: plain(refusal.message) }];
    return [
      {
        name: 'redis',
        status: 'fail',
        detail: `${hideSecrets(url)} does not answer (${whyUnreachable(redis, error)})`,
        hint: 'start it, or set HOBBLER_REDIS_URL; a host without it goes on with the orders that it has',
      },
    ];
  } finally {
    redis.disconnect();
  }
}

async function medianRoundTripMs(redis: { ping(): Promise<unknown> }, clock: Cli['clock']): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < ROUND_TRIPS; index++) {
    const startedAtMs = clock.monotonicMs();
    await redis.ping();
    times.push(clock.monotonicMs() - startedAtMs);
  }
  return times.sort((a, b) => a - b)[ROUND_TRIPS >> 1]!;
}

/** How far Redis is, and what to do when it is far. */
export function roundTripFinding(roundTripMs: number): Finding {
  const finding = { name: 'redis round trip', detail: `${roundTripMs.toFixed(1)} ms` };
  if (roundTripMs <= SLOW_ROUND_TRIP_MS) return { ...finding, status: 'ok' };
  return {
    ...finding,
    status: 'warn',
    hint: 'orders take a few of these; look at the network, and at the load of Redis',
  };
}

/** How far this machine's clock is from Redis's, which all times in orders go by. */
export function clockFinding(aheadMs: number): Finding {
  const away = Math.abs(aheadMs);
  const detail = `Redis's clock is ${(away / 1000).toFixed(away < 1_000 ? 3 : 1)} s ${aheadMs >= 0 ? 'ahead of' : 'behind'} this one`;
  if (away <= CLOCK_WARN_MS) return { name: 'clock', status: 'ok', detail };
  return {
    name: 'clock',
    status: away > CLOCK_FAIL_MS ? 'fail' : 'warn',
    detail,
    hint: 'run chrony or systemd-timesyncd on both; orders go by the clock of Redis alone',
  };
}

/** Whose orders this host's worker carries out, and who gets to give them. */
export function trustFinding(settings: Pick<Settings, 'worker'>, url: string): Finding {
  const name = 'signatures';
  const { keys, allowUnsigned } = settings.worker;
  if (keys.length > 0) return { name, status: 'ok', detail: `orders must be signed by one of ${keys.length} keys` };
  if (isLoopback(url)) {
    const isGuarded = url.startsWith('unix:') || new URL(url).password !== '';
    if (isGuarded)
      return { name, status: 'ok', detail: 'none asked: who gets into that Redis of this machine gives orders' };
    return {
      name,
      status: 'warn',
      detail: 'none asked, and that Redis no password: every user of this machine may give orders, and release himself',
      hint: 'make keys with `hobbler keys`, and a password with `hobbler acl`; fine where nobody else logs in',
    };
  }
  return {
    name,
    status: allowUnsigned ? 'warn' : 'fail',
    detail: `none asked, and other machines reach that Redis${allowUnsigned ? ' (worker.allowUnsigned)' : ': a worker will not start'}`,
    hint: 'make keys with `hobbler keys` and list the public ones under worker.keys',
  };
}

/** One line per finding, and a last one that sums up. */
export function formatFindings(findings: readonly Finding[], palette: Palette): string[] {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const mark = { ok: palette.green('ok  '), warn: palette.yellow('warn'), fail: palette.red('fail') };
  const lines = findings.map(
    ({ name, status, detail, hint }) =>
      `${mark[status]}  ${name.padEnd(width)}  ${detail}${hint === undefined ? '' : `; ${palette.bold(hint)}`}`,
  );
  const failed = findings.filter(isFailure).length;
  const warned = findings.filter(({ status }) => status === 'warn').length;
  return [...lines, '', failed > 0 ? `${failed} failed, ${warned} to look at` : `ready; ${warned} to look at`];
}

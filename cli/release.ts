/**
 * `release-all`: let everything go. On this host by the guard's own script, which needs no Redis and no worker; with
 * --fleet through Redis. Either way the operator finds everything running afterwards, and it stays so: a worker that
 * still runs would stop it all again 0.2 s later, so where there is one it is held first.
 */
import type { Command } from 'commander';
import type { Finish } from '../cli.ts';
import { sleep } from '../shared/clock.ts';
import { FLEET } from '../shared/order.ts';
import { releaseOnce } from '../worker/guard/guard.ts';
import { type Cli, operatorOf, readSigner, Settings } from './context.ts';
import { EXIT } from './exit.ts';
import { probeLock, putLocalHold } from './local-state.ts';
import { count } from './print.ts';

interface ReleaseOptions {
  fleet?: boolean;
  reason: string;
}

/** A worker looks at its local hold every 400 ms. */
const HOLD_SEEN_WITHIN_MS = 800;

export function addReleaseCommand(program: Command, cli: Cli, finish: Finish): void {
  program
    .command('release-all')
    .description('let everything on this host go, without Redis; --fleet: on every host')
    .option('--fleet', 'on every host, through Redis')
    .option('--reason <text>', 'why; kept with the hold', 'release-all')
    .addHelpText(
      'after',
      `\nThis host: whatever a hobbler may have stopped here runs again, by the guard's script and the local journal. Where a
hobbler still runs, it is held first (a file in the state directory), or it would stop everything again; lift that
with: hobbler unhold --local --reason TEXT. Where none runs, nothing is held: a worker that starts later carries out
the orders that still stand.

--fleet: holds the fleet, so that every live host lets everything go within a second, and takes all standing orders
back, so that nothing starts again at unhold but what is ordered anew. The hold stays until:
hobbler unhold --reason TEXT. A host that does not answer is named (exit code 3).`,
    )
    .action(async ({ fleet, reason }: ReleaseOptions, command: Command) => {
      const settings = new Settings(command, cli);
      finish(fleet ? await releaseFleet(cli, settings, reason) : await releaseHere(cli, settings, reason));
    });
}

async function releaseHere(cli: Cli, settings: Settings, reason: string): Promise<number> {
  const { stateDir } = settings;
  const isHobbling = probeLock(stateDir) !== 'free';
  if (isHobbling) {
    putLocalHold(stateDir, reason);
    await sleep(cli.clock, HOLD_SEEN_WITHIN_MS);
  }
  const released = releaseOnce(stateDir);
  cli.out(`released ${count(released, 'process or cgroup', 'processes and cgroups')} (${stateDir})`);
  if (isHobbling) cli.out('a hobbler runs here and is held now; lift that with: hobbler unhold --local --reason …');
  return EXIT.ok;
}

async function releaseFleet(cli: Cli, settings: Settings, reason: string): Promise<number> {
  const { withRedis } = await import('./redis.ts');
  const { hold, readFleet } = await import('../shared/redis/fleet.ts');
  const { readDesired, readFleetChanges } = await import('../shared/redis/desired.ts');
  const { OrderIssuer } = await import('../shared/redis/issuer.ts');
  const { awaitHeld, sayWhoIsSilent } = await import('./hold.ts');
  const signer = readSigner(cli.environment);
  return withRedis(settings, async (redis) => {
    const by = operatorOf(cli.environment);
    await hold(redis, undefined, reason, by);
    const silent = await awaitHeld(redis, cli, () => true);
    const { hosts, nowMs } = await readFleet(redis);
    const issuer = new OrderIssuer(redis, signer, settings.createQuietLog('cli'));
    let takenBack = 0;
    for (const host of [FLEET, ...hosts.map((view) => view.host)]) {
      const { records } = host === FLEET ? await readFleetChanges(redis, 0) : await readDesired(redis, host);
      for (const { order } of records.values()) {
        if (order.action !== 'tarpit' || order.expiresAt <= nowMs) continue;
        const { target, account } = order;
        await issuer.issue({
          action: 'untarpit',
          host,
          target,
          ...(account === undefined ? {} : { account }),
          reason,
          by,
        });
        takenBack++;
      }
    }
    cli.out(`held the fleet of ${count(hosts.length, 'host')} and took back ${count(takenBack, 'order')}`);
    cli.out('lift the hold with: hobbler unhold --reason …');
    return sayWhoIsSilent(cli, silent);
  });
}

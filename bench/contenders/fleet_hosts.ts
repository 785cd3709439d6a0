/**
 * Part of a fleet for scenario `fleet-idle`: whole worker services with no orders, many in one process, each with a state
 * directory, a lock, connections, a consumer, heartbeat, lease, meter and reconciling of its own. What a real host has and
 * these have not is a guard process, which Redis never sees.
 * Usage: node fleet_hosts.ts REDIS_URL DIR FIRST COUNT SPREAD_MS; prints `ready` when all run.
 */
import { join } from 'node:path';
import { sleep, systemClock } from '../../shared/clock.ts';
import { silentLogger } from '../../shared/log.ts';
import { workerConfigSchema } from '../../worker/config.ts';
import { createWorkerService } from '../../worker/service.ts';

const [url, dir, ...numbers] = process.argv.slice(2) as [string, string, ...string[]];
const [first, count, spreadMs] = numbers.map(Number) as [number, number, number];
process.setMaxListeners(0); // each service minds the end of the process
process.once('SIGTERM', () => process.exit());

const starts: Promise<void>[] = [];
const startedAtMs = systemClock.monotonicMs();
for (let index = 0; index < count; index++) {
  // Evenly over the longest turn of a worker's clock, so that no two windows differ by what falls due in them.
  await sleep(systemClock, Math.max(0, startedAtMs + (index / count) * spreadMs - systemClock.monotonicMs()));
  const host = `fleet-${first + index}`;
  const worker = createWorkerService({
    config: workerConfigSchema.parse({ host, guard: 'external' }),
    redis: { url, name: 'hobbler-worker' },
    stateDir: join(dir, host),
    clock: systemClock,
    log: silentLogger(),
  });
  starts.push(worker.start());
}
await Promise.all(starts);
console.log('ready');

/** Orders given one by one through BullMQ, as an accounting system gives them: for the scenarios that time them. */
import type { Order, UntarpitOrder } from '../shared/order.ts';
import { openQueue, type Queue } from '../shared/queue.ts';
import type { Meter } from './cgroups.ts';
import { tarpitOrder } from './hobbler.ts';
import { launch, type Program } from './launch.ts';
import { contenderPath } from './programs.ts';
import type { BenchRedis, Workbench } from './workbench.ts';

export const BARE = 'bare BullMQ, a worker that does nothing';

/** A queue of that host, over the bench's own connection. */
export function benchQueue(bench: Workbench, redis: BenchRedis, host: string): Queue {
  const queue = openQueue(host, redis.client);
  bench.undo.add(`the queue of ${host}`, () => queue.close());
  return queue;
}

export function untarpitOrder(host: string, target: string, version: number): UntarpitOrder {
  return { v: 1, action: 'untarpit', host, target, version, issuedAt: version, reason: 'bench', by: 'bench' };
}

/** Tarpits and untarpits of the same targets in turn, so that every order is carried out and changes something. */
export function orderSeries(host: string, targets: readonly string[], count: number, firstVersion: number): Order[] {
  return Array.from({ length: count }, (_, index) => {
    const target = targets[index % targets.length]!;
    const isTarpit = Math.floor(index / targets.length) % 2 === 0;
    return (isTarpit ? tarpitOrder : untarpitOrder)(host, target, firstVersion + index);
  });
}

/** Starts the bare worker; it is ready when this resolves. `stamp`: it prints `ID NS` for each job. */
export async function startBareWorker(
  bench: Workbench,
  meter: Meter,
  redis: BenchRedis,
  queue: Queue,
  stamp = false,
): Promise<Program> {
  const args = [contenderPath('bare_bullmq.js'), new URL(redis.url).pathname, queue.opts.prefix!];
  const program = launch(bench, meter, process.execPath, [...args, ...(stamp ? ['stamp'] : [])], { input: '' });
  await program.linesUntilReady();
  return program;
}

/**
 * What came of an order on each host that it is for. The host's own answer to the job is the first word; where the job
 * cannot be found any more, the host's report is. A host that does not answer in time is `pending`: the order stands,
 * and the host takes it up when it can.
 */
import { type Clock, sleep } from '../shared/clock.ts';
import { FLEET, type OrderResult } from '../shared/order.ts';
import { openQueue } from '../shared/queue.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { type FleetView, readFleet } from '../shared/redis/fleet.ts';
import type { IssuedOrder } from '../shared/redis/issuer.ts';
import { EXIT } from './exit.ts';
import { count, plain } from './print.ts';

export interface Outcome {
  host: string;
  status: OrderResult['status'] | 'pending';
  /** What a person should know of it; may be empty. */
  detail: string;
}

/** Between two looks, milliseconds: a host answers within a few. */
const LOOK_EVERY_MS = 25;

/** Waits until every host that was woken has answered, at most `waitMs`; 0 asks nobody. */
export async function awaitOutcomes(
  redis: Redis,
  issued: IssuedOrder,
  waitMs: number,
  clock: Clock,
): Promise<Outcome[]> {
  const giveUpAtMs = clock.monotonicMs() + waitMs;
  const waiting = new Map(Object.entries(issued.jobs));
  const outcomes: Outcome[] = [];
  for (;;) {
    for (const [host, jobId] of waiting) {
      const outcome = await readOutcome(redis, host, jobId);
      if (outcome === undefined) continue;
      outcomes.push(outcome);
      waiting.delete(host);
    }
    if (waiting.size === 0 || clock.monotonicMs() >= giveUpAtMs) break;
    await sleep(clock, LOOK_EVERY_MS);
  }
  for (const host of waiting.keys()) {
    outcomes.push({ host, status: 'pending', detail: 'it has not answered yet; the order stands' });
  }
  if (issued.order.host !== FLEET && outcomes.length === 0) {
    outcomes.push({ host: issued.order.host, status: 'pending', detail: await whyAsleep(redis, issued.order.host) });
  }
  return outcomes.sort((a, b) => (a.host < b.host ? -1 : 1));
}

async function readOutcome(redis: Redis, host: string, jobId: string): Promise<Outcome | undefined> {
  const job = await openQueue(host, redis).getJob(jobId);
  // Gone from the last 100 already: it was done.
  if (!job) return { host, status: 'applied', detail: 'done; see hobbler status' };
  if (job.failedReason && job.finishedOn) return failed(host, job.failedReason);
  if (!job.finishedOn) return undefined;
  return describeResult(host, job.returnvalue as OrderResult);
}

/** `refused: it is not signed`: the worker puts the status before the reason. */
function failed(host: string, reason: string): Outcome {
  const [, status, why] = /^(invalid|refused|denied): (.*)$/s.exec(reason) ?? [];
  return { host, status: (status as Outcome['status'] | undefined) ?? 'refused', detail: plain(why ?? reason) };
}

/** A host's answer in words. */
export function describeResult(host: string, result: OrderResult): Outcome {
  switch (result.status) {
    case 'applied': {
      const parts = [count(result.processes, 'process', 'processes')];
      if (result.mechanism) parts.push(`by ${result.mechanism}`);
      if (result.heldBy) parts.push(`still held by ${plain(result.heldBy)}`);
      return { host, status: 'applied', detail: parts.join(', ') };
    }
    case 'stale':
      return { host, status: 'stale', detail: `overtaken by a newer order (version ${result.currentVersion})` };
    case 'expired':
      return { host, status: 'expired', detail: `its time was over ${result.lateMs} ms ago` };
    case 'gone':
    case 'denied':
    case 'refused':
    case 'unsupported':
    case 'invalid':
      return { host, status: result.status, detail: plain(result.why) };
  }
}

async function whyAsleep(redis: Redis, host: string): Promise<string> {
  const { hosts }: FleetView = await readFleet(redis);
  const isKnown = hosts.some((view) => view.host === host);
  return isKnown
    ? 'its worker is not alive; it takes the order up when it comes back'
    : `no worker has ever reported under that name${
        hosts.length > 0
          ? ` (there are ${hosts
              .map((view) => view.host)
              .slice(0, 8)
              .join(', ')})`
          : ''
      }; the order stands until it comes`;
}

/** The exit code that says it: 1 where a host did not do it, 3 where one has not answered. */
export function exitCodeOfOutcomes(outcomes: readonly Outcome[], isFleet: boolean): number {
  const isFailure = ({ status }: Outcome) =>
    status !== 'applied' && status !== 'pending' && !(isFleet && status === 'gone'); // not every host has every user
  if (outcomes.some(isFailure)) return EXIT.failed;
  return outcomes.some(({ status }) => status === 'pending') ? EXIT.unavailable : EXIT.ok;
}

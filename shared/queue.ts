/**
 * The one door to BullMQ: a host's queue, and the consumer of one. Jobs carry complete orders and only wake a worker;
 * state decides (invariant 3), so there is no deduplication, no retry logic and no job that stays active.
 */
import { type ConnectionOptions, type Job, type JobsOptions, Queue, UnrecoverableError, Worker } from 'bullmq';
import { ORDERS_QUEUE, queuePrefix } from './keys.ts';
import type { Order, OrderResult } from './order.ts';
import { blockingOptions, type Redis, type RedisSettings } from './redis/connection.ts';

export type { Job, Queue };

/** How many finished jobs stay readable per host. */
export const JOB_OPTIONS: JobsOptions = {
  removeOnComplete: { count: 100 },
  removeOnFail: { count: 500 },
  // An order is applied against state, so a second try does no harm; it covers a Redis error in the middle of the first.
  attempts: 3,
  backoff: { type: 'fixed', delay: 1_000 },
};

/** A handle on a host's queue, for adding orders or looking at jobs. It shares the given connection and never closes it. */
export function openQueue(host: string, redis: Redis): Queue {
  const queue = new Queue(ORDERS_QUEUE, {
    prefix: queuePrefix(host),
    connection: redis as unknown as ConnectionOptions,
    defaultJobOptions: JOB_OPTIONS,
    skipMetasUpdate: true,
  });
  queue.on('error', () => {}); // connection trouble is reported where the connection is made
  return queue;
}

/** Adds the wake-up for an order. Untarpits and operators go first: lower numbers are served earlier by BullMQ. */
export async function addOrderJob(queue: Queue, order: Order): Promise<string> {
  const isUrgent = order.action === 'untarpit' || order.by.startsWith('operator:');
  const job = await queue.add(order.action, order, isUrgent ? { lifo: true } : {});
  return job.id!;
}

/** Ends a job as failed at once and visibly, with no further try. */
export function failForGood(why: string): never {
  throw new UnrecoverableError(why);
}

export interface ConsumerOptions {
  host: string;
  settings: RedisSettings;
  concurrency: number;
  onJob: (job: Job) => Promise<OrderResult>;
  onError: (error: Error) => void;
  /** Seconds that a fetch waits for a job. */
  drainDelayS?: number;
}

/** Seconds a blocked fetch waits; 1,000 idle hosts cost Redis 0.5 % of a core at 30 and 1.4 % at 5. */
const DRAIN_DELAY_S = 30;
// These two must be the same on every worker of a queue.
const LOCK_DURATION_MS = 30_000;
const STALLED_INTERVAL_MS = 30_000;

export interface Consumer {
  start(): void;
  /** Stops fetching and closes, at once: BullMQ's gentle close can wait for ever when Redis is away. */
  stop(): Promise<void>;
}

/** Takes jobs from a host's queue once started. */
export function openConsumer({
  host,
  settings,
  concurrency,
  onJob,
  onError,
  drainDelayS = DRAIN_DELAY_S,
}: ConsumerOptions): Consumer {
  const worker = new Worker<unknown, OrderResult>(ORDERS_QUEUE, onJob, {
    prefix: queuePrefix(host),
    connection: blockingOptions(settings, drainDelayS * 1_000) as ConnectionOptions,
    concurrency,
    autorun: false,
    drainDelay: drainDelayS,
    lockDuration: LOCK_DURATION_MS,
    stalledInterval: STALLED_INTERVAL_MS,
    maxStalledCount: 10,
    ...JOB_LIMITS,
  });
  worker.on('error', onError);
  return {
    start: () => {
      worker.run().catch(onError);
    },
    stop: () => worker.close(true),
  };
}

/** Jobs that outsiders add carry no options of ours; the worker bounds what it keeps. */
const JOB_LIMITS = { removeOnComplete: { count: 100 }, removeOnFail: { count: 500 } };

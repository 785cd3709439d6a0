/**
 * The BullMQ queue of webhooks. A job only says of whom an endpoint is to be told; what is told stands beside it, so that
 * the latest is told and jobs that come late, twice or in another order do no harm. Owns retries: unlike orders, a
 * webhook that fails is tried again for hours.
 */
import { type ConnectionOptions, DelayedError, type Job, Queue, Worker } from 'bullmq';
import { WEBHOOKS_PREFIX, WEBHOOKS_QUEUE } from '../../shared/keys.ts';
import { blockingOptions, type Redis, type RedisSettings } from '../../shared/redis/connection.ts';

/** Whom to tell, and of whom. */
export interface Errand {
  endpoint: string;
  /** An account, or ABOUT_BRAKE. */
  about: string;
}

/** 5 s, 10 s, 20 s and so on, nearly six hours in all; spread, so that receivers are not met by all at once. */
const ATTEMPTS = 12;
const BACKOFF = { type: 'exponential', delay: 5_000, jitter: 0.3 };
/** Slow receivers hold up others only when there are more of them than this. */
const AT_A_TIME = 10;
const DRAIN_DELAY_S = 10;
const LOCK_DURATION_MS = 30_000;

export class WebhookQueue {
  readonly #queue: Queue<Errand>;

  constructor(redis: Redis) {
    this.#queue = new Queue(WEBHOOKS_QUEUE, {
      prefix: WEBHOOKS_PREFIX,
      connection: redis as unknown as ConnectionOptions,
      skipMetasUpdate: true,
      defaultJobOptions: {
        attempts: ATTEMPTS,
        backoff: BACKOFF,
        removeOnComplete: { count: 100 },
        removeOnFail: { count: 500 },
      },
    });
    this.#queue.on('error', () => {}); // connection trouble is reported where the connection is made
  }

  /** Rejects when Redis cannot be used. */
  async add(errands: readonly Errand[]): Promise<void> {
    await this.#queue.addBulk(errands.map((data) => ({ name: data.endpoint, data })));
  }
}

/** One try of an errand. */
export interface Attempt extends Errand {
  jobId: string;
  isLast: boolean;
}

/** What came of it: done with, or not to be tried before then (milliseconds of the wall clock). A rejection is tried again. */
export type Carried = 'done' | { notBeforeMs: number };

export interface CarrierOptions {
  settings: RedisSettings;
  carry: (attempt: Attempt) => Promise<Carried>;
  onError: (error: Error) => void;
}

export interface Carrier {
  start(): void;
  /** At once: BullMQ's gentle close can wait for ever when Redis is away. What was under way is tried again elsewhere. */
  stop(): Promise<void>;
}

/** Takes errands from the queue once started. */
export function openCarrier({ settings, carry, onError }: CarrierOptions): Carrier {
  const work = async (job: Job<Errand>, token?: string) => {
    const isLast = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
    const carried = await carry({ ...job.data, jobId: job.id!, isLast });
    if (carried === 'done') return;
    await job.moveToDelayed(carried.notBeforeMs, token);
    throw new DelayedError();
  };
  const worker = new Worker<Errand>(WEBHOOKS_QUEUE, work, {
    prefix: WEBHOOKS_PREFIX,
    connection: blockingOptions(settings, DRAIN_DELAY_S * 1_000) as ConnectionOptions,
    concurrency: AT_A_TIME,
    autorun: false,
    drainDelay: DRAIN_DELAY_S,
    lockDuration: LOCK_DURATION_MS,
    stalledInterval: LOCK_DURATION_MS,
    maxStalledCount: 10,
    removeOnComplete: { count: 100 },
    removeOnFail: { count: 500 },
  });
  worker.on('error', onError);
  return {
    start: () => {
      worker.run().catch(onError);
    },
    stop: () => worker.close(true),
  };
}

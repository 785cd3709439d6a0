/**
 * Forgets what has ended: orders and tombstones past their last use, of every host and of the fleet, so that the
 * desired state stays small. Never touches a record that still counts, nor one that cannot be read.
 */
import type { Clock, Timer } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import { fleetKeys } from '../shared/keys.ts';
import type { Logger } from '../shared/log.ts';
import { FLEET } from '../shared/order.ts';
import { type Redis, redisNowMs } from '../shared/redis/connection.ts';
import { forgetEnded, readDesired, readFleetChanges } from '../shared/redis/desired.ts';

const EVERY_MS = 10 * 60_000;

export class Janitor {
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #log: Logger;
  #timer: Timer | undefined;

  constructor(redis: Redis, clock: Clock, log: Logger) {
    this.#redis = redis;
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    this.#timer = this.#clock.every(EVERY_MS, async () => {
      await this.runOnce().catch((error) => this.#log.warn(`the janitor waits: ${messageOf(error)}`));
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** One round over all hosts, one after the other. Returns how many records went. Rejects when Redis is away. */
  async runOnce(): Promise<number> {
    const nowMs = await redisNowMs(this.#redis);
    let forgotten = await forgetEnded(this.#redis, FLEET, await readFleetChanges(this.#redis, 0), nowMs);
    for (const host of await this.#redis.smembers(fleetKeys.hosts)) {
      try {
        forgotten += await forgetEnded(this.#redis, host, await readDesired(this.#redis, host), nowMs);
      } catch (error) {
        if (!(error instanceof Error && error.name === 'ReplyError')) throw error;
        this.#log.warn({ host }, `its desired state cannot be cleaned: ${error.message}`);
      }
    }
    if (forgotten > 0) this.#log.info({ forgotten }, 'forgot ended orders');
    return forgotten;
  }
}

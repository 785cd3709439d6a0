/**
 * The meter: CPU seconds per user on this host, published for sites that have no accounting of their own. Owns when it
 * looks and what is written into Redis; how it counts, and what that misses, stands in metered-cpu.ts. Counts from when
 * the worker started; the producer adds up differences.
 */
import type { Clock, Timer } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import { hostKeys } from '../shared/keys.ts';
import type { Logger } from '../shared/log.ts';
import type { Redis } from '../shared/redis/connection.ts';
import type { UserSlices } from './cgroups/user-slices.ts';
import type { Engine } from './engine/engine.ts';
import { MeteredCpu } from './metered-cpu.ts';
import type { ProcessTable } from './process/table.ts';
import { nameUid } from './users.ts';

export interface MeterParts {
  redis: Redis;
  host: string;
  /** Names this count: it starts anew with each worker. */
  epoch: () => string;
  table: ProcessTable;
  slices: UserSlices;
  engine: Engine;
  minUid: number;
  everyMs: number;
  redisNowMs: () => number;
  clock: Clock;
  log: Logger;
}

export class Meter {
  readonly #parts: MeterParts;
  readonly #cpu: MeteredCpu;
  readonly #names = new Map<number, string>();
  #timer: Timer | undefined;
  #isBegun = false;

  constructor(parts: MeterParts) {
    this.#parts = parts;
    this.#cpu = new MeteredCpu(parts.minUid);
  }

  start(): void {
    this.#timer = this.#parts.clock.every(this.#parts.everyMs, () => this.run());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** One look, published. */
  async run(): Promise<void> {
    const { engine, table, slices, redis, host, epoch, redisNowMs, log, everyMs } = this.#parts;
    await engine.survey(everyMs / 4);
    const secondsByUid = this.#cpu.look(table.entries(), slices.look());
    try {
      const fields: Record<string, string> = { boot: epoch(), at: String(Math.round(redisNowMs())) };
      for (const [uid, seconds] of secondsByUid) {
        const name = await this.#nameOf(uid);
        fields[name === String(uid) ? `uid:${uid}` : `user:${name}`] = seconds.toFixed(2);
      }
      const pipeline = redis.multi();
      // Figures of an earlier count must not stand under the name of this one.
      if (!this.#isBegun) pipeline.del(hostKeys.meter(host));
      await pipeline.hset(hostKeys.meter(host), fields).exec();
      this.#isBegun = true;
    } catch (error) {
      log.debug(`meter: ${messageOf(error)}`);
    }
  }

  async #nameOf(uid: number): Promise<string> {
    let name = this.#names.get(uid);
    if (name === undefined) {
      name = await nameUid(uid);
      this.#names.set(uid, name);
    }
    return name;
  }
}

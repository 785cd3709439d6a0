/**
 * The meter: CPU seconds per user on this host, counted from /proc, for sites that have no accounting of their own.
 * Counts from when the worker started; the producer adds up differences. Missed: processes that live and die between
 * two looks with a parent that does not wait for them.
 */
import type { Clock, Timer } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import { hostKeys } from '../shared/keys.ts';
import type { Logger } from '../shared/log.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { CpuCounter } from './engine/cpu-counter.ts';
import type { Engine } from './engine/engine.ts';
import { TICKS_PER_SECOND } from './process/stat.ts';
import type { ProcessEntry, ProcessTable } from './process/table.ts';
import { nameUid } from './users.ts';

/** Users that are metered at most; past it the newest are left out, and that is said. */
const MAX_USERS = 10_000;

export interface MeterParts {
  redis: Redis;
  host: string;
  /** Names this count: it starts anew with each worker. */
  epoch: () => string;
  table: ProcessTable;
  engine: Engine;
  minUid: number;
  everyMs: number;
  redisNowMs: () => number;
  clock: Clock;
  log: Logger;
}

export class Meter {
  readonly #parts: MeterParts;
  readonly #counters = new Map<number, CpuCounter>();
  readonly #names = new Map<number, string>();
  #timer: Timer | undefined;
  #isBegun = false;

  constructor(parts: MeterParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = this.#parts.clock.every(this.#parts.everyMs, () => this.run());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** One look, published. */
  async run(): Promise<void> {
    const { engine, table, redis, host, epoch, redisNowMs, log, everyMs } = this.#parts;
    await engine.survey(everyMs / 4);
    this.#count(table.entries());
    try {
      const fields: Record<string, string> = { boot: epoch(), at: String(Math.round(redisNowMs())) };
      for (const [uid, counter] of this.#counters) {
        const name = await this.#nameOf(uid);
        fields[name === String(uid) ? `uid:${uid}` : `user:${name}`] = (counter.totalTicks / TICKS_PER_SECOND).toFixed(
          2,
        );
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

  #count(entries: Iterable<ProcessEntry>): void {
    const byUid = new Map<number, ProcessEntry[]>();
    for (const entry of entries) {
      if (entry.realUid === null || entry.realUid < this.#parts.minUid || entry.isKernelThread) continue;
      const others = byUid.get(entry.realUid);
      if (others) others.push(entry);
      else byUid.set(entry.realUid, [entry]);
    }
    for (const uid of byUid.keys()) {
      if (!this.#counters.has(uid) && this.#counters.size < MAX_USERS) this.#counters.set(uid, new CpuCounter());
    }
    for (const [uid, counter] of this.#counters) counter.look(byUid.get(uid) ?? []);
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

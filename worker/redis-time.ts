/**
 * Redis's clock as this host knows it between two looks: an offset to the boot clock. The wall clock of the host is
 * never asked, so a host whose clock is an hour off expires its orders like any other (invariant 2).
 */
import type { Clock } from '../shared/clock.ts';
import { type Redis, redisNowMs } from '../shared/redis/connection.ts';

export class RedisTime {
  readonly #clock: Clock;
  #offsetMs: number | undefined;
  /** Round trip of the last look, milliseconds; null: never looked, or Redis away. */
  roundTripMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isKnown(): boolean {
    return this.#offsetMs !== undefined;
  }

  /** Milliseconds since 1970 by Redis's clock. */
  nowMs(): number {
    return this.#clock.bootMs() + (this.#offsetMs ?? this.#clock.wallMs() - this.#clock.bootMs());
  }

  /** Asks Redis. Rejects when it is away; the last offset then stays. */
  async refresh(redis: Redis): Promise<void> {
    const askedAtMs = this.#clock.monotonicMs();
    this.roundTripMs = null;
    const nowMs = await redisNowMs(redis);
    this.roundTripMs = this.#clock.monotonicMs() - askedAtMs;
    this.#offsetMs = nowMs + this.roundTripMs / 2 - this.#clock.bootMs();
  }
}

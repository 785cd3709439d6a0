/**
 * Redis's clock as this host knows it between two looks: an offset to the boot clock. The wall clock of the host is
 * never asked, so a host whose clock is an hour off expires its orders like any other (invariant 2).
 *
 * It never goes back. Where Redis's clock does (set right, or by somebody who wants an old order carried out again), time
 * stands still here until Redis has caught up: what has once expired stays so. Meanwhile new orders seem shorter than
 * they are, which lets go too early and never too late. A worker that is started anew believes Redis anew.
 */
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { type Redis, redisNowMs } from '../shared/redis/connection.ts';

/** Looks differ by their round trips; a clock that goes back further is worth a word. */
const SAID_FROM_MS = 2_000;

export class RedisTime {
  readonly #clock: Clock;
  readonly #log: Logger;
  #offsetMs: number | undefined;
  /** The latest that was ever told. */
  #latestMs = 0;
  #isBehind = false;
  /** Round trip of the last look, milliseconds; null: never looked, or Redis away. */
  roundTripMs: number | null = null;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  get isKnown(): boolean {
    return this.#offsetMs !== undefined;
  }

  /** Milliseconds since 1970 by Redis's clock. */
  nowMs(): number {
    if (this.#offsetMs === undefined) return this.#clock.wallMs();
    this.#latestMs = Math.max(this.#latestMs, this.#clock.bootMs() + this.#offsetMs);
    return this.#latestMs;
  }

  /** Asks Redis. Rejects when it is away; the last offset then stays. */
  async refresh(redis: Pick<Redis, 'time'>): Promise<void> {
    const askedAtMs = this.#clock.monotonicMs();
    this.roundTripMs = null;
    const redisMs = await redisNowMs(redis);
    this.roundTripMs = this.#clock.monotonicMs() - askedAtMs;
    const knownMs = this.nowMs();
    const nowMs = redisMs + this.roundTripMs / 2;
    if (this.isKnown) this.#sayIfBack(knownMs - nowMs);
    this.#offsetMs = nowMs - this.#clock.bootMs();
  }

  #sayIfBack(backMs: number): void {
    const isBehind = backMs > SAID_FROM_MS;
    if (isBehind && !this.#isBehind)
      this.#log.error(
        { backMs: Math.round(backMs) },
        "Redis's clock went back: time stands still here until it has caught up, and orders end sooner than they say; if it was wrong before, restart this worker",
      );
    this.#isBehind = isBehind;
  }
}

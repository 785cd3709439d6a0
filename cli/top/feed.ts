/**
 * Looks at the fleet, or at one host, again and again, and keeps the last picture when Redis is away: then `failure`
 * says why, and the picture grows old. Reads only.
 */
import type { Clock } from '../../shared/clock.ts';
import { HobblerError } from '../../shared/errors.ts';
import { fleetKeys } from '../../shared/keys.ts';
import { type Redis, redisNowMs, whyUnreachable } from '../../shared/redis/connection.ts';
import { type FleetView, parseHold, readFleet, readHost } from '../../shared/redis/fleet.ts';

export interface Look {
  view: FleetView;
  /** On the monotonic clock, milliseconds. */
  atMs: number;
  roundTripMs: number;
}

/** The view of the whole fleet, or of one host; with no host in it when none reports under that name. */
export async function readView(redis: Redis, host?: string): Promise<FleetView> {
  if (host === undefined) return readFleet(redis);
  const [nowMs, names, holdText] = await Promise.all([
    redisNowMs(redis),
    redis.smembers(fleetKeys.hosts),
    redis.get(fleetKeys.hold),
  ]);
  const hosts = names.includes(host) ? [await readHost(redis, host, nowMs)] : [];
  return { nowMs, hold: parseHold(holdText), hosts };
}

export class FleetFeed {
  readonly host: string | undefined;
  readonly #redis: Redis;
  readonly #clock: Clock;
  #look: Look | undefined;
  #failure: string | undefined;
  #reading: Promise<void> | undefined;

  constructor(redis: Redis, clock: Clock, host?: string) {
    this.#redis = redis;
    this.#clock = clock;
    this.host = host;
  }

  /** The last look that succeeded. */
  get look(): Look | undefined {
    return this.#look;
  }

  /** Why the last try failed; undefined when it did not. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Looks once, and never twice at a time. Never rejects: what went wrong is `failure`. */
  read(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    try {
      const startedAtMs = this.#clock.monotonicMs();
      await redisNowMs(this.#redis);
      const atMs = this.#clock.monotonicMs();
      this.#look = { view: await readView(this.#redis, this.host), atMs, roundTripMs: atMs - startedAtMs };
      this.#failure = undefined;
    } catch (error) {
      this.#failure = whyUnreachable(this.#redis, error);
    }
  }

  /** The first look. Throws redis-unavailable when it fails: there is no picture to go on with. */
  async begin(): Promise<Look> {
    await this.read();
    if (this.#look) return this.#look;
    throw new HobblerError('redis-unavailable', `Redis cannot be read (${this.#failure ?? 'no reason given'})`);
  }
}

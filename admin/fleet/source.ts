/**
 * Reads the fleet for the pages: what hosts report, and what they were asked to do. However many people look, Redis is
 * read once at a time and a reading is shared for half a second. Never writes. When Redis is away it says so and gives
 * the last thing it saw, with its age, because that is what an operator has then.
 */
import { type Clock, within } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { type DesiredState, readDesired, readFleetChanges } from '../../shared/redis/desired.ts';
import { type FleetView, readFleet } from '../../shared/redis/fleet.ts';
import { buildFleet, type Fleet } from './model.ts';

/** What Redis holds about the fleet, read together. */
export interface FleetReading {
  view: FleetView;
  fleetOrders: DesiredState;
  hostOrders: Map<string, DesiredState>;
}

export type FleetAnswer =
  | { redis: 'here'; fleet: Fleet }
  | { redis: 'away'; why: string; last: { fleet: Fleet; ageMs: number } | null };

/** Longer than this a page does not wait for Redis, milliseconds. */
const READ_LIMIT_MS = 2_000;
/** A reading younger than this serves the next request too, milliseconds. */
export const SHARED_FOR_MS = 500;

export class FleetSource {
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #log: Logger;
  #current: { answer: Promise<FleetAnswer>; sinceMs: number } | null = null;
  #last: { fleet: Fleet; atMs: number } | null = null;

  constructor(redis: Redis, clock: Clock, log: Logger) {
    this.#redis = redis;
    this.#clock = clock;
    this.#log = log;
  }

  /** The fleet as it is now. Never rejects. */
  read(): Promise<FleetAnswer> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#current === null || nowMs - this.#current.sinceMs > SHARED_FOR_MS) {
      this.#current = { answer: this.#read(), sinceMs: nowMs };
    }
    return this.#current.answer;
  }

  /** The same, read after this call: for who acts on it, and for the page after a change. Never rejects. */
  readAnew(): Promise<FleetAnswer> {
    this.forget();
    return this.read();
  }

  /** Call after a change: the next page must show it. */
  forget(): void {
    this.#current = null;
  }

  async #read(): Promise<FleetAnswer> {
    try {
      const reading = await within(this.#clock, READ_LIMIT_MS, readAll(this.#redis));
      if (!reading.done) return this.#away(`no answer within ${READ_LIMIT_MS / 1000} s`);
      const fleet = buildFleet(reading.value);
      this.#last = { fleet, atMs: this.#clock.monotonicMs() };
      return { redis: 'here', fleet };
    } catch (error) {
      return this.#away(messageOf(error));
    }
  }

  #away(why: string): FleetAnswer {
    this.#log.debug({ why }, 'fleet cannot be read');
    const last = this.#last && { fleet: this.#last.fleet, ageMs: this.#clock.monotonicMs() - this.#last.atMs };
    return { redis: 'away', why, last };
  }
}

/** Everything the pages need. The orders of the hosts are read once their names are known. */
export async function readAll(redis: Redis): Promise<FleetReading> {
  const [view, fleetOrders] = await Promise.all([readFleet(redis), readFleetChanges(redis, 0)]);
  const orders = await Promise.all(view.hosts.map(async ({ host }) => [host, await readDesired(redis, host)] as const));
  return { view, fleetOrders, hostOrders: new Map(orders) };
}

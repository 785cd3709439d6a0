/**
 * The fleet as the pages show it, kept up in this process: Redis is read in rounds, some hosts at a time so that a page
 * never waits long behind one, and only what changed is parsed and worked out again. However many people look, there is
 * one round. Never writes. When Redis is away it says so and gives the last thing it saw, with its age, because that is
 * what an operator has then.
 *
 *   somebody looks: a round a second    nobody: one every ten, so that the first look at a large fleet is quick too
 */
import { type Clock, sleep, type Timer, within } from '../../shared/clock.ts';
import { HobblerError, messageOf } from '../../shared/errors.ts';
import { fleetKeys, hostKeys } from '../../shared/keys.ts';
import type { Logger } from '../../shared/log.ts';
import { type Redis, redisNowMs } from '../../shared/redis/connection.ts';
import { type DesiredState, readFleetChanges } from '../../shared/redis/desired.ts';
import { type FleetView, parseHold } from '../../shared/redis/fleet.ts';
import { HostMirror, type RawHost } from './mirror.ts';
import { buildHost, composeFleet, type Fleet, type FleetWide, type HostPart, NO_ORDERS } from './model.ts';

/** What Redis holds about the fleet, read together. */
export interface FleetReading {
  view: FleetView;
  fleetOrders: DesiredState;
  hostOrders: Map<string, DesiredState>;
}

export type FleetAnswer =
  | { redis: 'here'; fleet: Fleet }
  | { redis: 'away'; why: string; last: { fleet: Fleet; ageMs: number } | null };

/** Longer than this no answer of Redis is waited for, milliseconds. */
const READ_LIMIT_MS = 2_000;
/** A reading that began less than this ago serves the next request too, milliseconds. */
export const SHARED_FOR_MS = 500;
/** Between two rounds while somebody looks, and while nobody does, milliseconds. */
const WATCHED_EVERY_MS = 1_000;
const IDLE_EVERY_MS = 10_000;
/** A round may take this part of the time at most: a fleet for which it is long is read less often. */
const BUSY_RATIO = 0.25;
/** Who asks for a page waits for a round that takes no longer than this, milliseconds; of a larger fleet he gets the last. */
const QUICK_ROUND_MS = 150;
/** No page of a larger fleet is older than this, milliseconds. */
const TOLERABLE_AGE_MS = 15_000;
/** Hosts that are read at a time: about 5 ms of work, with ten targets each. */
const HOSTS_AT_A_TIME = 50;
/** The fleet's orders are read whole that often, since records that have ended go without a new revision. */
const WHOLE_EVERY_MS = 5 * 60_000;

interface KnownPart {
  part: HostPart;
  view: unknown;
  orders: DesiredState;
  wide: FleetWide;
}

export class FleetSource {
  readonly #redis: Redis;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #listeners = new Set<() => void>();
  readonly #mirrors = new Map<string, HostMirror>();
  readonly #parts = new Map<string, KnownPart>();
  #wide: FleetWide = { hold: null, orders: NO_ORDERS };
  #holdText: string | null = null;
  #revision = 0;
  #wholeAtMs = Number.NEGATIVE_INFINITY;
  /** What to add to the monotonic clock to get Redis's; null: it was never asked. */
  #offsetMs: number | null = null;
  /** When the last round that is over began; on the monotonic clock, milliseconds. */
  #roundAtMs = Number.NEGATIVE_INFINITY;
  #roundTookMs = 0;
  /** When there was a whole picture last. */
  #seenAtMs: number | null = null;
  #away: string | null = null;
  #running: Promise<void> | null = null;
  #isForgotten = false;
  #fleet: Fleet | null = null;
  #watchers = 0;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(redis: Redis, clock: Clock, log: Logger) {
    this.#redis = redis;
    this.#clock = clock;
    this.#log = log;
  }

  /** From here on rounds are made without being asked for. */
  start(): void {
    this.#schedule(0);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#listeners.clear();
  }

  /** Tells `onRound` after each round, which then come every second, until what is returned is called. */
  watch(onRound: () => void): () => void {
    const listener = () => onRound();
    this.#listeners.add(listener);
    this.#watchers++;
    if (this.#watchers === 1 && this.#timer) this.#schedule(WATCHED_EVERY_MS);
    return () => {
      if (this.#listeners.delete(listener)) this.#watchers--;
    };
  }

  /** The fleet as it is now. Never rejects. */
  async read(): Promise<FleetAnswer> {
    const ageMs = this.#clock.monotonicMs() - this.#roundAtMs;
    if (this.#isForgotten) await this.#roundAfterNow();
    else if (ageMs > SHARED_FOR_MS) {
      const round = this.#round();
      const isLarge = this.#roundTookMs > QUICK_ROUND_MS && this.#away === null;
      if (!isLarge || ageMs > TOLERABLE_AGE_MS) await round;
    }
    return this.now();
  }

  /** The same, read after this call: for who acts on it, and for the page after a change. Never rejects. */
  async readAnew(): Promise<FleetAnswer> {
    await this.#roundAfterNow();
    return this.now();
  }

  /** Call after a change: the next page must show it. */
  forget(): void {
    this.#isForgotten = true;
  }

  /** What was seen last, at this moment. */
  now(): FleetAnswer {
    const fleet = this.#seenAtMs === null ? null : this.#compose();
    if (this.#away === null && fleet) return { redis: 'here', fleet };
    const last = fleet && { fleet, ageMs: this.#clock.monotonicMs() - this.#seenAtMs! };
    return { redis: 'away', why: this.#away ?? 'it was not asked yet', last };
  }

  /** Redis's clock as this process knows it, milliseconds; the wall's where it was never asked. */
  get nowMs(): number {
    return this.#offsetMs === null ? this.#clock.wallMs() : Math.round(this.#clock.monotonicMs() + this.#offsetMs);
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(delayMs, async () => {
      await this.#round();
      if (this.#isStopped) return;
      const everyMs = this.#watchers > 0 ? WATCHED_EVERY_MS : IDLE_EVERY_MS;
      this.#schedule(Math.max(everyMs, this.#roundTookMs / BUSY_RATIO));
    });
  }

  async #roundAfterNow(): Promise<void> {
    // One that is under way may have read before the change.
    if (this.#running) await this.#running;
    await this.#round();
  }

  /** One round; the one under way, where there is one. Never rejects. */
  #round(): Promise<void> {
    this.#running ??= this.#readAll().finally(() => {
      this.#running = null;
      for (const listener of this.#listeners) listener();
    });
    return this.#running;
  }

  async #readAll(): Promise<void> {
    const startedAtMs = this.#clock.monotonicMs();
    this.#isForgotten = false;
    try {
      const names = await this.#readHead();
      for (let first = 0; first < names.length; first += HOSTS_AT_A_TIME) {
        // In between, whoever waits for a page gets his turn.
        if (first > 0) await sleep(this.#clock, 0);
        await this.#readHosts(names.slice(first, first + HOSTS_AT_A_TIME));
      }
      const known = new Set(names);
      for (const host of this.#mirrors.keys()) if (!known.has(host)) this.#mirrors.delete(host);
      for (const host of this.#parts.keys()) if (!known.has(host)) this.#parts.delete(host);
      this.#away = null;
      this.#seenAtMs = startedAtMs;
    } catch (error) {
      this.#away = messageOf(error);
      this.#log.debug({ why: this.#away }, 'fleet cannot be read');
    }
    this.#fleet = null;
    this.#roundAtMs = startedAtMs;
    this.#roundTookMs = this.#clock.monotonicMs() - startedAtMs;
  }

  /** What concerns all hosts, and their names in order. */
  async #readHead(): Promise<string[]> {
    const askedAtMs = this.#clock.monotonicMs();
    const isWholeDue = askedAtMs - this.#wholeAtMs > WHOLE_EVERY_MS;
    const [nowMs, names, holdText, changes] = await this.#within(
      Promise.all([
        redisNowMs(this.#redis),
        this.#redis.smembers(fleetKeys.hosts),
        this.#redis.get(fleetKeys.hold),
        readFleetChanges(this.#redis, isWholeDue ? 0 : this.#revision),
      ]),
    );
    this.#offsetMs = nowMs - askedAtMs;
    const { revision, isWhole, records, broken } = changes;
    this.#revision = revision;
    if (isWhole) this.#wholeAtMs = askedAtMs;
    const before = this.#wide.orders;
    const count = records.size + broken.length + (isWhole ? before.records.size + before.broken.length : 0);
    if (holdText !== this.#holdText || count > 0) {
      this.#holdText = holdText;
      this.#wide = {
        hold: parseHold(holdText),
        orders: isWhole
          ? { records, broken }
          : { records: new Map([...before.records, ...records]), broken: [...before.broken, ...broken] },
      };
    }
    return names.sort();
  }

  async #readHosts(names: readonly string[]): Promise<void> {
    const pipeline = this.#redis.pipeline();
    for (const host of names) {
      pipeline.get(hostKeys.status(host)).get(hostKeys.hold(host));
      pipeline.hgetall(hostKeys.observed(host)).hgetall(hostKeys.desired(host));
    }
    const replies = (await this.#within(pipeline.exec())) ?? [];
    names.forEach((host, index) => {
      const [status, hold, observed, desired] = replies.slice(index * 4, index * 4 + 4).map(([error, reply]) => {
        if (error) throw error;
        return reply;
      });
      const mirror = this.#mirrors.get(host) ?? new HostMirror(host);
      this.#mirrors.set(host, mirror);
      mirror.take({ status, hold, observed, desired } as RawHost);
    });
  }

  async #within<T>(asked: Promise<T>): Promise<T> {
    const answer = await within(this.#clock, READ_LIMIT_MS, asked);
    if (answer.done) return answer.value;
    throw new HobblerError('redis-unavailable', `no answer within ${READ_LIMIT_MS / 1000} s`);
  }

  /** The whole picture; worked out again only where a record, or time, has changed something. */
  #compose(): Fleet {
    const { nowMs } = this;
    let isChanged = this.#fleet === null;
    const parts: HostPart[] = [];
    for (const [host, mirror] of [...this.#mirrors].sort(byName)) {
      const [view, orders, wide] = [mirror.viewAt(nowMs), mirror.orders, this.#wide];
      let known = this.#parts.get(host);
      const isGood = known?.view === view && known.orders === orders && known.wide === wide;
      if (!known || !isGood || known.part.goodUntilMs <= nowMs) {
        known = { part: buildHost(view, orders, wide, nowMs), view, orders, wide };
        this.#parts.set(host, known);
        isChanged = true;
      }
      parts.push(known.part);
    }
    if (isChanged || !this.#fleet) this.#fleet = composeFleet(parts, this.#wide, nowMs);
    else this.#fleet = { ...this.#fleet, nowMs };
    return this.#fleet;
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

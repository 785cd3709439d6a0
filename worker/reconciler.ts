/**
 * Reconcile: make observed equal desired, from whatever state things are in. Reads the host's and the fleet's orders
 * and gives each target's newest to the order book. At start, after a reconnect, and every 10 s; jobs only make it
 * sooner (invariant 3). A record that cannot be read or trusted is said once and hides nothing else.
 */
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { FLEET, type Order, recordEndsAtMs } from '../shared/order.ts';
import type { Redis } from '../shared/redis/connection.ts';
import {
  type DesiredState,
  type FleetChanges,
  forgetEnded,
  readDesired,
  readFleetChanges,
} from '../shared/redis/desired.ts';
import type { OrderBook } from './order-book.ts';

export const RECONCILE_EVERY_MS = 10_000;
/** Orders begun between two turns of the event loop: each costs up to a millisecond, and the phases go on meanwhile. */
const AT_ONCE = 20;

/** A record as it was read last. */
interface Read {
  text: string;
  version: number;
  /** When it may be forgotten, milliseconds of Redis's clock. */
  endsAtMs: number;
  /** The reconcile in which it was last seen. */
  turn: number;
}

export class Reconciler {
  readonly #redis: Redis;
  readonly #host: string;
  readonly #book: OrderBook;
  readonly #nowMs: () => number;
  readonly #log: Logger;
  #revision = 0;
  readonly #read = new Map<string, Read>();
  #turn = 0;
  #running: Promise<void> | undefined;
  /** What has been complained of, so that a broken record fills no log. */
  readonly #complaints = new Map<string, string>();

  constructor(redis: Redis, host: string, book: OrderBook, nowMs: () => number, log: Logger) {
    this.#redis = redis;
    this.#host = host;
    this.#book = book;
    this.#nowMs = nowMs;
    this.#log = log;
  }

  /** One whole reconcile; calls during one share it. Rejects when Redis is away. */
  async run(): Promise<void> {
    this.#running ??= this.#runOnce().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #runOnce(): Promise<void> {
    const [own, fleet] = await Promise.all([this.#readOwn(), readFleetChanges(this.#redis, this.#revision)]);
    await this.#take(own);
    await this.#takeChanges(fleet);
    await forgetEnded(this.#redis, this.#host, own, this.#nowMs());
  }

  /**
   * This host's orders, without those that are as they were and stand: of 10,000 that nobody changed, parsing all would
   * cost 0.1 s each time.
   */
  async #readOwn(): Promise<DesiredState> {
    const nowMs = this.#nowMs();
    const turn = ++this.#turn;
    const state = await readDesired(this.#redis, this.#host, (target, text) => {
      const before = this.#read.get(target);
      if (before?.text !== text || before.endsAtMs < nowMs || !this.#stands(target, before.version)) return false;
      before.turn = turn;
      return true;
    });
    for (const [target, { text, order }] of state.records)
      this.#read.set(target, { text, version: order.version, endsAtMs: recordEndsAtMs(order), turn });
    for (const [target, read] of this.#read) if (read.turn !== turn) this.#read.delete(target);
    return state;
  }

  /** The fleet's orders that changed since the last time. */
  async takeFleet(): Promise<void> {
    await this.#takeChanges(await readFleetChanges(this.#redis, this.#revision));
  }

  async #takeChanges(changes: FleetChanges): Promise<void> {
    await this.#take(changes);
    this.#revision = changes.revision;
  }

  async #take(state: DesiredState): Promise<void> {
    for (const { target, why } of state.broken)
      this.#complain(target, `a record of the desired state cannot be read: ${why}`);
    // Side by side: a user who cannot be looked up soon holds up nobody else.
    const turns: Promise<void>[] = [];
    for (const { order, raw } of state.records.values()) {
      if (this.#stands(order.target, order.version)) continue;
      turns.push(this.#takeOne(order, raw));
      if (turns.length % AT_ONCE === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await Promise.all(turns);
  }

  async #takeOne(order: Order, raw: Record<string, unknown>): Promise<void> {
    try {
      const refusal = this.#book.check(order, raw);
      if (refusal && 'why' in refusal)
        return this.#complain(order.target, `an order in the desired state is ${refusal.status}: ${refusal.why}`);
      await this.#book.apply(order);
    } catch (error) {
      this.#complain(order.target, `an order in the desired state cannot be carried out: ${messageOf(error)}`);
    }
  }

  /** An order that is carried out already needs no second look (and no second check of its signature). */
  #stands(target: string, version: number): boolean {
    const entry = this.#book.entries.get(target);
    if (!entry || entry.order.version < version) return false;
    if (entry.order.version > version) return true;
    return entry.result.status === 'applied' || entry.result.status === 'expired';
  }

  #complain(target: string, what: string): void {
    if (this.#complaints.get(target) === what) return;
    if (this.#complaints.size > 1_000) this.#complaints.clear();
    this.#complaints.set(target, what);
    this.#log.warn({ target, host: this.#host, fleet: FLEET }, what);
  }
}

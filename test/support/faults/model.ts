/**
 * The model: what orders stand for a host, and what may be known of them where, kept beside a world in which parts die.
 * Pure; it knows no processes but by identity, and no Redis. What it says must be so, and what it leaves open could not
 * be known by anybody (a write that Redis lost before the worker had seen it).
 *
 *   known    the worker has carried it out, by its own word
 *   maybe    the worker may have seen it
 *   stored   Redis has it, by its own word
 */
import type { ProcessId } from '../../../shared/target.ts';
import type { HoldScope, Road } from './history.ts';

export interface Cycle {
  runMs: number;
  stopMs: number;
}

/** An order as histories give them. Times on Redis's clock, milliseconds. */
export interface GivenOrder {
  action: 'tarpit' | 'untarpit';
  target: string;
  road: Road;
  cycle: Cycle;
  version: number;
  issuedAtMs: number;
  /** Of an untarpit: 0. */
  expiresAtMs: number;
}

export interface ModelProcess extends ProcessId {
  account: number;
  parent: ModelProcess | null;
  isAlive: boolean;
}

/** What a world says came of an order. */
export type Answer = 'applied' | 'stale' | 'written' | 'refused' | 'unknown';

type Orders = Map<string, GivenOrder>;

const isFleets = ({ road }: GivenOrder) => road === 'fleet';

export class Model {
  readonly processes: ModelProcess[] = [];
  readonly #known: Orders = new Map();
  readonly #maybe = new Map<string, Set<GivenOrder>>();
  #stored: { own: Orders; fleet: Orders } = { own: new Map(), fleet: new Map() };
  #snapshot: { own: Orders; fleet: Orders; holds: Set<HoldScope> } | undefined;
  /** The newest version that was ever on its way to a worker, by target. A host remembers it over a restart of its worker. */
  readonly #newestSent = new Map<string, number>();
  /** Given, and nobody has said that it arrived: who gave them tries again until somebody does. */
  readonly outbox = new Set<GivenOrder>();
  /** Every order given so far. */
  readonly given: GivenOrder[] = [];
  /** Those in Redis, and the local one. */
  readonly holds = new Set<HoldScope>();

  /** An order leaves its giver: from here on the worker may learn of it. */
  sent(order: GivenOrder): void {
    this.outbox.add(order);
    this.#newestSent.set(order.target, Math.max(order.version, this.#newestSent.get(order.target) ?? 0));
    const others = this.#maybe.get(order.target) ?? new Set();
    this.#maybe.set(order.target, others.add(order));
  }

  /** What came of it, by the word of Redis (`written`) or of the worker. */
  answered(order: GivenOrder, answer: Answer): void {
    if (answer === 'unknown') return;
    this.outbox.delete(order);
    if (answer === 'refused') {
      this.#maybe.get(order.target)?.delete(order);
      return;
    }
    if (answer === 'applied') newest(this.#known, order);
    if (answer !== 'stale') newest(isFleets(order) ? this.#stored.fleet : this.#stored.own, order);
  }

  /** A worker begins with what Redis has. */
  workerEnded(): void {
    this.#known.clear();
    this.#maybe.clear();
    for (const order of this.outbox)
      this.#maybe.set(order.target, new Set([order, ...(this.#maybe.get(order.target) ?? [])]));
    for (const order of [...this.#stored.own.values(), ...this.#stored.fleet.values()])
      this.#maybe.set(order.target, new Set([order, ...(this.#maybe.get(order.target) ?? [])]));
  }

  /** Another worker may have been in charge meanwhile, whose knowledge is gone with it. */
  workerMayHaveChanged(): void {
    for (const order of this.#known.values()) this.#maybe.get(order.target)?.add(order);
    this.#known.clear();
  }

  redisLostAll(): void {
    this.#stored = { own: new Map(), fleet: new Map() };
    for (const scope of this.holds) if (scope !== 'local') this.holds.delete(scope);
  }

  /** Nothing may be under way when it is taken. */
  snapshotTaken(): void {
    const { own, fleet } = this.#stored;
    this.#snapshot = { own: new Map(own), fleet: new Map(fleet), holds: new Set(this.holds) };
  }

  get hasSnapshot(): boolean {
    return this.#snapshot !== undefined;
  }

  snapshotRestored(): void {
    const { own, fleet, holds } = this.#snapshot!;
    const isLocal = this.holds.has('local');
    this.redisLostAll();
    this.#stored = { own: new Map(own), fleet: new Map(fleet) };
    for (const scope of holds) if (scope !== 'local') this.holds.add(scope);
    if (isLocal) this.holds.add('local');
  }

  get isHeld(): boolean {
    return this.holds.size > 0;
  }

  /** Targets that anything has ever been said of. */
  get targets(): Set<string> {
    return new Set(this.given.map(({ target }) => target));
  }

  /**
   * The order that must stand for a target; one of these may stand in its place, all newer. Older than what the host once
   * saw, it may be taken for stale, so that nothing stands: Redis has lost the newer one.
   */
  standing(target: string): { must: GivenOrder | undefined; may: GivenOrder[]; mayBeStale: boolean } {
    const all = [this.#known, this.#stored.own, this.#stored.fleet].flatMap((orders) => orders.get(target) ?? []);
    const must = all.reduce<GivenOrder | undefined>((a, b) => (a && a.version >= b.version ? a : b), undefined);
    const may = [...(this.#maybe.get(target) ?? [])].filter(({ version }) => version > (must?.version ?? 0));
    return { must, may, mayBeStale: (must?.version ?? 0) < (this.#newestSent.get(target) ?? 0) };
  }

  /** Who is in the tarpit as far as orders say: for a policy that changes everybody's level. */
  inTarpit(nowMs: number): GivenOrder[] {
    return [...this.targets].flatMap((target) => {
      const { must } = this.standing(target);
      return must && isTarpit(must, nowMs) ? [must] : [];
    });
  }

  /** When the next of the orders that may stand ends by itself; Infinity: none does. */
  nextExpiryMs(nowMs: number): number {
    const ends = this.given.map(({ expiresAtMs }) => expiresAtMs).filter((endMs) => endMs > nowMs - EXPIRY_SEEN_MS);
    return Math.min(Number.POSITIVE_INFINITY, ...ends);
  }

  alive(): ModelProcess[] {
    return this.processes.filter(({ isAlive }) => isAlive);
  }
}

/** An expiry is carried out, and reported, within this. */
export const EXPIRY_SEEN_MS = 1_500;

export function isTarpit({ action, expiresAtMs }: GivenOrder, nowMs: number): boolean {
  return action === 'tarpit' && expiresAtMs > nowMs;
}

function newest(orders: Orders, order: GivenOrder): void {
  if ((orders.get(order.target)?.version ?? 0) < order.version) orders.set(order.target, order);
}

/**
 * Gives orders: completes, signs and writes an order by compare-and-set, then wakes the live hosts it is for. The one
 * way by which producer, admin and CLI tarpit and untarpit. It decides nothing about who deserves it.
 */
import { HobblerError } from '../errors.ts';
import { fleetKeys, hostKeys } from '../keys.ts';
import type { Logger } from '../log.ts';
import { FLEET, type Hobble, MAX_LEASE_MS, type Order, parseOrder } from '../order.ts';
import { addOrderJob, openQueue, type Queue } from '../queue.ts';
import { liveness, statusSchema } from '../report.ts';
import { type Signer, signOrder } from '../signature.ts';
import { appendAudit } from './audit.ts';
import { type Redis, redisNowMs } from './connection.ts';
import { putDesired, readStanding } from './desired.ts';

export interface OrderRequest {
  action: 'tarpit' | 'untarpit';
  /** A host's name, or `*` for the fleet. */
  host: string;
  target: string;
  account?: string;
  /** For tarpit: the duty cycle; defaults apply to what is missing. */
  hobble?: Partial<Hobble>;
  /** For tarpit: how long the order lives, milliseconds, at most 24 h. */
  forMs?: number;
  reason: string;
  /** `policy`, `operator:NAME`, or the name of an accounting system. */
  by: string;
  /** The entry of the audit that this order is part of, for an act of several orders. It stands in the audit alone. */
  act?: string;
}

export interface IssuedOrder {
  order: Order;
  /** Job ids by host, for the hosts that were woken. */
  jobs: Record<string, string>;
  /** Its entry in the fleet's audit; a renewal has none. */
  entry?: string;
}

/** What came of an offer: given, or it gave way to the order that stands there. */
export type OfferResult = ({ status: 'given' } & IssuedOrder) | { status: 'gave-way'; to: Order };

/** Whether an order may overtake the one that stands there (null: none), at that time on Redis's clock, milliseconds. */
export type MayOvertake = (standing: Order | null, redisNowMs: number) => boolean;

/** Tries against other writers of the same target before giving up. */
const MAX_TRIES = 30;

type Written = { order: Order } | { gaveWayTo: Order };

const always: MayOvertake = () => true;

function mustBeOrder(written: Written): Order {
  if ('order' in written) return written.order;
  throw new HobblerError('internal', 'gave way though it may overtake everything');
}

export class OrderIssuer {
  readonly #redis: Redis;
  readonly #signer: Signer | undefined;
  readonly #log: Logger;
  readonly #queues = new Map<string, Queue>();

  constructor(redis: Redis, signer: Signer | undefined, log: Logger) {
    this.#redis = redis;
    this.#signer = signer;
    this.#log = log;
  }

  /**
   * Writes the order and wakes the hosts it is for; with `wake` false they find it when they reconcile, for when that
   * would be too many jobs. Throws invalid-input or bound-exceeded.
   */
  async issue(request: OrderRequest, wake = true): Promise<IssuedOrder> {
    return this.#announce(mustBeOrder(await this.#write(request, always)), request.act, wake);
  }

  /** Writes the order without waking anybody: workers find it when they reconcile. For renewing a lease. */
  async renew(request: OrderRequest): Promise<Order> {
    return mustBeOrder(await this.#write(request, always));
  }

  /**
   * Like `issue` (or `renew`, where `wake` is false), but gives way to what stands there when `mayOvertake` says no.
   * Another order that lands between that look and the write has the higher version, so it is looked at too.
   */
  async offer(request: OrderRequest, wake: boolean, mayOvertake: MayOvertake): Promise<OfferResult> {
    const written = await this.#write(request, mayOvertake);
    if ('gaveWayTo' in written) return { status: 'gave-way', to: written.gaveWayTo };
    const issued = wake ? await this.#announce(written.order, request.act) : { order: written.order, jobs: {} };
    return { status: 'given', ...issued };
  }

  async #announce(order: Order, act: string | undefined, wake = true): Promise<IssuedOrder> {
    const jobs = wake ? await this.#wake(order) : {};
    const entry = await this.#audit(order, act);
    this.#log.info(
      {
        action: order.action,
        host: order.host,
        target: order.target,
        account: order.account,
        version: order.version,
        reason: order.reason,
        by: order.by,
      },
      'order given',
    );
    return { order, jobs, entry };
  }

  async #write(request: OrderRequest, mayOvertake: MayOvertake): Promise<Written> {
    const look = () => Promise.all([this.#standing(request), redisNowMs(this.#redis)]);
    let [standing, nowMs] = await look();
    let overtakenBy = 0;
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      if (!mayOvertake(standing, nowMs)) return { gaveWayTo: standing! };
      const version = Math.max((standing?.version ?? 0) + 1, overtakenBy + 1, nowMs);
      const order = this.#complete(request, version, nowMs);
      const result = await putDesired(this.#redis, order);
      switch (result.status) {
        case 'written':
        case 'same':
          return { order };
        case 'stale':
          overtakenBy = result.currentVersion;
          // Who may overtake anything need not look again, and is then quicker than a newcomer: nobody loses for ever.
          if (mayOvertake !== always) [standing, nowMs] = await look();
          break;
        case 'full':
          throw new HobblerError('bound-exceeded', 'too many orders stand there', {
            where: `host ${request.host}`,
            got: result.size,
            hint: 'untarpit some, or wait until tombstones end',
          });
      }
    }
    throw new HobblerError('internal', 'overtaken by other writers each time', {
      where: `${request.host} ${request.target}`,
      got: MAX_TRIES,
    });
  }

  /** Of the host's and the fleet's record the newer one, so that an order for one overtakes the other's. */
  async #standing({ host, target }: OrderRequest): Promise<Order | null> {
    const [own, fleet] = await Promise.all([
      readStanding(this.#redis, host, target),
      host === FLEET ? null : readStanding(this.#redis, FLEET, target),
    ]);
    return (own?.version ?? 0) >= (fleet?.version ?? 0) ? own : fleet;
  }

  #complete(request: OrderRequest, version: number, nowMs: number): Order {
    const { action, host, target, account, hobble, forMs, reason, by } = request;
    const lease =
      action === 'tarpit'
        ? {
            expiresAt: nowMs + Math.min(forMs ?? MAX_LEASE_MS, MAX_LEASE_MS),
            hobble: { runMs: 10, stopMs: 200, ...hobble },
          }
        : {};
    const order = parseOrder({
      v: 1,
      action,
      host,
      target,
      ...(account === undefined ? {} : { account }),
      version,
      issuedAt: nowMs,
      ...lease,
      reason,
      by,
    });
    return this.#signer ? signOrder(order, this.#signer) : order;
  }

  async #wake(order: Order): Promise<Record<string, string>> {
    const hosts = order.host === FLEET ? await this.#redis.smembers(fleetKeys.hosts) : [order.host];
    const jobs: Record<string, string> = {};
    const nowMs = await redisNowMs(this.#redis);
    for (const host of hosts) {
      if (await this.#isLive(host, nowMs)) jobs[host] = await addOrderJob(this.#queue(host), order);
    }
    return jobs;
  }

  /** A host that is not alive gets no job: it reads the state when it comes back. */
  async #isLive(host: string, nowMs: number): Promise<boolean> {
    const text = await this.#redis.get(hostKeys.status(host));
    if (text === null) return false;
    try {
      return liveness(statusSchema.parse(JSON.parse(text)).beatAtMs, nowMs) !== 'lost';
    } catch {
      return false;
    }
  }

  #queue(host: string): Queue {
    let queue = this.#queues.get(host);
    if (!queue) {
      queue = openQueue(host, this.#redis);
      this.#queues.set(host, queue);
    }
    return queue;
  }

  async #audit({ action, host, target, account, version, reason, by }: Order, act?: string): Promise<string> {
    return appendAudit(this.#redis, fleetKeys.audit, { action, host, target, account, version, reason, by, act });
  }
}

/**
 * What an operator does: release a target, release all of a host, hold and unhold. Every act goes through the shared
 * issuer or the shared holds, is signed by the admin's operator key where there is one, and carries `operator:NAME` and
 * a reason into the audit. Nothing here signals or waits for a host: whether it was done is what the host reports.
 */
import { messageOf } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { FLEET, type Order } from '../../shared/order.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { hold, unhold } from '../../shared/redis/fleet.ts';
import type { OrderIssuer } from '../../shared/redis/issuer.ts';
import type { Fleet, TargetRow } from '../fleet/model.ts';

export interface Act {
  reason: string;
  /** The name of who is logged in. */
  operator: string;
}

export interface BulkRelease {
  released: number;
  failed: { target: string; why: string }[];
}

/** Releases given at a time when a whole host is let go; each is a handful of round trips. */
const AT_A_TIME = 16;

export class Actions {
  readonly #redis: Redis;
  readonly #issuer: OrderIssuer;
  readonly #log: Logger;

  constructor(redis: Redis, issuer: OrderIssuer, log: Logger) {
    this.#redis = redis;
    this.#issuer = issuer;
    this.#log = log;
  }

  /** Orders an untarpit on `host`, or everywhere for `*`. Throws invalid-input for a target that is none. */
  async release(host: string, target: string, account: string | null, act: Act): Promise<Order> {
    const { order } = await this.#issuer.issue({
      action: 'untarpit',
      host,
      target,
      ...(account === null ? {} : { account }),
      reason: act.reason,
      by: byOperator(act.operator),
    });
    return order;
  }

  /** Orders an untarpit on this host for everything it slows or was asked to. One that fails stops no other. */
  async releaseHost(fleet: Fleet, host: string, act: Act): Promise<BulkRelease> {
    const waiting = releasableOn(fleet, host);
    const result: BulkRelease = { released: 0, failed: [] };
    const takeTurns = async () => {
      for (let row = waiting.pop(); row !== undefined; row = waiting.pop()) {
        try {
          await this.release(host, row.target, row.account, act);
          result.released++;
        } catch (error) {
          result.failed.push({ target: row.target, why: messageOf(error) });
        }
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, takeTurns));
    return result;
  }

  /** Stops all hobbling on a host, or on the fleet for `*`, until `unhold`. */
  async hold(host: string, act: Act): Promise<void> {
    await hold(this.#redis, host === FLEET ? undefined : host, act.reason, byOperator(act.operator));
    this.#log.warn({ host, reason: act.reason, by: byOperator(act.operator) }, 'hold');
  }

  async unhold(host: string, act: Act): Promise<boolean> {
    const wasHeld = await unhold(this.#redis, host === FLEET ? undefined : host, act.reason, byOperator(act.operator));
    this.#log.warn({ host, reason: act.reason, by: byOperator(act.operator) }, 'unhold');
    return wasHeld;
  }
}

/** What releasing a host would let go: all of its targets that are not being released already. */
export function releasableOn(fleet: Fleet, host: string): TargetRow[] {
  return fleet.targets.filter((row) => row.host === host && row.releasing === null);
}

export function byOperator(name: string): string {
  return `operator:${name}`;
}

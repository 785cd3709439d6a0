/**
 * Carries out what an operator decided: plans of orders and pins, holds, unpinning, the removal of a host. Every act goes
 * through the shared issuer, pins and holds, is signed by the admin's operator key where there is one, and carries
 * `operator:NAME` and a reason into the audit. Nothing here signals or waits for a host: whether it was done is what the
 * host reports (outcome.ts), and the entry of the audit that each act returns is where that is shown.
 */
import { HobblerError, messageOf } from '../../shared/errors.ts';
import { fleetKeys } from '../../shared/keys.ts';
import type { Logger } from '../../shared/log.ts';
import { FLEET } from '../../shared/order.ts';
import { appendAudit } from '../../shared/redis/audit.ts';
import { type Redis, redisNowMs } from '../../shared/redis/connection.ts';
import { hold, unhold } from '../../shared/redis/fleet.ts';
import type { OrderIssuer, OrderRequest } from '../../shared/redis/issuer.ts';
import { MAX_PIN_REASON_CHARS, putPin, removePin } from '../../shared/redis/pins.ts';
import type { Plan, PlannedOrder } from './plan.ts';
import { removeHost } from './remove-host.ts';

export interface Why {
  reason: string;
  /** The name of who is logged in. */
  operator: string;
}

/** For how long accounts are pinned out: a length, for good (until unpinned), or not at all. */
export type KeepOut = { forMs: number | null } | null;

export interface Begun {
  /** The entry of the fleet's audit that shows what comes of it. */
  entry: string;
  /** Resolves when every order is given or refused; never rejects. */
  given: Promise<void>;
}

/** Orders given at a time when there are many; each is a handful of round trips. */
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

  /**
   * Sets the plan's pins, then gives its orders: pins first, so that the policy takes nobody back meanwhile. A plan of one
   * order is that order's own entry in the audit; a larger one has an entry that its parts refer to. Rejects where
   * nothing was done; one part that fails stops no other, and says so in the audit.
   */
  async carryOut(plan: Plan, keepOut: KeepOut, why: Why): Promise<Begun> {
    const accounts = keepOut === null ? [] : plan.accounts;
    const [only] = plan.orders;
    if (accounts.length === 0 && plan.orders.length === 1) {
      const { entry } = await this.#issuer.issue(requestOf(only!, why), isWoken(only!, plan));
      return { entry: entry!, given: Promise.resolve() };
    }
    const parts = accounts.length + plan.orders.length;
    if (parts === 0) {
      throw new HobblerError('invalid-input', 'there is nothing to do any more', { hint: 'it was let go meanwhile' });
    }
    const by = byOperator(why.operator);
    const { act, about } = plan;
    const entry = await appendAudit(this.#redis, fleetKeys.audit, {
      action: act,
      ...about,
      reason: why.reason,
      by,
      parts,
    });
    this.#log.info({ act, ...about, pins: accounts.length, orders: plan.orders.length, reason: why.reason, by }, 'act');
    return { entry, given: this.#carryOutParts(plan, accounts, keepOut, why, entry) };
  }

  async #carryOutParts(plan: Plan, accounts: string[], keepOut: KeepOut, why: Why, act: string): Promise<void> {
    await this.#each(accounts, act, why, (account) => this.#pin(account, keepOut!.forMs, why, act));
    await this.#each(plan.orders, act, why, (order) =>
      this.#issuer.issue({ ...requestOf(order, why), act }, isWoken(order, plan)),
    );
  }

  async #pin(account: string, forMs: number | null, { reason, operator }: Why, act: string): Promise<void> {
    const setAtMs = await redisNowMs(this.#redis);
    const pin = {
      v: 1 as const,
      kind: 'release' as const,
      setAtMs,
      by: byOperator(operator),
      why: reason.slice(0, MAX_PIN_REASON_CHARS),
      untilMs: forMs === null ? null : setAtMs + forMs,
    };
    await putPin(this.#redis, account, pin, act);
  }

  /** Does `one` for all, some at a time. Stops where Redis has gone: what is left is missing in the audit, and shown so. */
  async #each<Part extends string | PlannedOrder>(
    parts: readonly Part[],
    act: string,
    why: Why,
    one: (part: Part) => Promise<unknown>,
  ): Promise<void> {
    const waiting = [...parts].reverse();
    const takeTurns = async () => {
      for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
        try {
          await one(part);
        } catch (error) {
          if (!(await this.#noteFailure(part, act, why, error))) waiting.length = 0;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, takeTurns));
  }

  /** False: not even that can be written. */
  async #noteFailure(part: string | PlannedOrder, act: string, why: Why, error: unknown): Promise<boolean> {
    const { host, target } = typeof part === 'string' ? { host: FLEET, target: part } : part;
    this.#log.error({ act, host, target, why: messageOf(error) }, 'a part of an act failed');
    const entry = {
      action: 'failed',
      act,
      host,
      target,
      reason: messageOf(error).slice(0, 500),
      by: byOperator(why.operator),
    };
    return appendAudit(this.#redis, fleetKeys.audit, entry).then(
      () => true,
      () => false,
    );
  }

  /** Leaves an account to the policy again. Throws not-found when it was not pinned. */
  async unexempt(account: string, { reason, operator }: Why): Promise<Begun> {
    const entry = await removePin(this.#redis, account, reason, byOperator(operator));
    if (entry === null) throw new HobblerError('not-found', 'that account is not pinned', { where: account });
    this.#log.info({ account, reason, by: byOperator(operator) }, 'unpin');
    return done(entry);
  }

  /** Stops all hobbling on a host, or on the fleet for `*`, until `unhold`. */
  async hold(host: string, { reason, operator }: Why): Promise<Begun> {
    const entry = await hold(this.#redis, host === FLEET ? undefined : host, reason, byOperator(operator));
    this.#log.warn({ host, reason, by: byOperator(operator) }, 'hold');
    return done(entry);
  }

  async unhold(host: string, { reason, operator }: Why): Promise<Begun> {
    const { entry } = await unhold(this.#redis, host === FLEET ? undefined : host, reason, byOperator(operator));
    this.#log.warn({ host, reason, by: byOperator(operator) }, 'unhold');
    return done(entry);
  }

  /** Forgets a host that is gone for good. Throws denied for one that has beaten lately. */
  async removeHost(host: string, { reason, operator }: Why): Promise<Begun> {
    const entry = await removeHost(this.#redis, host, reason, byOperator(operator));
    this.#log.warn({ host, reason, by: byOperator(operator) }, 'host removed');
    return done(entry);
  }
}

function done(entry: string): Begun {
  return { entry, given: Promise.resolve() };
}

function requestOf({ action, host, target, account, hobble, forMs }: PlannedOrder, why: Why): OrderRequest {
  return {
    action,
    host,
    target,
    ...(account === null ? {} : { account }),
    ...(hobble === undefined ? {} : { hobble }),
    ...(forMs === undefined ? {} : { forMs }),
    reason: why.reason,
    by: byOperator(why.operator),
  };
}

/** A job for each host and order is too many at some size; state decides, and hosts look at it by themselves. */
function isWoken({ host }: PlannedOrder, { wakesFleet }: Plan): boolean {
  return host !== FLEET || wakesFleet;
}

export function byOperator(name: string): string {
  return `operator:${name}`;
}

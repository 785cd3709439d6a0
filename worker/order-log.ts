/**
 * What the log says of orders: a line for each while they are few, as they are but for a reset or a start; of a burst the
 * first ones, and then one line a second that counts the others by what came of them. A line costs 10 µs and a quarter of
 * the garbage of an order, and nobody reads ten thousand of them. At level debug each has its line all the same. The audit
 * holds every order, whatever the log says. Owns no timer: whoever looks at expiry calls `sum`.
 */
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import type { Order, OrderResult } from '../shared/order.ts';

/** Orders in one second that have a line each. */
export const LINES_PER_SECOND = 20;
const SECOND_MS = 1_000;

export class OrderLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  #openedAtMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  /** What has no line of its own, by what came of it: `tarpit applied` → how many. */
  readonly #counts = new Map<string, number>();

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** An order was carried out, or could not be. */
  settled(order: Order, result: OrderResult): void {
    const level = this.#levelOf(order.action, result.status);
    if (level === undefined) return;
    const { action, target, account, version, by } = order;
    const why = 'why' in result ? result.why : undefined;
    this.#log[level]({ action, target, account, version, result: result.status, why, by }, 'order');
  }

  /** An order has run out. */
  expired({ target, version }: Order): void {
    const level = this.#levelOf('tarpit', 'expired');
    if (level !== undefined) this.#log[level]({ target, version }, 'order expired: let go');
  }

  /** Counts it where it gets no line at the usual level. Undefined: no line at all. */
  #levelOf(action: Order['action'], status: OrderResult['status']): 'info' | 'debug' | undefined {
    if (this.#isOver) this.#open();
    if (this.#lines < LINES_PER_SECOND) {
      this.#lines++;
      return 'info';
    }
    const what = `${action} ${status}`;
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
    return this.#log.isLevelEnabled('debug') ? 'debug' : undefined;
  }

  /** Says, once their second is over, how many had no line. To be called a few times a second. */
  sum(): void {
    if (this.#counts.size > 0 && this.#isOver) this.#open();
  }

  get #isOver(): boolean {
    return this.#clock.monotonicMs() - this.#openedAtMs >= SECOND_MS;
  }

  #open(): void {
    if (this.#counts.size > 0) {
      this.#log.info(Object.fromEntries(this.#counts), 'more orders within a second: each stands in the audit');
      this.#counts.clear();
    }
    this.#openedAtMs = this.#clock.monotonicMs();
    this.#lines = 0;
  }
}

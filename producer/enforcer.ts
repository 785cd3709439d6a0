/**
 * Turns standing verdicts into orders and keeps them alive: an order when a verdict changes, a renewal at a third of
 * the lease while it stands (invariant 2: a producer that dies sets everyone free). What is not ordered yet is tried
 * again until it is. Decides nothing about who deserves it, and gives way to operators (precedence.ts).
 */
import type { Clock, Timer } from '../shared/clock.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { FLEET, type Hobble, type Order } from '../shared/order.ts';
import type { MayOvertake, OfferResult, OrderIssuer, OrderRequest } from '../shared/redis/issuer.ts';
import { type ClaimedPlace, Claims, type Settled, strongest } from './claims.ts';
import { isSame } from './policy/standing.ts';
import { isReleasedByOther, mayRenew, mayTarpit, mayUntarpit, POLICY } from './precedence.ts';

/** The way to the hosts, as far as the enforcer needs it. */
export interface OrderDesk {
  offer: OrderIssuer['offer'];
  /** What stands for these targets on single hosts, over all hosts: by target. */
  standingOnHosts(targets: readonly string[]): Promise<Map<string, Order[]>>;
}

export interface EnforcerOptions {
  desk: OrderDesk;
  leaseMs: number;
  dryRun: boolean;
  clock: Clock;
  log: Logger;
  /** Looks again whether the verdicts of these accounts still stand, before they are renewed: another producer may know. */
  confirm: (accounts: readonly string[]) => Promise<void>;
  /** The untarpits of these verdicts are given. */
  onSettled: (settled: readonly Settled[]) => Promise<void>;
  onOrder?: (action: Order['action'], outcome: OfferResult['status'] | 'failed' | 'dry-run') => void;
}

/** Orders under way at one time; each is a handful of round trips. */
const AT_A_TIME = 16;
/** How often it looks for what is due. */
const LOOK_EVERY_MS = 1_000;
/** Workers look at the state every 10 s; an order that is to last on is renewed before. */
const RECONCILED_WITHIN_MS = 15_000;
/** The pause before an order that was refused is tried again; one that Redis's absence kept waits for the next look. */
const AGAIN_AFTER_MS = 10_000;

export class Enforcer {
  readonly claims = new Claims();
  readonly #options: EnforcerOptions;
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isStopped = false;
  #isKicked = false;

  constructor(options: EnforcerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = this.#options.clock.every(LOOK_EVERY_MS, () => this.runOnce());
  }

  /** Gives no further order. What is under way ends with its connection. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Orders now what is due; for after a verdict, so that nobody waits for the next look. Never rejects. */
  kick(): void {
    if (this.#isKicked) return;
    this.#isKicked = true;
    void this.runOnce();
  }

  /** One pass over everything that is due, to its end. Passes never overlap. Never rejects. */
  async runOnce(): Promise<void> {
    while (this.#running) await this.#running;
    if (this.#isStopped) return;
    this.#running = this.#pass().finally(() => {
      this.#running = undefined;
    });
    await this.#running;
  }

  async #pass(): Promise<void> {
    const { clock, log, onSettled, confirm } = this.#options;
    this.#isKicked = false;
    let due = this.claims.due(clock.bootMs());
    try {
      // New verdicts wait for nobody; renewals are asked for once more.
      const faults = await this.#settleAll(due.filter(({ next }) => next !== 'renew'));
      const renewed = due.filter(({ next }) => next === 'renew').flatMap(({ claims }) => [...claims.values()]);
      if (renewed.length > 0) {
        await confirm([...new Set(renewed.map(({ account }) => account))]);
        due = this.claims.due(clock.bootMs());
        if (!this.#options.dryRun) await this.#noticeReleases(due);
        faults.push(...(await this.#settleAll(due)));
      }
      if (faults.length > 0) log.warn({ failed: faults.length, first: faults.slice(0, 5) }, 'orders not given');
      const settled = this.claims.takeSettled();
      if (settled.length > 0) await onSettled(settled);
    } catch (error) {
      log.warn({ waiting: due.length }, `orders wait: ${messageOf(error)}`);
    }
  }

  /**
   * A renewed fleet order would overtake an operator's release on one host. So the whole fleet order is left to expire
   * then: the producer cannot renew it for all hosts but one.
   */
  async #noticeReleases(due: readonly ClaimedPlace[]): Promise<void> {
    const renewals = due.filter(({ next, place }) => next === 'renew' && place.host === FLEET);
    if (renewals.length === 0) return;
    const standing = await this.#options.desk.standingOnHosts(renewals.map(({ place }) => place.target));
    for (const claimed of renewals) {
      const orders = standing.get(claimed.place.target) ?? [];
      const release = orders.find((order) => isReleasedByOther(order, claimed.tarpittedAtMs));
      if (release) this.#overrule(claimed, release);
    }
  }

  /** Returns what failed for one place alone; rejects when Redis is away, so that nobody waits for each in turn. */
  async #settleAll(due: readonly ClaimedPlace[]): Promise<string[]> {
    const faults: string[] = [];
    const waiting = [...due].reverse();
    const takeTurns = async () => {
      for (let claimed = waiting.pop(); claimed && !this.#isStopped; claimed = waiting.pop()) {
        try {
          await this.#settleOne(claimed);
        } catch (error) {
          if (!isOfOnePlace(error)) waiting.length = 0;
          if (!isOfOnePlace(error)) throw error;
          faults.push(`${claimed.place.host} ${claimed.place.target}: ${messageOf(error)}`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, takeTurns));
    return faults;
  }

  async #settleOne(claimed: ClaimedPlace): Promise<void> {
    const { clock, onOrder } = this.#options;
    const { revision } = claimed;
    const action = claimed.next === 'untarpit' ? 'untarpit' : 'tarpit';
    try {
      const nextDueMs = action === 'untarpit' ? await this.#untarpit(claimed, revision) : await this.#tarpit(claimed);
      // It may have changed while the order was under way; then it is due at once, and stays so.
      if (claimed.revision !== revision) return;
      claimed.dueAtMs = nextDueMs;
      if (action === 'tarpit') claimed.next = 'renew';
    } catch (error) {
      onOrder?.(action, 'failed');
      if (claimed.revision === revision && isOfOnePlace(error)) claimed.dueAtMs = clock.bootMs() + AGAIN_AFTER_MS;
      throw error;
    }
  }

  /** Orders or renews; returns when it is due again, on the boot clock. */
  async #tarpit(claimed: ClaimedPlace): Promise<number> {
    const { clock, leaseMs } = this.#options;
    if (claimed.overruledBy !== null) return Number.POSITIVE_INFINITY;
    const { account, reason, hobble, untilMs } = strongest(claimed);
    // An order ends with its penalty, so that the account is free then without us.
    const forMs = Math.min(leaseMs, (untilMs ?? Number.POSITIVE_INFINITY) - clock.wallMs());
    const nextDueMs = clock.bootMs() + leaseMs / 3;
    if (forMs <= 0) return nextDueMs;
    const isFirst = claimed.next === 'tarpit';
    const isToldAtOnce = isFirst || isOverdue(claimed, hobble, clock.wallMs());
    claimed.offered = hobble;
    claimed.endsAtMs = forMs < leaseMs ? untilMs : null;
    const request = { ...claimed.place, action: 'tarpit' as const, account, hobble: hobble!, forMs, reason };
    const result = await this.#offer(request, isToldAtOnce, isFirst ? mayTarpit : mayRenew(claimed.tarpittedAtMs));
    if (result?.status === 'given' && isFirst) claimed.tarpittedAtMs = result.order.issuedAt;
    if (result?.status === 'gave-way' && result.to.action === 'untarpit') this.#overrule(claimed, result.to);
    return result === null || claimed.overruledBy !== null ? Number.POSITIVE_INFINITY : nextDueMs;
  }

  async #untarpit(claimed: ClaimedPlace, revision: number): Promise<number> {
    const fleet = this.claims.coveredByFleet(claimed);
    if (fleet) {
      // Released by name and yet held by the fleet's order: renewing that one makes it the newer of the two.
      fleet.dueAtMs = 0;
    } else {
      const { account, reason } = claimed.release!;
      await this.#offer({ ...claimed.place, action: 'untarpit', account, reason }, true, mayUntarpit);
    }
    if (claimed.revision === revision) this.claims.released(claimed);
    return Number.POSITIVE_INFINITY;
  }

  /** Null in a dry run. */
  async #offer(
    request: Omit<OrderRequest, 'by'>,
    wake: boolean,
    mayOvertake: MayOvertake,
  ): Promise<OfferResult | null> {
    const { desk, dryRun, log, onOrder } = this.#options;
    const { action, host, target, account, reason } = request;
    if (dryRun) {
      log.info({ action, host, target, account, reason }, 'dry run: would order');
      onOrder?.(action, 'dry-run');
      return null;
    }
    const result = await desk.offer({ ...request, by: POLICY }, wake, mayOvertake);
    onOrder?.(action, result.status);
    if (result.status === 'gave-way') {
      const { action: standing, by } = result.to;
      log.info({ action, host, target, account, standing, by }, 'gave way to the order of another');
    }
    return result;
  }

  #overrule(claimed: ClaimedPlace, { by, host, reason }: Order): void {
    if (claimed.overruledBy !== null) return;
    claimed.overruledBy = by;
    this.#options.log.info(
      { ...claimed.place, by, releasedOn: host, reason },
      'released by another; the policy keeps out until its next verdict',
    );
  }
}

/** Whether hosts cannot wait until they reconcile: another duty cycle, or an end that comes before that and is put off. */
function isOverdue({ offered, endsAtMs }: ClaimedPlace, hobble: Hobble | null, nowMs: number): boolean {
  if (offered === null) return false;
  return !isSame(offered, hobble) || (endsAtMs !== null && endsAtMs - nowMs < RECONCILED_WITHIN_MS);
}

/** Whether another place may still succeed: the order was refused, or Redis answered with an error about its keys. */
function isOfOnePlace(error: unknown): boolean {
  return error instanceof HobblerError || (error instanceof Error && error.name === 'ReplyError');
}

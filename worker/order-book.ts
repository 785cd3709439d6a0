/**
 * The order book: which order stands for each target on this host, and what came of it. The one place where an order
 * becomes a loop. It owns versions (the newest wins, whatever the road it came by), signatures and expiry; how phases
 * are enforced is the engine's.
 *
 * Two orders may stand for one target, the host's own and the fleet's; the higher version is carried out. A missing
 * record is not an untarpit: what is here ends at its deadline (invariant 2).
 */
import type { Clock } from '../shared/clock.ts';
import { HobblerError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import {
  FLEET,
  MAX_VERSION_AHEAD_MS,
  type Order,
  type OrderResult,
  recordEndsAtMs,
  type TarpitOrder,
  targetOf,
} from '../shared/order.ts';
import type { Verifier } from '../shared/signature.ts';
import type { Target } from '../shared/target.ts';
import type { Deadlines } from './deadlines.ts';
import type { Engine } from './engine/engine.ts';
import { OrderLog } from './order-log.ts';
import type { UserLookup, Users } from './users.ts';

/** What stands for a target here. A tombstone's order is an untarpit, or a tarpit that has ended. */
export interface Entry {
  order: Order;
  /** Milliseconds since boot; for a tarpit. */
  deadlineBootMs: number;
  sinceMs: number;
  result: OrderResult;
  /** Why that mechanism carries it out, as of when it was applied; the loop says what is so now. */
  mechanismWhy: string | null;
}

export interface OrderBookParts {
  host: string;
  engine: Engine;
  users: Users;
  verifier: Verifier;
  deadlines: Deadlines;
  clock: Clock;
  /** Redis's clock as this host knows it, milliseconds. */
  redisNowMs: () => number;
  /** Something about this target is worth a report. */
  onChange: (target: string) => void;
  log: Logger;
}

/** How often untarpits of earlier workers are looked through; they count for a day. */
const FORGET_EVERY_MS = 600_000;

export class OrderBook {
  readonly #parts: OrderBookParts;
  readonly #orderLog: OrderLog;
  #forgotAtMs = 0;
  readonly #entries = new Map<string, Entry>();
  /** Orders are applied one at a time per target, so that a slow look-up cannot let an older one overtake. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(parts: OrderBookParts) {
    this.#parts = parts;
    this.#orderLog = new OrderLog(parts.log, parts.clock);
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** Says whether this host would carry the order out, before anything is written: host, version, signature. */
  check(order: Order, raw: Record<string, unknown>): OrderResult | undefined {
    const { host, verifier, redisNowMs } = this.#parts;
    if (order.host !== host && order.host !== FLEET)
      return { status: 'invalid', why: `the order is for host ${order.host}, this is ${host}` };
    // Measured from what stands, too: after Redis's clock was set back, an untarpit can only be one more than that.
    const aheadMs = order.version - Math.max(redisNowMs(), this.newestVersion(order.target));
    if (aheadMs > MAX_VERSION_AHEAD_MS)
      return {
        status: 'invalid',
        why: `version ${order.version} is ${Math.round(aheadMs / 1000)} s ahead of Redis's clock`,
      };
    const verification = verifier.verify(raw);
    if (!verification.trusted) return { status: 'refused', why: verification.why };
    return undefined;
  }

  /** Carries a checked order out, if none newer stands. Safe to call with the same order again. */
  async apply(order: Order): Promise<OrderResult> {
    const before = this.#busy.get(order.target);
    const turn = before ? before.then(() => this.#applyInTurn(order)) : this.#applyInTurn(order);
    // Over already: it waited for nobody, so nobody has to wait for it.
    if (!(turn instanceof Promise)) return turn;
    const settled = turn.catch(() => {});
    this.#busy.set(order.target, settled);
    settled.then(() => {
      if (this.#busy.get(order.target) === settled) this.#busy.delete(order.target);
    });
    return turn;
  }

  /** The version that counts for a target: what an earlier worker saw does too, in case Redis has forgotten it. 0: none. */
  newestVersion(target: string): number {
    return this.#entries.get(target)?.order.version ?? this.#parts.deadlines.versionOf(target);
  }

  #applyInTurn(order: Order): OrderResult | Promise<OrderResult> {
    const current = this.#entries.get(order.target);
    const newest = this.newestVersion(order.target);
    if (newest > order.version) return { status: 'stale', currentVersion: newest };
    if (current && current.order.version === order.version) {
      // The same order again. What can change by itself (a user that exists by now, a process table) is tried again.
      const isSettled =
        current.result.status === 'applied' || current.result.status === 'expired' || order.action === 'untarpit';
      if (isSettled || !sameOrder(current.order, order))
        return sameOrder(current.order, order) ? current.result : { status: 'stale', currentVersion: order.version };
    }
    return order.action === 'untarpit' ? this.#untarpit(order) : this.#tarpit(order);
  }

  #untarpit(order: Order): OrderResult {
    const { released, heldBy } = this.#parts.engine.untarpit(order.target);
    const result: OrderResult = { status: 'applied', processes: released, ...(heldBy === null ? {} : { heldBy }) };
    this.#set(order, 0, result, null);
    this.#parts.deadlines.untarpitted(order.target, order.version);
    return result;
  }

  #tarpit(order: TarpitOrder): OrderResult | Promise<OrderResult> {
    const { engine, users, deadlines, clock, redisNowMs } = this.#parts;
    // Clamped by its own length too: an order issued by a clock that is ahead gets no more than it asked for.
    const leftMs = Math.min(order.expiresAt - redisNowMs(), order.expiresAt - order.issuedAt);
    const nowBootMs = clock.bootMs();
    const deadlineBootMs = deadlines.deadlineOf(order.target, order.version, leftMs, nowBootMs);
    if (deadlineBootMs <= nowBootMs) {
      engine.untarpit(order.target);
      return this.#set(
        order,
        deadlineBootMs,
        { status: 'expired', lateMs: Math.round(nowBootMs - deadlineBootMs) },
        null,
      );
    }
    const target = targetOf(order);
    const loop = engine.loops.get(order.target);
    // A loop that runs knows its uid; it goes on, with what the newer order says.
    if (target.kind !== 'user' || (loop && loop.state !== 'denied'))
      return this.#begin(order, target, deadlineBootMs, undefined);
    const lookup = users.uidOf(target.name);
    const begin = (found: UserLookup) => this.#beginOfUser(order, target, deadlineBootMs, found);
    return lookup instanceof Promise ? lookup.then(begin) : begin(lookup);
  }

  #beginOfUser(
    order: TarpitOrder,
    target: Extract<Target, { kind: 'user' }>,
    deadlineBootMs: number,
    lookup: UserLookup,
  ): OrderResult {
    if (lookup.status === 'failed' && !this.#parts.engine.loops.has(order.target)) {
      const why = `user ${target.name} cannot be looked up: ${lookup.why}`;
      return this.#set(order, deadlineBootMs, { status: 'gone', why }, null);
    }
    return this.#begin(order, target, deadlineBootMs, lookup.status === 'found' ? lookup.uid : undefined);
  }

  #begin(order: TarpitOrder, target: Target, deadlineBootMs: number, uid: number | undefined): OrderResult {
    const { engine } = this.#parts;
    const outcome = engine.tarpit(
      target,
      {
        cycle: { runMs: order.hobble.runMs, stopMs: order.hobble.stopMs },
        every: order.hobble.every ?? false,
        mechanism: order.hobble.mechanism,
      },
      uid,
    );
    if (outcome.status !== 'applied') {
      engine.untarpit(order.target);
      return this.#set(order, deadlineBootMs, outcome, null);
    }
    const { mechanism, why } = outcome.loop.inForce;
    return this.#set(order, deadlineBootMs, { status: 'applied', processes: outcome.loop.processes, mechanism }, why);
  }

  #set(order: Order, deadlineBootMs: number, result: OrderResult, mechanismWhy: string | null): OrderResult {
    const before = this.#entries.get(order.target);
    const isRenewal =
      before?.order.action === 'tarpit' && order.action === 'tarpit' && before.result.status === 'applied';
    const sinceMs = isRenewal ? before.sinceMs : this.#parts.redisNowMs();
    this.#entries.set(order.target, { order, deadlineBootMs, sinceMs, result, mechanismWhy });
    this.#parts.onChange(order.target);
    const isAgain = before?.order.version === order.version;
    if (before?.result.status !== result.status || !(isRenewal || isAgain)) this.#orderLog.settled(order, result);
    return result;
  }

  /** Ends what has expired and forgets tombstones past their end. Returns the targets that expired now. */
  expire(): string[] {
    const { engine, clock, deadlines, redisNowMs } = this.#parts;
    this.#orderLog.sum();
    const nowBootMs = clock.bootMs();
    const nowMs = redisNowMs();
    const expired: string[] = [];
    for (const [target, entry] of this.#entries) {
      if (entry.order.action === 'tarpit' && entry.result.status !== 'expired' && entry.deadlineBootMs <= nowBootMs) {
        engine.untarpit(target);
        entry.result = { status: 'expired', lateMs: Math.round(nowBootMs - entry.deadlineBootMs) };
        this.#orderLog.expired(entry.order);
        expired.push(target);
      }
      const isOver = entry.order.action === 'untarpit' || entry.result.status === 'expired';
      if (isOver && recordEndsAtMs(entry.order) < nowMs) {
        this.#entries.delete(target);
        deadlines.forget(target);
      }
    }
    if (nowMs - this.#forgotAtMs > FORGET_EVERY_MS) {
      this.#forgotAtMs = nowMs;
      deadlines.forgetEnded(nowMs);
    }
    // Here and not at every order: the whole file at each of 10,000 orders would hold up the phases.
    deadlines.save();
    return expired;
  }

  /** Notes that a loop ended by itself: its last process is gone. */
  ended(target: string, why: string): void {
    const entry = this.#entries.get(target);
    if (entry) entry.result = { status: 'gone', why };
  }
}

function sameOrder(a: Order, b: Order): boolean {
  return (
    a.action === b.action &&
    a.issuedAt === b.issuedAt &&
    JSON.stringify('hobble' in a ? a.hobble : null) === JSON.stringify('hobble' in b ? b.hobble : null)
  );
}

/** Throws invalid-input when a job's name and its order disagree. */
export function requireSameAction(jobName: string, order: Order): void {
  if (jobName !== order.action)
    throw new HobblerError('invalid-input', 'job name and action differ', {
      where: 'job.name',
      expected: order.action,
      got: jobName,
    });
}

/**
 * Reports what this host does, target by target, to `observed`: soon after a change, and every second what has changed.
 * It is the only writer there. What is not known is null (invariant 9).
 */
import type { Clock, Timer } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import { hostKeys } from '../shared/keys.ts';
import type { Logger } from '../shared/log.ts';
import { runRatio } from '../shared/order.ts';
import type { Redis } from '../shared/redis/connection.ts';
import type { Report, TargetState } from '../shared/report.ts';
import type { Engine } from './engine/engine.ts';
import type { HobbleLoop } from './engine/loop.ts';
import type { Entry, OrderBook } from './order-book.ts';

const REPORT_EVERY_MS = 1_000;
/** Changes are gathered for this long, so that a burst of orders is one write. */
const GATHER_MS = 20;
/** A figure that moved less than this, relative to itself, is not news. */
const NEWS_RATIO = 0.1;

export interface ReporterParts {
  redis: Redis;
  host: string;
  engine: Engine;
  book: OrderBook;
  clock: Clock;
  redisNowMs: () => number;
  cores: number;
  log: Logger;
}

export class Reporter {
  readonly #parts: ReporterParts;
  readonly #sent = new Map<string, Report>();
  #timer: Timer | undefined;
  #gather: Timer | undefined;
  #isCleared = false;
  #flushing: Promise<void> | undefined;
  #isDueAgain = false;

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = this.#parts.clock.every(REPORT_EVERY_MS, () => this.flush());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#gather?.cancel();
  }

  /** Something changed: report soon. */
  changed(): void {
    if (this.#gather) return;
    this.#gather = this.#parts.clock.after(GATHER_MS, () => {
      this.#gather = undefined;
      void this.flush();
    });
  }

  /** Writes what has changed since the last time. With Redis away the next try brings all of it. */
  async flush(): Promise<void> {
    // One at a time: of two side by side the later to end would forget what the other had written.
    if (this.#flushing) {
      this.#isDueAgain = true;
      return this.#flushing;
    }
    do {
      this.#isDueAgain = false;
      this.#flushing = this.#flushOnce();
      await this.#flushing;
      this.#flushing = undefined;
    } while (this.#isDueAgain);
  }

  async #flushOnce(): Promise<void> {
    const { redis, host, log } = this.#parts;
    const key = hostKeys.observed(host);
    const pipeline = redis.pipeline();
    if (!this.#isCleared) pipeline.del(key);
    const next = new Map(this.current().map((report) => [report.target, report]));
    for (const [target, report] of next) {
      const before = this.#sent.get(target);
      if (!before || isNews(before, report)) pipeline.hset(key, target, JSON.stringify(report));
      else next.set(target, before);
    }
    for (const target of this.#sent.keys()) if (!next.has(target)) pipeline.hdel(key, target);
    if (pipeline.length === 0) return;
    try {
      const replies = await pipeline.exec();
      const failed = replies?.find(([error]) => error)?.[0];
      if (failed) throw failed;
      this.#isCleared = true;
      this.#sent.clear();
      for (const [target, report] of next) this.#sent.set(target, report);
    } catch (error) {
      log.debug(`report: ${messageOf(error)}`);
      this.#isCleared = false; // write all of it anew
      this.#sent.clear();
    }
  }

  /** Everything written anew at the next flush: after Redis was flushed or replaced. */
  forget(): void {
    this.#isCleared = false;
    this.#sent.clear();
  }

  /** What there is to say of each target that an order stands for and that has not been let go. */
  current(): Report[] {
    const reports: Report[] = [];
    const nowMs = this.#parts.redisNowMs();
    const nowBootMs = this.#parts.clock.bootMs();
    for (const [target, entry] of this.#parts.book.entries) {
      if (entry.order.action !== 'tarpit' || entry.result.status === 'expired') continue;
      reports.push(this.#report(target, entry, nowMs, nowBootMs));
    }
    return reports;
  }

  #report(target: string, entry: Entry, nowMs: number, nowBootMs: number): Report {
    const { engine } = this.#parts;
    const { order, result } = entry;
    if (order.action !== 'tarpit') throw new TypeError('only tarpit orders are reported');
    const loop = engine.loops.get(target);
    return {
      v: 1,
      target,
      account: order.account ?? null,
      version: order.version,
      ...this.#state(entry, loop),
      mechanism: loop?.inForce.mechanism ?? (result.status === 'applied' ? (result.mechanism ?? null) : null),
      mechanismWhy: loop?.inForce.why ?? entry.mechanismWhy,
      runMs: order.hobble.runMs,
      stopMs: order.hobble.stopMs,
      processes: loop?.processes ?? 0,
      ownedElsewhere: loop?.ownedElsewhere ?? 0,
      beforeRatio: loop?.beforeRatio ?? null,
      askedRatio: runRatio(order.hobble),
      gotRatio: loop?.gotRatio ?? null,
      effective: loop ? isEffective(loop, this.#parts.cores) : null,
      costRatio: loop?.costRatio ?? null,
      periodMs: loop ? engine.periodOf(loop) : null,
      stops: loop?.stops ?? 0,
      reason: order.reason,
      by: order.by,
      sinceMs: Math.round(entry.sinceMs),
      expiresAtMs: Math.round(nowMs + entry.deadlineBootMs - nowBootMs),
      reportedAtMs: Math.round(nowMs),
    };
  }

  #state({ result }: Entry, loop: HobbleLoop | undefined): { state: TargetState; why: string | null } {
    if (result.status !== 'applied') {
      const state =
        result.status === 'denied' || result.status === 'unsupported' || result.status === 'refused'
          ? result.status
          : 'gone';
      return { state, why: 'why' in result ? result.why : null };
    }
    if (!loop) return { state: 'gone', why: null };
    const gate = this.#parts.engine.closedGate;
    if (gate && loop.state !== 'denied') return { state: 'held', why: gate.why };
    return { state: loop.state, why: loop.why ?? exceptions(loop) };
  }
}

/** What of a target is not hobbled, and why. */
function exceptions(loop: HobbleLoop): string | null {
  const parts: string[] = [];
  if (loop.exempted > 0) parts.push(`${loop.exempted} exempt`);
  if (loop.notPermitted > 0) parts.push(`${loop.notPermitted} may not be signalled (not permitted)`);
  if (loop.stoppedByOthers > 0) parts.push(`${loop.stoppedByOthers} stopped by others`);
  if (loop.ownedElsewhere > 0) parts.push(`${loop.ownedElsewhere} held by another target`);
  return parts.length === 0 ? null : parts.join(', ');
}

/** Room for the coarseness of the measurement: ticks of 10 ms over a few seconds. */
const EFFECT_TOLERANCE = 1.5;

/**
 * Whether the target slowed down. Its members run side by side, so what it may have is its share of the machine.
 * Null: not measured yet.
 */
function isEffective(loop: HobbleLoop, cores: number): boolean | null {
  if (loop.gotRatio === null) return null;
  return loop.gotRatio <= loop.runRatio * cores * EFFECT_TOLERANCE + 0.01;
}

/** Whether a report says something new: figures that only wobble are not worth a write. */
function isNews(before: Report, after: Report): boolean {
  const moved = (a: number | null, b: number | null) =>
    a === null || b === null ? a !== b : Math.abs(a - b) > NEWS_RATIO * Math.max(a, b, 0.01);
  return (
    before.version !== after.version ||
    before.state !== after.state ||
    before.why !== after.why ||
    before.mechanismWhy !== after.mechanismWhy ||
    before.processes !== after.processes ||
    before.effective !== after.effective ||
    moved(before.gotRatio, after.gotRatio) ||
    moved(before.costRatio, after.costRatio) ||
    before.periodMs !== after.periodMs ||
    Math.abs(before.expiresAtMs - after.expiresAtMs) > 2_000 ||
    after.reportedAtMs - before.reportedAtMs > 30_000
  );
}

/**
 * Reports what this host does, target by target, to `observed`: of a target that is said to have changed soon after, and
 * of any whose figures have moved every second. It is the only writer there. What is not known is null (invariant 9).
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

/** Fields that one command writes or removes: no command, and no reply of Redis to others, takes long. */
const FIELDS_AT_ONCE = 500;

export class Reporter {
  readonly #parts: ReporterParts;
  /** What stands in Redis, so far as is known. */
  readonly #sent = new Map<string, Report>();
  /** Targets to look at in the next flush; `all` when it must look at every one. */
  #due: Set<string> | 'all' = new Set();
  #timer: Timer | undefined;
  #gather: Timer | undefined;
  #isCleared = false;
  #flushing: Promise<void> | undefined;

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

  /** Something changed about this target, or about all: report soon. */
  changed(target?: string): void {
    if (target === undefined) this.#due = 'all';
    else if (this.#due !== 'all') this.#due.add(target);
    if (this.#gather) return;
    this.#gather = this.#parts.clock.after(GATHER_MS, () => {
      this.#gather = undefined;
      void this.#flushDue();
    });
  }

  /** Looks at every target and writes what is news. While Redis is away the next try brings all of it. */
  async flush(): Promise<void> {
    this.#due = 'all';
    return this.#flushDue();
  }

  /** One at a time: of two side by side the later to end would forget what the other had written. */
  #flushDue(): Promise<void> {
    this.#flushing ??= this.#flushWhileDue().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #flushWhileDue(): Promise<void> {
    while (this.#due === 'all' || this.#due.size > 0) {
      const due = this.#isCleared ? this.#due : 'all';
      this.#due = new Set();
      await this.#write(due === 'all' ? new Set([...this.#parts.book.entries.keys(), ...this.#sent.keys()]) : due);
    }
  }

  async #write(targets: ReadonlySet<string>): Promise<void> {
    const { redis, host, log } = this.#parts;
    const key = hostKeys.observed(host);
    const pipeline = redis.pipeline();
    if (!this.#isCleared) pipeline.del(key);
    const { news, ended } = this.#newsOf(targets);
    for (const some of chunks(news))
      pipeline.hset(key, ...some.flatMap((report) => [report.target, JSON.stringify(report)]));
    for (const some of chunks(ended)) pipeline.hdel(key, ...some);
    if (pipeline.length === 0) return;
    try {
      const replies = await pipeline.exec();
      const failed = replies?.find(([error]) => error)?.[0];
      if (failed) throw failed;
      this.#isCleared = true;
      for (const report of news) this.#sent.set(report.target, report);
      for (const target of ended) this.#sent.delete(target);
    } catch (error) {
      log.debug(`report: ${messageOf(error)}`);
      this.forget(); // write all of it anew
    }
  }

  /** Of these targets: reports that say something new, and those of which none is to stand any more. */
  #newsOf(targets: ReadonlySet<string>): { news: Report[]; ended: string[] } {
    const news: Report[] = [];
    const ended: string[] = [];
    const nowMs = this.#parts.redisNowMs();
    const nowBootMs = this.#parts.clock.bootMs();
    for (const target of targets) {
      const before = this.#sent.get(target);
      const entry = this.#parts.book.entries.get(target);
      if (!entry || !isReported(entry)) {
        if (before) ended.push(target);
        continue;
      }
      const report = this.#report(target, entry, nowMs, nowBootMs);
      if (!before || isNews(before, report)) news.push(report);
    }
    return { news, ended };
  }

  /** Everything written anew at the next flush: after Redis was flushed or replaced. */
  forget(): void {
    this.#isCleared = false;
    this.#sent.clear();
  }

  /** What there is to say of each target that an order stands for and that has not been let go. */
  current(): Report[] {
    const nowMs = this.#parts.redisNowMs();
    const nowBootMs = this.#parts.clock.bootMs();
    return [...this.#parts.book.entries]
      .filter(([, entry]) => isReported(entry))
      .map(([target, entry]) => this.#report(target, entry, nowMs, nowBootMs));
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

/** Whether there is anything to say of it: a tarpit that has not been let go. */
function isReported({ order, result }: Entry): boolean {
  return order.action === 'tarpit' && result.status !== 'expired';
}

function chunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / FIELDS_AT_ONCE);
  return Array.from({ length: count }, (_, index) => items.slice(index * FIELDS_AT_ONCE, (index + 1) * FIELDS_AT_ONCE));
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
    before.beforeRatio !== after.beforeRatio ||
    moved(before.gotRatio, after.gotRatio) ||
    moved(before.costRatio, after.costRatio) ||
    before.periodMs !== after.periodMs ||
    Math.abs(before.expiresAtMs - after.expiresAtMs) > 2_000 ||
    after.reportedAtMs - before.reportedAtMs > 30_000
  );
}

/**
 * Reports what this host does, target by target, to `observed`: of a target that is said to have changed soon after, and
 * of any whose figures have moved every second. It is the only writer there. What is not known is null (invariant 9).
 *
 * Of ten thousand targets most say in a second what they said before. So every second each is asked whether anything it
 * is made of has changed since it was last looked at: its order, what came of it, its loop's revision, what the loop costs,
 * a gate, the clocks. Only then what there is to say is worked out (news.ts), and only news becomes a report.
 */
import type { Clock, Timer } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import { hostKeys } from '../shared/keys.ts';
import type { Logger } from '../shared/log.ts';
import { runRatio } from '../shared/order.ts';
import type { Redis } from '../shared/redis/connection.ts';
import type { Report } from '../shared/report.ts';
import type { Engine } from './engine/engine.ts';
import { isReported, News, type Surroundings } from './news.ts';
import type { Entry, OrderBook } from './order-book.ts';

const REPORT_EVERY_MS = 1_000;
/** Changes are gathered for this long, so that a burst of orders is one write. */
const GATHER_MS = 20;

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
  readonly #sent = new Map<string, News>();
  /** Targets to look at in the next flush, whatever their loops say; and whether to go over all the others. */
  #named = new Set<string>();
  #isAllDue = false;
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
    if (target === undefined) this.#isAllDue = true;
    else this.#named.add(target);
    if (this.#gather) return;
    this.#gather = this.#parts.clock.after(GATHER_MS, () => {
      this.#gather = undefined;
      void this.#flushDue();
    });
  }

  /** Goes over every target and writes what is news. While Redis is away the next try brings all of it. */
  async flush(): Promise<void> {
    this.#isAllDue = true;
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
    while (this.#isAllDue || this.#named.size > 0) {
      const named = this.#named;
      const isAll = this.#isAllDue || !this.#isCleared;
      this.#named = new Set();
      this.#isAllDue = false;
      await this.#write(named, isAll);
    }
  }

  async #write(named: ReadonlySet<string>, isAll: boolean): Promise<void> {
    const { redis, host, log } = this.#parts;
    const key = hostKeys.observed(host);
    const pipeline = redis.pipeline();
    if (!this.#isCleared) pipeline.del(key);
    const { news, ended } = this.#newsOf(named, isAll);
    for (const some of chunks([...news]))
      pipeline.hset(key, ...some.flatMap(([target, one]) => [target, JSON.stringify(this.#report(target, one))]));
    for (const some of chunks(ended)) pipeline.hdel(key, ...some);
    if (pipeline.length === 0) return;
    try {
      const replies = await pipeline.exec();
      const failed = replies?.find(([error]) => error)?.[0];
      if (failed) throw failed;
      this.#isCleared = true;
      for (const [target, one] of news) this.#sent.set(target, one);
      for (const target of ended) this.#sent.delete(target);
    } catch (error) {
      log.debug(`report: ${messageOf(error)}`);
      this.forget(); // write all of it anew
    }
  }

  /** What is new of these targets, or of all, and those of which no report is to stand any more. */
  #newsOf(named: ReadonlySet<string>, isAll: boolean): { news: Map<string, News>; ended: string[] } {
    const { book } = this.#parts;
    const around = this.#surroundings();
    const found = { news: new Map<string, News>(), ended: [] as string[] };
    for (const target of named) this.#look(target, book.entries.get(target), true, around, found);
    if (!isAll) return found;
    for (const [target, entry] of book.entries) if (!named.has(target)) this.#look(target, entry, false, around, found);
    for (const target of this.#sent.keys())
      if (!named.has(target) && !book.entries.has(target)) found.ended.push(target);
    return found;
  }

  #look(
    target: string,
    entry: Entry | undefined,
    isNamed: boolean,
    around: Surroundings,
    found: { news: Map<string, News>; ended: string[] },
  ): void {
    const before = this.#sent.get(target);
    if (!entry || !isReported(entry)) {
      if (before) found.ended.push(target);
      return;
    }
    const loop = this.#parts.engine.loops.get(target);
    if (before && !isNamed && before.isSureToStand(entry, loop, around)) return;
    const now = new News(entry, loop, around);
    if (before?.saysThe(now)) before.isMadeOf(now);
    else found.news.set(target, now);
  }

  #surroundings(): Surroundings {
    const { engine, clock, redisNowMs, cores } = this.#parts;
    return {
      nowMs: redisNowMs(),
      nowBootMs: clock.bootMs(),
      gateWhy: engine.closedGate?.why,
      cores,
      periodOf: (loop) => engine.periodOf(loop),
    };
  }

  /** Everything written anew at the next flush: after Redis was flushed or replaced. */
  forget(): void {
    this.#isCleared = false;
    this.#sent.clear();
  }

  /** What there is to say of each target that an order stands for and that has not been let go. */
  current(): Report[] {
    const around = this.#surroundings();
    const { book, engine } = this.#parts;
    return [...book.entries]
      .filter(([, entry]) => isReported(entry))
      .map(([target, entry]) => this.#report(target, new News(entry, engine.loops.get(target), around)));
  }

  #report(target: string, news: News): Report {
    const { entry, loop } = news;
    const { order, result } = entry;
    if (order.action !== 'tarpit') throw new TypeError('only tarpit orders are reported');
    return {
      v: 1,
      target,
      account: order.account ?? null,
      version: order.version,
      state: news.state,
      why: news.why,
      mechanism: loop?.inForce.mechanism ?? (result.status === 'applied' ? (result.mechanism ?? null) : null),
      mechanismWhy: news.mechanismWhy,
      runMs: order.hobble.runMs,
      stopMs: order.hobble.stopMs,
      processes: news.processes,
      ownedElsewhere: news.ownedElsewhere,
      beforeRatio: news.beforeRatio,
      askedRatio: runRatio(order.hobble),
      gotRatio: news.gotRatio,
      effective: news.effective,
      costRatio: news.costRatio,
      periodMs: news.periodMs,
      stops: loop?.stops ?? 0,
      reason: order.reason,
      by: order.by,
      sinceMs: Math.round(entry.sinceMs),
      expiresAtMs: news.expiresAtMs,
      reportedAtMs: news.reportedAtMs,
    };
  }
}

function chunks<T>(items: readonly T[]): T[][] {
  const count = Math.ceil(items.length / FIELDS_AT_ONCE);
  return Array.from({ length: count }, (_, index) => items.slice(index * FIELDS_AT_ONCE, (index + 1) * FIELDS_AT_ONCE));
}

/**
 * A worker in the simulated world: the real order book, reconciler, consumer, lease, holds, journal and engine, wired as
 * service.ts wires them, on a clock and a machine that a test moves. It can be killed and hung at any moment: then no timer
 * of its runs, no answer reaches it, and no signal of its is sent. Beside it a guard that does what guard.sh does.
 */
import { join } from 'node:path';
import { type Clock, sleep, type Timer, within } from '../../../shared/clock.ts';
import { silentLogger } from '../../../shared/log.ts';
import type { Order, OrderResult } from '../../../shared/order.ts';
import type { Job } from '../../../shared/queue.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { BEAT_EVERY_MS, type Report } from '../../../shared/report.ts';
import { Verifier } from '../../../shared/signature.ts';
import type { Cgroups } from '../../../worker/cgroups/hierarchies.ts';
import { jobTaker } from '../../../worker/consumer.ts';
import { Deadlines } from '../../../worker/deadlines.ts';
import { NO_BRAKE } from '../../../worker/engine/brake.ts';
import { Engine } from '../../../worker/engine/engine.ts';
import { Holds } from '../../../worker/holds.ts';
import { Journal } from '../../../worker/journal.ts';
import { Lease } from '../../../worker/lease.ts';
import { Mechanisms } from '../../../worker/mechanisms/mechanism.ts';
import { SIGNALS_ONLY } from '../../../worker/mechanisms/probe.ts';
import { OrderBook } from '../../../worker/order-book.ts';
import type { Pidfds } from '../../../worker/process/pidfd.ts';
import { Proc } from '../../../worker/process/proc.ts';
import type { Sent } from '../../../worker/process/signals.ts';
import { ProcessTable } from '../../../worker/process/table.ts';
import { RECONCILE_EVERY_MS, Reconciler } from '../../../worker/reconciler.ts';
import { RedisTime } from '../../../worker/redis-time.ts';
import { Reporter } from '../../../worker/reporter.ts';
import { Tenure } from '../../../worker/tenure.ts';
import type { Users } from '../../../worker/users.ts';
import { settle } from '../fake-clock.ts';
import { releaseByJournal, type SimulatedHost } from './simulated-host.ts';

export const HOST = 'web-1';
const BOOT_ID = 'boot-1';
const EXPIRE_EVERY_MS = 500;
const GUARD_BEAT_MS = 500;
const DEAF_AFTER_MS = 2_000;
const HUNG_AFTER_MS = 2_500;
const GUARD_STARTS_MS = 50;
const JOURNAL_RETRY_MS = 2_000;
const RETRY_MS = 1_000;
const GAP_REDIS_LIMIT_MS = 1_000;

export class SimulatedWorker {
  state: 'runs' | 'hung' | 'dead' = 'runs';
  isReady = false;
  /** The clock of the worker as a process: hung, it gets its timers late; dead, never. */
  readonly #clock: Clock;
  readonly #host: SimulatedHost;
  #backlog: (() => void)[] = [];
  #guardHeardAtMs = 0;
  #guardSilentSinceMs: number | undefined;
  #turnedAtMs = 0;
  #hasGuardReleased = false;
  readonly #redis: Redis;
  readonly #proc: Proc;
  readonly #journal: Journal;
  readonly engine: Engine;
  readonly #time: RedisTime;
  readonly #tenure: Tenure;
  /** What its queue would call, while it listens there. */
  readonly #takeJob: (job: Job) => Promise<OrderResult>;
  #listens = false;
  readonly #book: OrderBook;
  readonly #reconciler: Reconciler;
  readonly #reporter: Reporter;
  readonly #holds: Holds;

  constructor(host: SimulatedHost) {
    this.#host = host;
    this.#clock = this.#ownClock(host.clock);
    const { clock, log } = { clock: this.#clock, log: silentLogger() };
    this.#redis = host.redis.connect(() => this.state !== 'dead');
    this.#proc = new Proc(host.kernel.root, () => this.#ownPidfds(host.kernel.pidfds));
    releaseByJournal(host);
    this.#journal = new Journal(join(host.dir, 'journal'), BOOT_ID, log);
    const journal = this.#journalOnDisk();
    const hasJournal = journal.ensure();
    const table = new ProcessTable(this.#proc);
    const cgroups = { directoriesOf: () => [], pidsOf: () => [] } as unknown as Cgroups;
    const parts = { proc: this.#proc, table, cgroups, journal };
    this.engine = new Engine(
      {
        ...parts,
        mechanisms: new Mechanisms({ ...parts, found: SIGNALS_ONLY }),
        clock,
        rules: {
          protectedPids: () => new Set([1]),
          redis: () => undefined,
          minUid: host.minUid,
          exemptUids: new Set(),
          exemptGids: new Set(),
          exemptCgroups: [],
          onlyUid: null,
        },
        cores: 2,
        bounds: { loops: 100, processesPerTarget: 1_000 },
        brake: NO_BRAKE,
        budget: { cpuRatio: 1, maxPeriodMs: 1_000 },
        ownCpuMs: () => 0,
        log,
      },
      {
        onChange: () => {},
        onEnd: (loop, why) => this.#book.ended(loop.key, `its last process has ended (${why})`),
        onGap: () => this.#lookAnew(),
      },
    );
    this.engine.closeGate('guard', 'no guard yet');
    if (!hasJournal) this.engine.closeGate('journal', 'no journal');
    this.#time = new RedisTime(clock, log);
    const redisNowMs = () => this.#time.nowMs();
    const lease = new Lease(this.#redis, HOST, `${BOOT_ID}:${host.lockId}`);
    const deadlines = new Deadlines(join(host.dir, 'orders.json'), BOOT_ID, log);
    const users = { uidOf: async () => ({ status: 'missing' }) } as unknown as Users;
    const onChange = () => {};
    const { engine } = this;
    this.#book = new OrderBook({
      host: HOST,
      engine,
      users,
      verifier: new Verifier([]),
      deadlines,
      clock,
      redisNowMs,
      onChange,
      log,
    });
    this.#reconciler = new Reconciler(this.#redis, HOST, this.#book, redisNowMs, log);
    this.#reporter = new Reporter({
      redis: this.#redis,
      host: HOST,
      engine,
      book: this.#book,
      clock,
      redisNowMs,
      cores: 2,
      log,
    });
    this.#holds = new Holds(this.#redis, HOST, join(host.dir, 'hold'), engine, clock, onChange);
    this.#takeJob = jobTaker({
      host: HOST,
      redis: this.#redis,
      settings: { url: 'redis://127.0.0.1:1', name: 'simulated' },
      book: this.#book,
      reconciler: this.#reconciler,
      onResult: () => {},
      log,
    });
    this.#tenure = new Tenure({
      host: HOST,
      lease,
      engine,
      reconciler: this.#reconciler,
      createConsumer: () => ({
        start: () => {
          this.#listens = true;
        },
        stop: async () => {
          this.#listens = false;
        },
      }),
      whenLeased: 'wait',
      onWaiting: () => {},
      clock,
      log,
    });
    clock.every(GUARD_BEAT_MS, () => this.#lookAtGuard());
    clock.every(JOURNAL_RETRY_MS, () => {
      if (journal.ensure() && !host.isDiskFull) engine.openGate('journal');
    });
    if (host.guard !== 'hung') this.startGuard();
    void this.#start();
  }

  #ownClock(clock: Clock): Clock {
    const guarded = (run: () => void) => () => {
      if (this.state === 'runs') run();
      else if (this.state === 'hung') this.#backlog.push(run);
    };
    const after = (delayMs: number, run: () => void): Timer => clock.after(delayMs, guarded(run));
    return {
      wallMs: () => clock.wallMs(),
      monotonicMs: () => clock.monotonicMs(),
      bootMs: () => clock.bootMs(),
      nap: (forMs) => clock.nap(forMs),
      after,
      every: (periodMs, run) => {
        let isCancelled = false;
        let timer: Timer;
        const turn = () => {
          Promise.resolve(run()).finally(() => {
            if (!isCancelled) timer = after(periodMs, turn);
          });
        };
        timer = after(periodMs, turn);
        return {
          cancel: () => {
            isCancelled = true;
            timer.cancel();
          },
        };
      },
    };
  }

  /** A dead worker sends nothing; a hung one, as soon as it wakes, what it was about to send. */
  #ownPidfds(pidfds: Pidfds): Pidfds {
    const guarded = (send: (pidfd: number) => Sent) => (pidfd: number) => {
      if (this.state === 'runs') return send(pidfd);
      if (this.state === 'dead') return 'gone';
      this.#backlog.push(() => send(pidfd));
      return 'sent';
    };
    return {
      ...pidfds,
      stop: guarded((pidfd) => pidfds.stop(pidfd)),
      continue: guarded((pidfd) => pidfds.continue(pidfd)),
    };
  }

  /** The real journal, on a disk that may have no room. */
  #journalOnDisk(): Journal {
    const host = this.#host;
    return new Proxy(this.#journal, {
      get: (journal, name) => {
        const value = Reflect.get(journal, name) as unknown;
        if (typeof value !== 'function') return value;
        const isRefused = String(name).startsWith('will') || name === 'ensure';
        return (...args: unknown[]) => (isRefused && host.isDiskFull ? false : value.apply(journal, args));
      },
    });
  }

  async #start(): Promise<void> {
    await this.#insist(() => this.#time.refresh(this.#redis));
    await this.#insist(() => this.#tenure.take());
    await this.#insist(() => this.#holds.look());
    await this.#insist(() => this.#reconciler.run());
    this.#holds.start();
    this.isReady = true;
    this.#tenure.consume();
    this.#clock.every(EXPIRE_EVERY_MS, () => void this.#book.expire());
    this.#clock.every(RECONCILE_EVERY_MS, () => this.#quietly(() => this.#reconciler.run()));
    this.#clock.every(BEAT_EVERY_MS, () => this.#beat());
  }

  /** Until Redis is there. */
  async #insist(step: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await step();
      } catch {
        await sleep(this.#clock, RETRY_MS);
      }
    }
  }

  async #beat(): Promise<void> {
    await this.#quietly(async () => {
      await this.#time.refresh(this.#redis);
      await this.#tenure.renew();
      await this.#holds.look();
    });
  }

  async #lookAnew(): Promise<void> {
    if (this.guard !== 'listens') throw new Error('no guard answers');
    await within(
      this.#clock,
      GAP_REDIS_LIMIT_MS,
      (async () => {
        await this.#time.refresh(this.#redis);
        await this.#tenure.renew();
        await this.#holds.look();
      })(),
    ).catch(() => {});
    this.#book.expire();
  }

  async #quietly(run: () => Promise<unknown>): Promise<void> {
    try {
      await run();
    } catch {
      // the next time
    }
  }

  /** Redis is there again: what the client's `ready` does. */
  reconnected(): void {
    if (!this.isReady || this.state !== 'runs') return;
    void this.#quietly(async () => {
      await this.#tenure.renew();
      await this.#reconciler.run();
    });
  }

  /** Takes jobs as long as it has the lease. */
  get takesJobs(): boolean {
    return this.state === 'runs' && this.#listens;
  }

  take(order: Order): Promise<OrderResult> {
    return this.#takeJob({ id: '1', name: order.action, data: structuredClone(order) } as unknown as Job);
  }

  reports(): Report[] {
    return this.#reporter.current();
  }

  get guard(): SimulatedHost['guard'] {
    return this.#host.guard;
  }

  set guard(state: SimulatedHost['guard']) {
    this.#host.guard = state;
  }

  startGuard(): void {
    this.guard = 'listens';
    this.#guardHeardAtMs = this.#host.clock.monotonicMs();
    this.#hasGuardReleased = false;
    this.engine.openGate('guard');
  }

  /** GuardLink's side: a guard that is gone is replaced, one that is deaf is none. */
  #lookAtGuard(): void {
    const nowMs = this.#clock.monotonicMs();
    const awayMs = nowMs - this.#turnedAtMs - GUARD_BEAT_MS;
    if (this.#turnedAtMs > 0 && awayMs > 1_000) {
      this.#guardSilentSinceMs = undefined;
      this.engine.noticeGap(awayMs);
    }
    this.#turnedAtMs = nowMs;
    if (this.guard === 'listens') {
      this.#guardHeardAtMs = nowMs;
      this.#hasGuardReleased = false;
      if (this.#guardSilentSinceMs !== undefined) this.engine.openGate('guard');
      this.#guardSilentSinceMs = undefined;
      return;
    }
    this.#guardSilentSinceMs ??= nowMs;
    if (this.guard === 'hung' && nowMs - this.#guardSilentSinceMs > DEAF_AFTER_MS)
      this.engine.closeGate('guard', 'it has not listened');
  }

  /** The guard's own turn, which needs no worker. */
  guardTurn(): void {
    const silentMs = this.#host.clock.monotonicMs() - this.#guardHeardAtMs;
    if (this.guard !== 'listens' || this.#hasGuardReleased || silentMs <= HUNG_AFTER_MS) return;
    this.#hasGuardReleased = true;
    releaseByJournal(this.#host);
  }

  killGuard(): void {
    this.guard = 'gone';
    if (this.state !== 'runs') return;
    this.engine.closeGate('guard', 'it has ended');
    this.#clock.after(GUARD_STARTS_MS, () => this.startGuard());
  }

  /** The end of the worker's end of the FIFO: a guard that listens lets everything go, and ends with it. */
  async kill(): Promise<void> {
    await settle();
    this.state = 'dead';
    this.#backlog = [];
    if (this.guard === 'listens') {
      releaseByJournal(this.#host);
      this.guard = 'gone';
    }
    this.#journal.close();
    this.#proc.close();
  }

  async hang(): Promise<void> {
    await settle();
    this.state = 'hung';
  }

  wake(): void {
    this.state = 'runs';
    for (const run of this.#backlog.splice(0)) run();
  }

  /** SIGTERM: everything runs first. */
  async stop(): Promise<void> {
    this.engine.closeGate('stopping', 'hobbler stops');
    this.engine.releaseAll();
    if (this.guard === 'listens') this.guard = 'gone';
    void this.#quietly(() => this.#tenure.end(this.#host.redis.state === 'up')); // with Redis away it is not waited for
    await this.kill();
  }
}

/**
 * The worker as a service: takes the host's lock and lease, then wires orders to the engine and the engine's state to
 * Redis. It only wires and times; each part says for itself what it owns.
 *
 *   start: Redis fit? → lock, release of leftovers, guard → lease → reconcile → consume → beats
 *   stop:  everything runs → guard told → lease given back, connections closed, all within 2 s, with Redis or without
 */
import { availableParallelism, hostname } from 'node:os';
import { type Clock, sleep, type Timer, within } from '../shared/clock.ts';
import { HobblerError, messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import {
  connectRedis,
  endsOf,
  isLoopback,
  type Redis,
  type RedisSettings,
  requireFitRedis,
} from '../shared/redis/connection.ts';
import { mayPass } from '../shared/redis/trouble.ts';
import { BEAT_EVERY_MS } from '../shared/report.ts';
import type { Service } from '../shared/service.ts';
import { Verifier } from '../shared/signature.ts';
import { Cgroups } from './cgroups/hierarchies.ts';
import { UserSlices } from './cgroups/user-slices.ts';
import { exemptionsOf, uidsOf, type WorkerConfig } from './config.ts';
import { createConsumer } from './consumer.ts';
import { Deadlines } from './deadlines.ts';
import type { Door } from './door.ts';
import { Heartbeat } from './heartbeat.ts';
import { Holds } from './holds.ts';
import { HobblerHost } from './host.ts';
import { Lease } from './lease.ts';
import { Meter } from './meter.ts';
import { OrderBook } from './order-book.ts';
import { takeNiceness, takeRealtime } from './priority.ts';
import { identityMechanism } from './process/pidfd.ts';
import { RECONCILE_EVERY_MS, Reconciler } from './reconciler.ts';
import { RedisTime } from './redis-time.ts';
import { Reporter } from './reporter.ts';
import { Tenure } from './tenure.ts';
import { TreeDesk } from './tree-desk.ts';
import { requireGids, requireUids, Users } from './users.ts';

export interface WorkerOptions {
  config: WorkerConfig;
  redis: RedisSettings;
  stateDir: string;
  clock: Clock;
  log: Logger;
  /** Told what the start waits for, when it has to, and when it waits no more: nothing has been stopped until then. */
  onWaiting?: (what: string | null) => void;
}

export interface WorkerService extends Service {
  readonly host: string;
  /** Why this worker can stop nothing until somebody helps it: no guard listens. Null: it is well. */
  readonly whyUnwell: string | null;
  /** What it does now, in one line. */
  readonly summary: string;
}

/** How often expiry is looked at. */
const EXPIRE_EVERY_MS = 500;
const RETRY_MS = 1_000;
/** How long Redis may take when it is asked after a gap; past it the worker goes on under its local lock. */
const GAP_REDIS_LIMIT_MS = 1_000;
/** Each beat is put off by up to this part of the interval, so that 1,000 hosts do not beat together. */
const BEAT_JITTER = 0.2;
const CLOSE_LIMIT_MS = 700;

export function createWorkerService(options: WorkerOptions): WorkerService {
  return new Worker(options);
}

class Worker implements WorkerService {
  readonly name = 'worker';
  readonly host: string;
  readonly #options: WorkerOptions;
  readonly #timers: Timer[] = [];
  #redis: Redis | undefined;
  #machine: HobblerHost | undefined;
  #parts: Parts | undefined;
  #door: Door | undefined;
  #isStopped = false;
  /** What cannot be done at present, and why. */
  readonly #failing = new Map<string, string>();

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.host = options.config.host ?? hostname().toLowerCase();
  }

  get whyUnwell(): string | null {
    return this.#machine?.guard.isAlive ? null : 'no guard listens';
  }

  get summary(): string {
    const engine = this.#machine?.engine;
    if (!engine) return 'starting';
    const gate = engine.closedGate;
    const does = gate === undefined ? 'carries out orders' : `lets everything run (${gate.gate}: ${gate.why})`;
    return `${this.host} ${does}: ${engine.loops.size} targets, ${engine.processes} processes`;
  }

  async start(): Promise<void> {
    const { config, redis: settings, stateDir, clock, log } = this.#options;
    const verifier = new Verifier(config.keys);
    if (verifier.isEmpty && !config.allowUnsigned && !isLoopback(settings.url)) {
      throw new HobblerError(
        'invalid-config',
        'no keys, and this Redis can be reached by other machines: anybody who reaches it could give orders',
        {
          where: 'worker.keys',
          hint: 'make keys with `hobbler keys` and list the public one, or set worker.allowUnsigned: true',
        },
      );
    }
    const [exemptUids, exemptGids] = await Promise.all([
      requireUids(config.exempt.users),
      requireGids(config.exempt.groups),
    ]);
    for (const uid of uidsOf(config.exempt.uids)) exemptUids.add(uid);
    if (this.#isStopped) return;
    const redis = connectRedis(settings, log, { gathers: true });
    this.#redis = redis;
    const machine = new HobblerHost({
      stateDir,
      guard: config.guard,
      rules: { minUid: config.minUid, exemptUids, exemptGids, exemptCgroups: config.exempt.cgroups, onlyUid: null },
      bounds: config.bounds,
      brake: config.brake,
      budget: { cpuRatio: config.budget.cpu, maxPeriodMs: config.budget.maxPeriod },
      clock,
      log,
      events: {
        onChange: (key) => {
          this.#parts?.reporter.changed(key);
          this.#door?.metrics.changed(key);
        },
        onEnd: (loop, why) => {
          this.#parts?.book.ended(loop.key, `its last process has ended (${why})`);
          this.#parts?.reporter.changed(loop.key);
        },
        onGap: () => this.#lookAnew(),
      },
    });
    this.#machine = machine;
    process.once('exit', this.#onExit);
    this.#parts = this.#wire(redis, machine, verifier);
    if (!takeNiceness()) log.debug('no permission for a higher priority: phases may be late when every core is busy');
    await machine.start();
    if (config.http && !this.#isStopped) {
      // Loaded when it is asked for: prom-client takes 20 MB.
      const { openDoor } = await import('./door.ts');
      this.#door = await openDoor(config.http, { machine, redis, clock, ...this.#parts }, log);
      if (this.#isStopped) this.#door.close();
    }
    await this.#insist(() => requireFitRedis(redis, settings.url));
    await this.#insist(() => this.#parts!.time.refresh(redis));
    await this.#insist(() => this.#parts!.tenure.take());
    if (this.#isStopped) return;
    this.#options.onWaiting?.(null);
    await this.#begin();
    if (this.#isStopped) return;
    const identity = identityMechanism();
    const priority = this.#takeRealtime() ? 'real-time' : 'ordinary';
    log.info(
      { host: this.host, stateDir, guard: machine.guard.pid, epoch: this.#parts.lease.epoch, identity, priority },
      'worker ready',
    );
  }

  /** After the start, which is long: until here nothing has been stopped. */
  #takeRealtime(): boolean {
    const { config, log } = this.#options;
    const why = config.realtime ? takeRealtime() : 'worker.realtime is false';
    if (why !== undefined) log.debug({ why }, 'no real-time priority');
    return why === undefined;
  }

  #wire(redis: Redis, machine: HobblerHost, verifier: Verifier): Parts {
    const { config, redis: settings, clock, log } = this.#options;
    const { engine, guard, table, paths, bootId } = machine;
    const host = this.host;
    const time = new RedisTime(clock, log);
    const redisNowMs = () => time.nowMs();
    const cores = availableParallelism();
    const lease = new Lease(redis, host, `${bootId}:${machine.lockId}`);
    const deadlines = new Deadlines(paths.orders, bootId, log);
    const book = new OrderBook({
      host,
      engine,
      users: new Users(clock),
      verifier,
      deadlines,
      clock,
      redisNowMs,
      onChange: (target) => reporter.changed(target),
      log,
    });
    const reconciler = new Reconciler(redis, host, book, redisNowMs, log);
    const reporter = new Reporter({ redis, host, engine, book, clock, redisNowMs, cores, log });
    const holds = new Holds(redis, host, paths.hold, engine, clock, (hold) => {
      log.warn({ hold }, hold ? 'held: everything runs' : 'hold lifted');
      reporter.changed();
      this.#beat();
    });
    const heartbeat = new Heartbeat({
      redis,
      host,
      bootId,
      engine,
      guard,
      time,
      hold: () => holds.inForce,
      epoch: () => lease.epoch,
      exemptions: exemptionsOf(config),
      clock,
    });
    const meter = new Meter({
      redis,
      host,
      epoch: () => `${bootId}/${lease.epoch}`,
      table,
      slices: new UserSlices(new Cgroups(machine.proc)),
      engine,
      minUid: config.minUid,
      everyMs: config.meter.every,
      redisNowMs,
      clock,
      log,
    });
    const tenure = new Tenure({
      host,
      lease,
      engine,
      reconciler,
      createConsumer: () =>
        createConsumer({
          host,
          redis,
          settings: { ...settings, name: `${settings.name}-queue` },
          book,
          reconciler,
          onResult: (action, status) => this.#door?.metrics.order(action, status),
          log,
        }),
      whenLeased: config.whenLeased,
      onWaiting: (what) => this.#options.onWaiting?.(what),
      clock,
      log,
    });
    const trees = new TreeDesk({ redis, host, engine, proc: machine.proc, redisNowMs, clock, log });
    return { time, lease, tenure, book, reconciler, reporter, holds, heartbeat, meter, trees };
  }

  /**
   * Until Redis does it: one that is away, full or loading is waited for, while everything runs. Ending instead would have
   * us started over and over.
   */
  async #insist(step: () => Promise<unknown>): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#isStopped) {
      try {
        await step();
        return;
      } catch (error) {
        if (!mayPass(error)) throw error;
        log.warn(messageOf(error));
        this.#options.onWaiting?.(messageOf(error));
        await sleep(clock, RETRY_MS);
      }
    }
  }

  /** From here on orders are carried out. Told to stop on the way, it starts nothing that `stop` would not end. */
  async #begin(): Promise<void> {
    const { clock, config } = this.#options;
    const { reconciler, reporter, trees, holds, meter, book, tenure } = this.#parts!;
    // Where it cannot be found that is said, and no reason not to start: nearly every Redis is below the floor.
    await this.#quietly('looking for the process of Redis', () => this.#protectRedis());
    for (const step of [() => holds.look(), () => reconciler.run(), () => this.#beat()]) {
      await this.#insist(step);
      if (this.#isStopped) return;
    }
    reporter.start();
    trees.start();
    holds.start();
    if (config.meter.enabled) meter.start();
    tenure.consume();
    this.#timers.push(
      clock.every(EXPIRE_EVERY_MS, () => {
        for (const target of book.expire()) reporter.changed(target);
      }),
      clock.every(RECONCILE_EVERY_MS, () => this.#quietly('reconcile', () => reconciler.run())),
      clock.every(BEAT_EVERY_MS, async () => {
        await sleep(clock, Math.random() * BEAT_EVERY_MS * BEAT_JITTER);
        await this.#beat();
      }),
    );
    this.#redis!.on('ready', () => {
      reporter.forget();
      void this.#quietly('looking for the process of Redis', () => this.#protectRedis());
      void this.#quietly('reconcile', async () => {
        await tenure.renew();
        await reconciler.run();
      });
    });
  }

  /** Before anything is stopped, and again with each new connection: it may be another process by then. */
  async #protectRedis(): Promise<void> {
    const ends = endsOf(this.#redis!);
    if (ends) await this.#machine!.protectRedis(ends);
  }

  async #beat(): Promise<void> {
    await this.#quietly('beat', async () => {
      const { tenure, heartbeat } = this.#parts!;
      const status = await heartbeat.prepare();
      // With the rest, where no other worker can have taken the lease meanwhile; else when that is known.
      const isCertain = tenure.isCertain;
      await Promise.all([this.#ask(), isCertain ? heartbeat.send(status) : undefined]);
      if (!isCertain && tenure.isHeld) await heartbeat.send(status);
    });
  }

  /** What a worker must know of Redis, by one packet: what time it is, whether it is still the one, what is held. */
  async #ask(): Promise<void> {
    const { time, tenure, holds } = this.#parts!;
    await Promise.all([time.refresh(this.#redis!), tenure.renew(), holds.look()]);
  }

  /** After a gap: guard, then lease and hold if Redis answers soon, then expiry (invariant 1). */
  async #lookAnew(): Promise<void> {
    const { clock, log } = this.#options;
    if (!(await this.#machine!.guard.confirm())) throw new HobblerError('internal', 'no guard answers');
    const asked = await within(clock, GAP_REDIS_LIMIT_MS, this.#ask()).catch(() => ({ done: false }));
    if (!asked.done) log.warn('Redis does not answer after the gap: going on under the local lock');
    this.#parts!.book.expire();
  }

  /** Redis away is said where the connection is made; what fails while it is there is said once. */
  async #quietly(what: string, run: () => Promise<unknown>): Promise<void> {
    const { log } = this.#options;
    try {
      await run();
      this.#failing.delete(what);
    } catch (error) {
      const message = messageOf(error);
      const isNews = this.#redis?.status === 'ready' && this.#failing.get(what) !== message;
      if (this.#isStopped) return;
      if (isNews) log.warn(`${what}: ${message}`);
      else log.debug(`${what}: ${message}`);
      this.#failing.set(what, message);
    }
  }

  /** The last resort when the process ends by another way than `stop`. */
  readonly #onExit = () => this.#machine?.stop(this.#options.log);

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const { clock, log } = this.#options;
    this.#machine?.stop(log); // first of all, and synchronously
    process.off('exit', this.#onExit);
    for (const timer of this.#timers) timer.cancel();
    const parts = this.#parts;
    parts?.reporter.stop();
    parts?.trees.stop();
    parts?.holds.stop();
    parts?.meter.stop();
    parts?.heartbeat.stop();
    this.#door?.close();
    const canAskRedis = this.#redis?.status === 'ready';
    await within(clock, CLOSE_LIMIT_MS, parts?.tenure.end(canAskRedis) ?? Promise.resolve()).catch(() => {});
    this.#redis?.disconnect();
  }
}

interface Parts {
  time: RedisTime;
  lease: Lease;
  tenure: Tenure;
  book: OrderBook;
  reconciler: Reconciler;
  reporter: Reporter;
  trees: TreeDesk;
  holds: Holds;
  heartbeat: Heartbeat;
  meter: Meter;
}

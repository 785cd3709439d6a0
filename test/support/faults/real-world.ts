/**
 * The world of real parts: a real redis-server, a real worker and its guard through the CLI, real processes of users. One
 * is used for many histories, since a start costs a second; a history that fails leaves it in any state, so it is closed
 * then. `close` leaves nothing behind: no process, no mount, no cgroup, no file.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Queue } from 'bullmq';
import { silentLogger } from '../../../shared/log.ts';
import type { Order } from '../../../shared/order.ts';
import { connectRedis, type Redis } from '../../../shared/redis/connection.ts';
import { putDesired } from '../../../shared/redis/desired.ts';
import { reportSchema, statusSchema } from '../../../shared/report.ts';
import type { ProcessId } from '../../../shared/target.ts';
import { expectNothingLeft, isAlive, readState, signalExactly } from '../processes.ts';
import { commandOf, readUnit } from '../units.ts';
import { until } from '../until.ts';
import type { SeenLoop } from './checker.ts';
import type { Fault, HoldScope } from './history.ts';
import type { Answer, Cycle, GivenOrder } from './model.ts';
import { Nursery } from './nursery.ts';
import { orderOf } from './order-of.ts';
import { RealRedis } from './real-redis.ts';
import { RealWorker } from './real-worker.ts';
import { StateDisk } from './state-disk.ts';
import { DoubleStops, strangers, TraceReader } from './trace.ts';
import type { RealWorldOptions, World } from './world.ts';

const HOST = 'web-1';
const OBSERVED = `hobbler:{${HOST}}:observed`;
const HOLDS = { fleet: 'hobbler:hold', host: `hobbler:{${HOST}}:hold` };
const HOLD = JSON.stringify({ reason: 'a test', by: 'operator:ann', sinceMs: 0 });
/** How long somebody waits for what came of an order before he tries again later. */
const ANSWER_LIMIT_MS = 4_000;
/** Long enough that a beat falls into it. */
const FOREIGN_LEASE_MS = 6_000;
/** A worker that hangs and is asked to end does not; its supervisor waits, and kills. */
const STOP_LIMIT_MS = 5_000;

const LOSES_LEASE: readonly Fault[] = ['redis-flushed', 'redis-lost', 'redis-restored', 'lease-taken'];
const HOUR_MS = 3_600_000;

export class RealWorld implements World {
  readonly #redis: RealRedis;
  readonly #connection: Redis;
  readonly #queue: Queue;
  readonly #disk: StateDisk;
  readonly #nursery = new Nursery();
  readonly #traces: TraceReader[] = [];
  readonly #traceDir: string | null;
  readonly #doubles = new DoubleStops();
  readonly #offences: string[] = [];
  readonly #lookEveryMs: number;
  readonly #ignores: string | undefined;
  #worker: RealWorker;
  #second: { worker: RealWorker; disk: StateDisk } | undefined;
  #hasLostLease = false;
  /** Signals held against identities so far. */
  signals = 0;
  #hungGuard: ProcessId | undefined;
  #redisOffsetMs = 0;

  static async open({ isTraced, lookEveryMs = 1, ignores }: RealWorldOptions): Promise<RealWorld> {
    const redis = await RealRedis.open();
    const disk = await StateDisk.open();
    const traceDir = isTraced ? mkdtempSync(join(tmpdir(), 'hobbler-trace-')) : null;
    const world = new RealWorld(redis, disk, traceDir, { lookEveryMs, ignores });
    await world.#start();
    await until(() => world.isWell(), { deadlineMs: 20_000, what: () => `a worker; it said ${world.said()}` });
    return world;
  }

  private constructor(
    redis: RealRedis,
    disk: StateDisk,
    traceDir: string | null,
    { lookEveryMs, ignores }: { lookEveryMs: number; ignores: string | undefined },
  ) {
    this.#lookEveryMs = lookEveryMs;
    this.#ignores = ignores;
    this.#redis = redis;
    this.#disk = disk;
    this.#traceDir = traceDir;
    this.#connection = connectRedis({ url: redis.server.url, name: 'hobbler-test' }, silentLogger());
    const path = new URL(redis.server.url).pathname;
    this.#queue = new Queue('orders', { prefix: `hobbler:{${HOST}}`, connection: { path } });
    this.#queue.on('error', () => {}); // histories take Redis away
    this.#worker = undefined as unknown as RealWorker; // `open` starts it
  }

  get facts() {
    return this.#nursery.facts;
  }

  nowMs(): number {
    return Date.now() + this.#redisOffsetMs;
  }

  clockMs(): number {
    return performance.now();
  }

  async until(isSo: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      if (isSo()) return true;
      if (performance.now() > endMs) return false;
      await new Promise((resolve) => setTimeout(resolve, this.#lookEveryMs));
    }
  }

  birth(account: number, parent: ProcessId | null): Promise<ProcessId> {
    return this.#nursery.birth(account, parent);
  }

  death(processes: readonly ProcessId[]): Promise<void> {
    return this.#nursery.death(processes);
  }

  async send(order: GivenOrder, shallWait: boolean): Promise<Answer> {
    const work = this.#give(order).catch((): Answer => 'unknown');
    if (!shallWait) return 'unknown';
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<Answer>((resolve) => {
      timer = setTimeout(resolve, ANSWER_LIMIT_MS, 'unknown');
    });
    return Promise.race([work, limit]).finally(() => clearTimeout(timer));
  }

  async #give(given: GivenOrder): Promise<Answer> {
    const order = orderOf(given, HOST);
    if (given.road === 'job') return this.#runJob(order);
    const put = await putDesired(this.#connection, order);
    const isWritten = put.status === 'written' || put.status === 'same';
    if (given.road === 'state') return isWritten ? 'written' : 'stale';
    if (given.road === 'fleet') return this.#runJob(order);
    await this.#queue.add(order.action, order);
    return isWritten ? 'written' : 'stale';
  }

  /** Adds a job and waits for what came of it; one that failed for another reason than its order is tried again. */
  async #runJob(order: Order): Promise<Answer> {
    const { id } = await this.#queue.add(order.action, order);
    const job = await until(
      async () => {
        const found = await this.#queue.getJob(id!);
        return found?.finishedOn === undefined ? undefined : found;
      },
      { deadlineMs: ANSWER_LIMIT_MS, what: 'an answer' },
    );
    if (/^(?:invalid|refused): /.test(job!.failedReason ?? '')) return 'refused';
    if (job!.failedReason) return 'unknown';
    const { status } = job!.returnvalue as { status: string };
    if (status === 'refused') return 'unknown'; // a fleet order whose record was lost before its job came
    return status === 'stale' ? 'stale' : 'applied';
  }

  async hold(scope: HoldScope, isOn: boolean): Promise<void> {
    if (scope !== 'local') await (isOn ? this.#connection.set(HOLDS[scope], HOLD) : this.#connection.del(HOLDS[scope]));
    else if (isOn) this.#disk.write('hold', '');
    else this.#disk.remove('hold');
  }

  async fault(fault: Fault): Promise<void> {
    const worker = this.#worker;
    // Two may then be in charge until the first one's next beat, within 5 s.
    if (LOSES_LEASE.includes(fault)) this.#hasLostLease = true;
    if (fault === 'second-worker') this.#hasLostLease = false;
    const { server } = this.#redis;
    switch (fault) {
      case 'worker-killed':
        worker.signal('SIGKILL');
        break;
      case 'worker-hung':
        worker.signal('SIGSTOP');
        break;
      case 'worker-wakes':
        worker.signal('SIGCONT');
        break;
      case 'worker-starts':
        await this.#start();
        break;
      case 'worker-replaced':
        worker.signal('SIGTERM');
        if (!(await this.until(() => !worker.isAlive, STOP_LIMIT_MS)))
          throw new Error(`the worker does not end on SIGTERM within ${STOP_LIMIT_MS} ms; it said ${worker.log}`);
        await this.#start();
        break;
      case 'guard-killed': {
        const guard = worker.guard!;
        signalExactly(guard, 'SIGKILL');
        await this.until(() => !isAlive(guard), STOP_LIMIT_MS);
        break;
      }
      case 'guard-hung':
        this.#hungGuard = worker.guard!;
        signalExactly(this.#hungGuard, 'SIGSTOP');
        break;
      case 'guard-wakes':
        signalExactly(this.#hungGuard!, 'SIGCONT');
        this.#hungGuard = undefined;
        break;
      case 'both-killed-then-script':
      case 'both-killed-then-start':
      case 'both-hung': {
        const guard = worker.guard!;
        if (fault === 'both-hung') for (const one of [guard, worker.process]) signalExactly(one, 'SIGSTOP');
        signalExactly(guard, 'SIGKILL');
        worker.signal('SIGKILL');
        await worker.ended();
        break;
      }
      case 'second-worker': {
        const disk = await StateDisk.open();
        this.#second = { disk, worker: await this.#startOn(disk, HOST) };
        break;
      }
      case 'second-ends':
        await this.#endSecond();
        break;
      case 'lease-taken':
        await this.#connection.set(`hobbler:{${HOST}}:lease`, '999999 somebody#else', 'PX', FOREIGN_LEASE_MS);
        break;
      case 'redis-killed':
        await server.kill();
        break;
      case 'redis-starts':
        await server.restart();
        break;
      case 'redis-lost':
        await this.#redis.lose();
        break;
      case 'redis-paused':
        await server.pause();
        break;
      case 'redis-resumes':
        await server.resume();
        break;
      case 'redis-flushed':
        await server.flush();
        break;
      case 'redis-snapshot':
        this.#redis.snapshot();
        break;
      case 'redis-restored':
        await this.#redis.restore();
        break;
      case 'redis-full':
        await this.#redis.setFull(true);
        break;
      case 'redis-roomy':
        await this.#redis.setFull(false);
        break;
      case 'disk-full':
        this.#disk.fill();
        break;
      case 'journal-full':
        this.#limitFiles(String(statSync(this.#disk.path('journal')).size));
        break;
      case 'disk-freed':
        this.#disk.free();
        if (this.#worker.isAlive) this.#limitFiles('unlimited');
        break;
      default:
        fault satisfies never;
    }
  }

  #limitFiles(bytes: string): void {
    const run = spawnSync('prlimit', ['--pid', String(this.#worker.process.pid), `--fsize=${bytes}:unlimited`], {
      encoding: 'utf8',
    });
    if (run.status !== 0) throw new Error(`prlimit: ${run.stderr}`);
  }

  async #start(): Promise<void> {
    if (this.#worker) await this.#worker.ended();
    this.#readTraces();
    this.#doubles.ended();
    this.#worker = await this.#startOn(this.#disk, HOST);
  }

  #startOn(disk: StateDisk, host: string): Promise<RealWorker> {
    const tracePath = this.#traceDir === null ? null : join(this.#traceDir, `trace-${this.#traces.length}`);
    if (tracePath !== null) this.#traces.push(new TraceReader(tracePath));
    const config = { minUid: Math.min(...this.facts.uids), meter: { enabled: false }, brake: { share: 1 } };
    return RealWorker.start({ redisUrl: this.#redis.server.url, host, disk, tracePath, config });
  }

  async #endSecond(): Promise<void> {
    const { worker, disk } = this.#second!;
    this.#second = undefined;
    worker.signal('SIGTERM');
    if (!(await this.until(() => !worker.isAlive, STOP_LIMIT_MS))) throw new Error('the second worker does not end');
    await this.until(() => worker.guard === null, STOP_LIMIT_MS);
    await disk.close();
  }

  async releaseByScript(): Promise<void> {
    const { program, args } = commandOf(readUnit('hobbler-worker.service'), 'Service.ExecStopPost', this.#disk.dir);
    const [enter, ...inside] = this.#disk.enter;
    const run = spawnSync(enter!, [...inside, program, ...args], { encoding: 'utf8', timeout: 10_000 });
    if (run.status !== 0) throw new Error(`the release script failed: ${run.stderr}`);
  }

  stopped(): ProcessId[] {
    return this.#nursery.stopped();
  }

  offences(): string[] {
    this.#readTraces();
    return this.#offences.splice(0);
  }

  #readTraces(): void {
    const sent = this.#traces.flatMap((trace) => trace.next()).sort((a, b) => a.atMs - b.atMs);
    if (sent.length === 0) return;
    this.signals += sent.length;
    this.#offences.push(
      ...strangers(sent, this.#nursery.lifetimes()),
      ...this.#doubles.take(sent).filter(() => !this.#hasLostLease),
    );
  }

  hasGuard(): boolean {
    const guard = this.#worker.guard;
    return guard !== null && readState(guard.pid) !== 'T';
  }

  isWell(): boolean {
    return this.#worker.isReady && this.hasGuard();
  }

  async loops(): Promise<SeenLoop[] | null> {
    try {
      const [status, all] = await Promise.all([
        this.#connection.get(`hobbler:{${HOST}}:status`),
        this.#connection.hgetall(OBSERVED),
      ]);
      if (status === null || statusSchema.parse(JSON.parse(status)).pid !== this.#worker.process.pid) return null;
      const loops = Object.values(all).map((text) => reportSchema.parse(JSON.parse(text)));
      return loops.filter(({ target }) => target !== this.#ignores);
    } catch {
      return null;
    }
  }

  /** Puts a target in outside of any history, for an hour. */
  async tarpitUntilOver(target: string, cycle: Cycle): Promise<void> {
    const nowMs = this.nowMs();
    const times = { version: nowMs, issuedAtMs: nowMs, expiresAtMs: nowMs + HOUR_MS };
    const answer = await this.send({ action: 'tarpit', target, road: 'job', cycle, ...times }, true);
    if (answer !== 'applied') throw new Error(`an order for ${target} was ${answer}: ${this.said()}`);
  }

  identities(): { worker: ProcessId; guard: ProcessId } {
    const guard = this.#worker.guard;
    if (!guard) throw new Error(`no guard: ${this.said()}`);
    return { worker: this.#worker.process, guard };
  }

  async clear(): Promise<void> {
    await this.#nursery.clear();
    for (const scope of ['fleet', 'host', 'local'] as const) await this.hold(scope, false);
    await this.#redis.server.flush();
  }

  said(): string {
    return [this.#worker.log, this.#second?.worker.log].filter(Boolean).join('\nthe second:\n');
  }

  /** Ends everything; fails when something is left stopped by then. */
  async close(): Promise<void> {
    await this.#redis.server.resume().catch(() => {});
    for (const worker of [this.#worker, this.#second?.worker]) {
      if (!worker) continue;
      if (this.#hungGuard) signalExactly(this.#hungGuard, 'SIGCONT');
      worker.signal('SIGCONT');
      worker.signal('SIGTERM');
      if (!(await this.until(() => !worker.isAlive, STOP_LIMIT_MS))) worker.signal('SIGKILL');
      await worker.ended();
      await this.until(() => worker.guard === null, STOP_LIMIT_MS);
    }
    this.#connection.disconnect();
    await this.#queue.close().catch(() => {});
    await this.#redis.server.stop();
    try {
      await this.#nursery.clear();
    } finally {
      await this.#disk.close();
      await this.#second?.disk.close();
      await expectNothingLeft();
      this.#nursery.close();
      if (this.#traceDir !== null) rmSync(this.#traceDir, { recursive: true, force: true });
    }
  }
}

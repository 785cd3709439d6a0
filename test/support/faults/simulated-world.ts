/**
 * The simulated world: a clock that a test moves, a machine of plain files, a Redis in memory, and on them the worker's own
 * parts. What takes a real world minutes takes milliseconds here, so that thousands of histories can be played. Same
 * histories, same model, same checker.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fleetKeys, hostKeys } from '../../../shared/keys.ts';
import type { Order, OrderResult } from '../../../shared/order.ts';
import { putDesired } from '../../../shared/redis/desired.ts';
import type { ProcessId } from '../../../shared/target.ts';
import { FakeClock, settle } from '../fake-clock.ts';
import { FakeKernel, type FakeProcess } from '../fake-kernel.ts';
import type { HostFacts, SeenLoop } from './checker.ts';
import { ACCOUNTS, type Fault, type HoldScope } from './history.ts';
import type { Answer, GivenOrder } from './model.ts';
import { orderOf } from './order-of.ts';
import { releaseByJournal, type SimulatedHost } from './simulated-host.ts';
import { SimulatedRedis } from './simulated-redis.ts';
import { HOST, SimulatedWorker } from './simulated-worker.ts';
import type { World } from './world.ts';

const FIRST_UID = 20_211;
/** Between two looks at a condition. */
const LOOK_EVERY_MS = 10;
const ANSWER_LIMIT_MS = 4_000;
const FOREIGN_LEASE_MS = 6_000;
/** A job of a worker that died is given out again after this. */
const STALLED_MS = 30_000;
const HOLD = JSON.stringify({ reason: 'a test', by: 'operator:ann', sinceMs: 0 });

interface QueuedJob {
  order: Order;
  result: OrderResult | 'failed' | undefined;
  tries: number;
}

export class SimulatedWorld implements World {
  readonly facts: HostFacts = {
    uids: Array.from({ length: ACCOUNTS }, (_, account) => FIRST_UID + account),
    cgroup: null,
  };
  readonly #clock = new FakeClock();
  readonly #kernel: FakeKernel;
  readonly #redis = new SimulatedRedis(() => this.#clock.wallMs());
  readonly #outside = this.#redis.connect(() => true);
  readonly #host: SimulatedHost;
  readonly #alive = new Map<number, FakeProcess>();
  readonly #dirs: string[] = [];
  #queue: QueuedJob[] = [];
  #snapshotOfQueue: QueuedJob[] = [];
  #worker: SimulatedWorker;
  #second: SimulatedWorker | undefined;
  #nextPid = 100;
  #seenSignals = 0;

  constructor() {
    this.#kernel = new FakeKernel({ pidfds: true });
    this.#host = this.#newHost('lock-1');
    this.#worker = new SimulatedWorker(this.#host);
  }

  #newHost(lockId: string): SimulatedHost {
    const dir = mkdtempSync(join(tmpdir(), 'hobbler-simulated-'));
    this.#dirs.push(dir);
    const [clock, kernel, redis] = [this.#clock, this.#kernel, this.#redis];
    return { dir, kernel, clock, redis, lockId, isDiskFull: false, guard: 'gone', minUid: FIRST_UID };
  }

  nowMs(): number {
    return Math.round(this.#clock.wallMs());
  }

  clockMs(): number {
    return this.#clock.monotonicMs();
  }

  async until(isSo: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.#clock.monotonicMs() + limitMs;
    for (;;) {
      if (isSo()) return true;
      if (this.#clock.monotonicMs() >= endMs) return false;
      await this.#advance(LOOK_EVERY_MS);
    }
  }

  async #advance(ms: number): Promise<void> {
    await this.#clock.advance(ms);
    this.#worker.guardTurn();
    this.#second?.guardTurn();
    this.#serve();
  }

  async birth(account: number, parent: ProcessId | null): Promise<ProcessId> {
    const pid = this.#nextPid++;
    const uid = this.facts.uids[account]!;
    const one = this.#kernel.add({ pid, ppid: parent?.pid ?? 1, uid, startTicks: 10_000 + pid });
    this.#alive.set(pid, one);
    return { pid, startTicks: one.startTicks };
  }

  async death(processes: readonly ProcessId[]): Promise<void> {
    for (const { pid } of processes) {
      this.#kernel.remove(pid);
      this.#alive.delete(pid);
    }
  }

  async send(given: GivenOrder, shallWait: boolean): Promise<Answer> {
    const order = orderOf(given, HOST);
    const work = this.#give(given, order);
    let answer: Answer | undefined;
    work.then(
      (came) => {
        answer = came;
      },
      () => {
        answer = 'unknown';
      },
    );
    await settle();
    if (!shallWait) return 'unknown';
    await this.until(() => answer !== undefined, ANSWER_LIMIT_MS);
    return answer ?? 'unknown';
  }

  async #give({ road }: GivenOrder, order: Order): Promise<Answer> {
    if (road === 'job') return this.#runJob(order);
    const put = await putDesired(this.#outside, order);
    const isWritten = put.status === 'written' || put.status === 'same';
    if (road === 'fleet') return this.#runJob(order);
    if (road === 'issuer') this.#add(order);
    return isWritten ? 'written' : 'stale';
  }

  #add(order: Order): QueuedJob {
    if (this.#redis.state === 'down' || this.#redis.state === 'full') throw new Error('the job cannot be added');
    const job: QueuedJob = { order, result: undefined, tries: 0 };
    this.#queue.push(job);
    return job;
  }

  async #runJob(order: Order): Promise<Answer> {
    const job = this.#add(order);
    const endMs = this.#clock.monotonicMs() + ANSWER_LIMIT_MS;
    while (job.result === undefined && this.#clock.monotonicMs() < endMs)
      await new Promise<void>((resolve) => this.#clock.after(1, resolve));
    if (job.result === undefined || job.result === 'failed') return 'unknown';
    switch (job.result.status) {
      case 'invalid':
        return 'refused';
      case 'refused':
        return 'unknown';
      case 'stale':
        return 'stale';
      default:
        return 'applied';
    }
  }

  /** What BullMQ does: a worker that is there and reaches Redis gets what waits. */
  #serve(): void {
    if (this.#redis.state === 'paused' || this.#redis.state === 'down') return;
    const worker = this.#worker.takesJobs ? this.#worker : this.#second?.takesJobs ? this.#second : undefined;
    if (!worker) return;
    for (const job of this.#queue.splice(0)) {
      job.tries++;
      let isAnswered = false;
      worker.take(job.order).then(
        (result) => {
          isAnswered = true;
          job.result = result;
        },
        (error: Error) => {
          isAnswered = true;
          if (error.name === 'UnrecoverableError') job.result = { status: 'invalid', why: error.message };
          else if (job.tries >= 3) job.result = 'failed';
          else this.#clock.after(1_000, () => this.#queue.push(job));
        },
      );
      this.#clock.after(STALLED_MS, () => {
        if (!isAnswered) this.#queue.push(job);
      });
    }
  }

  async hold(scope: HoldScope, isOn: boolean): Promise<void> {
    if (scope === 'local') {
      const path = join(this.#host.dir, 'hold');
      if (isOn) writeFileSync(path, '');
      else rmSync(path, { force: true });
      return;
    }
    const key = scope === 'fleet' ? fleetKeys.hold : hostKeys.hold(HOST);
    if (isOn) this.#redis.set(key, HOLD);
    else this.#redis.delete(key);
  }

  async fault(fault: Fault): Promise<void> {
    switch (fault) {
      case 'worker-killed':
        await this.#worker.kill();
        break;
      case 'worker-hung':
        await this.#worker.hang();
        break;
      case 'worker-wakes':
        this.#worker.wake();
        break;
      case 'worker-starts':
        this.#worker = new SimulatedWorker(this.#host);
        break;
      case 'worker-replaced':
        await this.#worker.stop();
        this.#worker = new SimulatedWorker(this.#host);
        break;
      case 'guard-killed':
        this.#worker.killGuard();
        break;
      case 'guard-hung':
        this.#worker.guard = 'hung';
        break;
      case 'guard-wakes':
        this.#wakeGuard();
        break;
      case 'both-killed-then-script':
      case 'both-killed-then-start':
      case 'both-hung':
        this.#worker.guard = 'gone';
        await this.#worker.kill();
        break;
      case 'second-worker':
        this.#second = new SimulatedWorker(this.#newHost('lock-2'));
        break;
      case 'second-ends':
        await this.#second!.stop();
        this.#second = undefined;
        break;
      case 'lease-taken':
        this.#redis.set(hostKeys.lease(HOST), '999999 somebody#else', FOREIGN_LEASE_MS);
        break;
      case 'redis-killed':
        this.#redis.setState('down');
        break;
      case 'redis-starts':
      case 'redis-resumes':
        this.#comesBack();
        break;
      case 'redis-lost':
        this.#redis.lose();
        this.#queue = [];
        this.#comesBack();
        break;
      case 'redis-paused':
        this.#redis.setState('paused');
        break;
      case 'redis-flushed':
        this.#redis.lose();
        this.#queue = [];
        break;
      case 'redis-snapshot':
        this.#redis.takeSnapshot();
        this.#snapshotOfQueue = [...this.#queue];
        break;
      case 'redis-restored':
        this.#redis.restore();
        this.#queue = [...this.#snapshotOfQueue];
        this.#comesBack();
        break;
      case 'redis-full':
        this.#redis.setState('full');
        break;
      case 'redis-roomy':
        this.#redis.setState('up');
        break;
      case 'disk-full':
      case 'journal-full':
        this.#host.isDiskFull = true;
        break;
      case 'disk-freed':
        this.#host.isDiskFull = false;
        break;
      default:
        fault satisfies never;
    }
    await settle();
  }

  /** One that wakes beside a dead worker sees the end of the FIFO, and ends. */
  #wakeGuard(): void {
    if (this.#worker.state === 'dead') {
      releaseByJournal(this.#host);
      this.#worker.guard = 'gone';
    } else {
      this.#worker.startGuard();
    }
  }

  #comesBack(): void {
    this.#redis.setState('up');
    this.#worker.reconnected();
    this.#second?.reconnected();
  }

  async releaseByScript(): Promise<void> {
    releaseByJournal(this.#host);
  }

  stopped(): ProcessId[] {
    return [...this.#alive.values()]
      .filter(({ state }) => state === 'T')
      .map(({ pid, startTicks }) => ({ pid, startTicks }));
  }

  /** Whoever was signalled at all since the last look must be one of the accounts' processes. */
  offences(): string[] {
    const { signals } = this.#kernel;
    const fresh = signals.slice(this.#seenSignals);
    this.#seenSignals = signals.length;
    return fresh.filter(({ pid }) => pid < 100).map(({ pid, signal }) => `${signal} to the stranger ${pid}`);
  }

  hasGuard(): boolean {
    return this.#worker.guard === 'listens';
  }

  isWell(): boolean {
    return this.#worker.takesJobs && this.hasGuard();
  }

  async loops(): Promise<SeenLoop[] | null> {
    return this.#worker.takesJobs ? this.#worker.reports() : null;
  }

  async clear(): Promise<void> {
    await this.death([...this.#alive.values()]);
  }

  said(): string {
    return `(simulated; worker ${this.#worker.state}, guard ${this.#worker.guard}, gate ${JSON.stringify(this.#worker.engine.closedGate)})`;
  }

  async close(): Promise<void> {
    for (const worker of [this.#worker, this.#second]) if (worker && worker.state !== 'dead') await worker.kill();
    this.#kernel.end();
    for (const dir of this.#dirs) rmSync(dir, { recursive: true, force: true });
  }
}

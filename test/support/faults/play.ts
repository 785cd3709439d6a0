/**
 * Plays a history in a world and holds what is seen against the model: at every look nobody is stopped who may not be,
 * after each fault everything runs in time, and at the end the host does what the newest orders say. The same for both
 * worlds. Throws with every difference; after that the world is of no further use.
 */
import { formatTarget, type ProcessId } from '../../../shared/target.ts';
import { endFaults, slowed } from './checker.ts';
import { Giver, SHORT_MS } from './giver.ts';
import type { Fault, Step } from './history.ts';
import * as limits from './limits.ts';
import { EXPIRY_SEEN_MS, Model, type ModelProcess } from './model.ts';
import { allWell, isPossible } from './parts.ts';
import { countFault, type Figures, noteRelease, type World } from './world.ts';

/** How many of a history's processes can be named by a pid target. */
const PID_TARGETS = 7;

export async function play(history: readonly Step[], world: World, figures: Figures): Promise<void> {
  const one = new Play(world, figures);
  await one.begin();
  for (const step of history) await one.take(step);
  await one.settle();
  figures.histories++;
  figures.steps += history.length;
}

class Play {
  readonly #world: World;
  readonly #figures: Figures;
  readonly #model = new Model();
  readonly #giver: Giver;
  readonly #story: string[] = [];
  readonly #parts = allWell();
  #faultAtMs = 0;
  /** Since when the local hold stands. */
  #heldAtMs = 0;
  #redisBackAtMs = Number.NEGATIVE_INFINITY;

  constructor(world: World, figures: Figures) {
    this.#world = world;
    this.#figures = figures;
    this.#giver = new Giver(world, this.#model, this.#parts, figures, (faults) => this.#fail(faults));
  }

  async begin(): Promise<void> {
    const root = await this.#birth(0, null);
    await this.#birth(0, root);
    await this.#birth(1, null);
    if (this.#world.facts.cgroup) await this.#birth(this.#world.facts.cgroup.account, null);
  }

  async take(step: Step): Promise<void> {
    this.#story.push(JSON.stringify(step));
    switch (step.do) {
      case 'tarpit':
        await this.#giver.give(
          this.#giver.tarpit(this.#target(step.target), step.cycle, step.road, step.short),
          step.manner,
        );
        break;
      case 'untarpit':
        await this.#giver.give(this.#giver.order('untarpit', this.#target(step.target), 0, step.road, 0), step.manner);
        break;
      case 'deliver':
        await this.#giver.deliver();
        break;
      case 'again':
      case 'ancient':
        await this.#giver.replay(step.which, step.do === 'ancient');
        break;
      case 'future':
        await this.#giver.fromTheFuture(this.#target(step.target));
        break;
      case 'policy':
        for (const { target } of this.#model.inTarpit(this.#world.nowMs()))
          await this.#giver.give(this.#giver.tarpit(target, step.cycle, 'issuer', false), 'once');
        break;
      case 'hold':
      case 'unhold':
        await this.#hold(step.scope, step.do === 'hold');
        break;
      case 'birth': {
        const roots = this.#model.alive().filter(({ account, parent }) => account === step.account && parent === null);
        await this.#birth(step.account, (step.isChild && roots[0]) || null);
        break;
      }
      case 'death':
        await this.#death(step.which);
        break;
      case 'fault':
        await this.#fault(step.fault);
        break;
      case 'wait':
        await this.#pass(step.ms);
        break;
    }
    this.#look();
  }

  /** Targets by number, so that what a shrunk history names does not change: users, a cgroup, nobody's, then processes. */
  #target(number: number): string {
    const { uids, cgroup } = this.#world.facts;
    const targets = [
      ...uids.map((uid) => formatTarget({ kind: 'uid', uid })),
      ...(cgroup ? [formatTarget({ kind: 'cgroup', path: cgroup.path })] : []),
      'uid:0',
      ...this.#model.processes
        .slice(0, PID_TARGETS)
        .map(({ pid, startTicks }) => formatTarget({ kind: 'pid', pid, startTicks })),
    ];
    return targets[number % targets.length]!;
  }

  async #hold(scope: 'fleet' | 'host' | 'local', isOn: boolean): Promise<void> {
    if (scope !== 'local' && this.#parts.redis !== 'up') return;
    await this.#world.hold(scope, isOn);
    if (!isOn) {
      this.#model.holds.delete(scope);
      return;
    }
    this.#model.holds.add(scope);
    if (scope === 'local') this.#heldAtMs = this.#world.clockMs();
    countFault(this.#figures, `hold (${scope})`);
    const isConnected =
      this.#parts.redis === 'up' && this.#world.clockMs() - this.#redisBackAtMs > limits.RECONNECTED_MS;
    const isSeen = this.#parts.worker === 'runs' && !this.#parts.hasSecond && (scope === 'local' || isConnected);
    if (isSeen) await this.#allRun(`hold (${scope})`, limits.HOLD_LIMIT_MS, limits.RUN_PHASE_MS);
  }

  async #birth(account: number, parent: ModelProcess | null): Promise<ModelProcess> {
    const id = await this.#world.birth(account, parent);
    const born = { pid: id.pid, startTicks: id.startTicks, account, parent, isAlive: true };
    this.#model.processes.push(born);
    return born;
  }

  async #death(which: number): Promise<void> {
    const alive = this.#model.alive();
    const one = alive[which % Math.max(1, alive.length)];
    if (!one) return;
    const family = alive.filter((other) => other === one || other.parent === one);
    await this.#world.death(family);
    for (const dead of family) dead.isAlive = false;
  }

  async #fault(fault: Fault): Promise<void> {
    if (!isPossible(fault, this.#parts, this.#model, this.#world)) return;
    countFault(this.#figures, fault);
    const releases = fault.startsWith('worker-killed') || fault.startsWith('both') || fault.endsWith('hung');
    // Something should be stopped when it strikes, if anything is to be.
    if (releases && this.#parts.worker === 'runs') await this.#world.until(() => this.#world.stopped().length > 0, 400);
    if (fault === 'redis-snapshot') await this.#pass(50);
    this.#faultAtMs = this.#world.clockMs();
    await this.#world.fault(fault);
    if (fault.startsWith('redis-')) this.#redisBackAtMs = this.#world.clockMs();
    await this.#after(fault);
  }

  /** What must be seen after it, and what is so from then on. */
  async #after(fault: Fault): Promise<void> {
    switch (fault) {
      case 'worker-killed':
        await this.#allRun('worker killed', limits.DEAD_LIMIT_MS);
        this.#ended();
        break;
      case 'worker-hung':
        this.#parts.worker = 'hung';
        await this.#allRun('worker hung', limits.HUNG_LIMIT_MS);
        break;
      case 'worker-wakes':
      case 'worker-starts':
        this.#parts.worker = 'runs';
        break;
      case 'worker-replaced':
        this.#ended();
        this.#parts.worker = 'runs';
        break;
      case 'guard-killed':
        if (!(await this.#world.until(() => this.#world.hasGuard(), limits.START_LIMIT_MS)))
          this.#fail(['no new guard after the old one was killed']);
        break;
      case 'guard-hung':
        await this.#allRun('guard hung', limits.DEAF_LIMIT_MS, limits.RUN_PHASE_MS);
        // Where nobody was stopped, the worker may not know yet.
        await this.#pass(Math.max(0, this.#faultAtMs + limits.DEAF_LIMIT_MS - this.#world.clockMs()));
        this.#parts.isGuardHung = true;
        break;
      case 'guard-wakes':
        this.#parts.isGuardHung = false;
        break;
      case 'both-killed-then-script':
        await this.#world.releaseByScript();
        await this.#allRun('both killed, from the start of the release script', limits.SCRIPT_LIMIT_MS);
        this.#ended();
        break;
      case 'both-killed-then-start':
        await this.#nextStartReleases();
        this.#ended();
        this.#parts.worker = 'runs';
        break;
      case 'both-hung':
        await this.#world.releaseByScript();
        await this.#allRun(
          'both hung and killed by a watchdog, from the start of the release script',
          limits.SCRIPT_LIMIT_MS,
        );
        this.#ended();
        break;
      case 'second-worker':
        this.#parts.hasSecond = true;
        break;
      case 'second-ends':
        this.#parts.hasSecond = false;
        this.#model.workerMayHaveChanged();
        break;
      case 'lease-taken':
        break;
      case 'redis-killed':
        this.#parts.redis = 'down';
        break;
      case 'redis-lost':
      case 'redis-flushed':
        this.#model.redisLostAll();
        this.#parts.redis = 'up';
        break;
      case 'redis-paused':
        this.#parts.redis = 'paused';
        break;
      case 'redis-starts':
      case 'redis-resumes':
      case 'redis-roomy':
        this.#parts.redis = 'up';
        break;
      case 'redis-snapshot':
        this.#model.snapshotTaken();
        break;
      case 'redis-restored':
        this.#model.snapshotRestored();
        break;
      case 'redis-full':
        this.#parts.redis = 'full';
        break;
      case 'disk-full':
      case 'journal-full':
        this.#parts.isDiskFull = true;
        break;
      case 'disk-freed':
        this.#parts.isDiskFull = false;
        break;
      default:
        fault satisfies never;
    }
  }

  #ended(): void {
    this.#parts.worker = 'dead';
    this.#model.workerEnded();
    // One that waits may be in charge from here on.
    if (this.#parts.hasSecond) this.#model.workerMayHaveChanged();
  }

  /**
   * Everything runs within that time, and goes on running; how long it took is what the figures are about. Where the worker
   * goes on as well, a moment in which all run may be a run phase: it must last.
   */
  async #allRun(after: string, limitMs: number, mustLastMs = 0): Promise<void> {
    const stopped = () => this.#world.stopped();
    const clockMs = () => this.#world.clockMs();
    const fromMs = clockMs();
    const before = stopped().length;
    let runSinceMs: number | undefined;
    const isSo = await this.#world.until(() => {
      if (stopped().length > 0) runSinceMs = undefined;
      else runSinceMs ??= clockMs();
      return runSinceMs !== undefined && clockMs() - runSinceMs >= mustLastMs;
    }, limitMs + mustLastMs);
    // A second worker takes over where Redis has lost the lease, and goes on.
    if (!isSo && this.#parts.hasSecond) return;
    if (!isSo) this.#fail([`${after}: after ${limitMs} ms still stopped: ${words(stopped())}`]);
    if (before > 0) noteRelease(this.#figures, after, runSinceMs! - fromMs);
    this.#look();
  }

  /** The next worker goes on with the hobble at once, so each process must have been seen running, and not all together. */
  async #nextStartReleases(): Promise<void> {
    const after = 'both killed, from the start of the next worker';
    const fromMs = this.#world.clockMs();
    const left = new Set(this.#world.stopped().map(({ pid }) => pid));
    const before = left.size;
    await this.#world.fault('worker-starts');
    const isSo = await this.#world.until(() => {
      const stopped = new Set(this.#world.stopped().map(({ pid }) => pid));
      for (const pid of left) if (!stopped.has(pid)) left.delete(pid);
      return left.size === 0;
    }, limits.START_LIMIT_MS);
    if (!isSo) this.#fail([`${after}: after ${limits.START_LIMIT_MS} ms still stopped: ${[...left].join(', ')}`]);
    if (before > 0) noteRelease(this.#figures, after, this.#world.clockMs() - fromMs);
  }

  async #pass(ms: number): Promise<void> {
    const endMs = this.#world.clockMs() + ms;
    await this.#world.until(() => {
      this.#look();
      return this.#world.clockMs() >= endMs;
    }, ms + 5_000);
  }

  /** What must hold at every moment: while nobody may stop anything nobody is stopped, and nobody ever hits a stranger. */
  #look(): void {
    this.#figures.looks++;
    const faults = this.#world.offences();
    const mayNot =
      this.#parts.worker !== 'runs'
        ? `the worker is ${this.#parts.worker}`
        : this.#parts.isGuardHung
          ? 'the guard hangs'
          : this.#model.holds.has('local') && this.#world.clockMs() - this.#heldAtMs > limits.HOLD_LIMIT_MS
            ? 'a local hold stands'
            : undefined;
    if (mayNot !== undefined && !this.#parts.hasSecond) {
      const stopped = this.#world.stopped();
      if (stopped.length > 0) faults.push(`stopped although ${mayNot}: ${words(stopped)}`);
    }
    if (faults.length > 0) this.#fail(faults);
  }

  #fail(faults: readonly string[]): never {
    throw new Error(
      `${faults.join('\n')}\n  after:\n    ${this.#story.join('\n    ')}\n  the parts said:\n${this.#world.said()}`,
    );
  }

  /** Every fault ends, every order arrives, and then the newest ones must be what the host does. */
  async settle(): Promise<void> {
    this.#story.push('(settle)');
    await this.#repair();
    await this.#giver.deliver();
    for (const order of this.#model.outbox) await this.#giver.insist(order);
    await this.#expectNewest();
    if (this.#model.isHeld) {
      for (const scope of [...this.#model.holds]) await this.#hold(scope, false);
      await this.#expectNewest();
    }
    for (const loop of (await this.#world.loops()) ?? [])
      await this.#giver.insist(this.#giver.order('untarpit', loop.target, 0, 'job', 0));
    await this.#world.clear();
  }

  async #repair(): Promise<void> {
    if (this.#parts.redis === 'down') await this.#fault('redis-starts');
    if (this.#parts.redis === 'paused') await this.#fault('redis-resumes');
    if (this.#parts.redis === 'full') await this.#fault('redis-roomy');
    if (this.#parts.isDiskFull) await this.#fault('disk-freed');
    if (this.#parts.isGuardHung) await this.#fault('guard-wakes');
    if (this.#parts.worker === 'hung') await this.#fault('worker-wakes');
    if (this.#parts.worker === 'dead') await this.#fault('worker-starts');
    if (this.#parts.hasSecond) await this.#fault('second-ends');
    if (!(await this.#world.until(() => this.#world.isWell(), limits.SETTLE_LIMIT_MS)))
      this.#fail([`no worker that carries out orders within ${limits.SETTLE_LIMIT_MS} ms`]);
  }

  async #expectNewest(): Promise<void> {
    const nowMs = this.#world.nowMs();
    const expiresInMs = this.#model.nextExpiryMs(nowMs) - nowMs;
    if (expiresInMs < 2 * SHORT_MS) await this.#pass(Math.max(0, expiresInMs) + EXPIRY_SEEN_MS);
    const endMs = this.#world.clockMs() + limits.SETTLE_LIMIT_MS;
    for (;;) {
      const loops = await this.#world.loops();
      const faults = loops ? endFaults(this.#model, loops, this.#world.facts, this.#world.nowMs()) : ['no report'];
      if (faults.length === 0) {
        const { must, mustNot } = slowed(this.#model, loops!, this.#world.facts);
        return this.#expectPhases(must, mustNot);
      }
      if (this.#world.clockMs() > endMs)
        this.#fail([`${limits.SETTLE_LIMIT_MS} ms later the newest orders are not what is done:`, ...faults]);
      await this.#pass(20);
    }
  }

  /** By what is done to the processes, and not by what the worker says of itself. */
  async #expectPhases(must: readonly ModelProcess[], mustNot: readonly ModelProcess[]): Promise<void> {
    const unseen = new Set(must.map(({ pid }) => pid));
    const look = () => {
      for (const { pid } of this.#world.stopped()) {
        unseen.delete(pid);
        if (mustNot.some((one) => one.pid === pid)) this.#fail([`pid ${pid} is stopped, and no order says so`]);
      }
    };
    const fromMs = this.#world.clockMs();
    const isSo = await this.#world.until(() => {
      look();
      return unseen.size === 0 && this.#world.clockMs() - fromMs > 250;
    }, 20_000);
    if (!isSo) this.#fail([`never seen stopped, though in the tarpit: ${[...unseen].join(', ')}`]);
  }
}

const words = (all: readonly ProcessId[]) => all.map(({ pid }) => pid).join(', ');

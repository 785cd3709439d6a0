/**
 * A hobble loop: one target under one duty cycle, from the order that put it in until it ends. It holds the group of
 * its processes and what was measured of them. States:
 *
 *   armed ◄──► hobbling ◄──► spared        armed: no process at present; spared: idle by itself (idleness.ts)
 *                 │
 *                 └──► denied              a parent outside stops with its child
 *
 * However it ends, its processes run.
 */
import { runRatio } from '../../shared/order.ts';
import type { TargetState } from '../../shared/report.ts';
import { formatTarget, type Target } from '../../shared/target.ts';
import { type SignalGroup, type SignalParts, SignalGroup as Signals } from '../mechanisms/signal.ts';
import { TICKS_PER_SECOND } from '../process/stat.ts';
import type { ProcessEntry } from '../process/table.ts';
import { CpuCounter } from './cpu-counter.ts';
import { Idleness } from './idleness.ts';
import type { Phased } from './scheduler.ts';
import type { DutyCycle } from './slots.ts';

/** How often a loop looks at each of its processes, milliseconds. */
const INSPECT_EVERY_MS = 1_000;
/** Over how long the CPU share is measured, in inspections. */
const SHARE_WINDOW = 5;

/** Which processes a target stands for on this host, once users are resolved. */
export type Scope =
  | { kind: 'uid'; uid: number }
  | { kind: 'tree'; root: ProcessEntry }
  | { kind: 'cgroup'; path: string };

export interface LoopEvents {
  onDenied(loop: HobbleLoop, why: string): void;
  /** The journal could not be written, so newcomers were not stopped. */
  onJournalBroken(loop: HobbleLoop): void;
  onFirstStop(loop: HobbleLoop): void;
  /** It is idle by itself from now on (and spared, unless every target is to be cycled), or no longer. */
  onIdle(loop: HobbleLoop): void;
  /** Its last process was found to have ended. */
  onEmpty(loop: HobbleLoop): void;
}

interface UsagePoint {
  atMs: number;
  totalTicks: number;
}

export class HobbleLoop implements Phased {
  readonly key: string;
  readonly target: Target;
  readonly scope: Scope;
  /** Processes the target stands for; of a tree, descendants once seen stay. */
  readonly members = new Set<ProcessEntry>();
  /** Members that the rules exempt, and members that another loop owns. */
  exempted = 0;
  ownedElsewhere = 0;
  cycle: DutyCycle;
  /** True: cycled even while it is idle. */
  every: boolean;
  why: string | null = null;
  beforeRatio: number | null = null;
  stops = 0;
  readonly #group: SignalGroup;
  readonly #events: LoopEvents;
  readonly #nowMs: () => number;
  readonly #nowTicks: () => number;
  readonly #cpu = new CpuCounter();
  #usage: UsagePoint[] = [];
  #inspectedAtMs = Number.NEGATIVE_INFINITY;
  #isStopped = false;
  #isDenied = false;
  readonly #idleness = new Idleness();

  constructor(target: Target, scope: Scope, cycle: DutyCycle, every: boolean, parts: SignalParts, events: LoopEvents) {
    this.key = formatTarget(target);
    this.target = target;
    this.scope = scope;
    this.cycle = cycle;
    this.every = every;
    this.#group = new Signals(parts);
    this.#events = events;
    this.#nowMs = () => parts.clock.monotonicMs();
    this.#nowTicks = () => (parts.clock.bootMs() / 1000) * TICKS_PER_SECOND;
  }

  /** The share of time it leaves; of overlapping loops the lowest owns a process (invariant 8). */
  get runRatio(): number {
    return runRatio(this.cycle);
  }

  get state(): TargetState {
    if (this.#isDenied) return 'denied';
    if (this.#group.size === 0) return 'armed';
    return this.#isSpared ? 'spared' : 'hobbling';
  }

  /** It uses less than its share by itself. */
  get isIdle(): boolean {
    return this.#idleness.isSpared;
  }

  get #isSpared(): boolean {
    return !this.every && this.isIdle;
  }

  /** Processes it owns now. */
  get processes(): number {
    return this.#group.size;
  }

  get notPermitted(): number {
    return this.#group.notPermitted;
  }

  get stoppedByOthers(): number {
    return this.#group.foreign;
  }

  /** CPU share of one core under the hobble, over the last seconds; null while too little was seen. */
  get gotRatio(): number | null {
    const first = this.#usage[0];
    const last = this.#usage.at(-1);
    if (!first || !last || last.atMs - first.atMs < INSPECT_EVERY_MS / 2) return null;
    return (last.totalTicks - first.totalTicks) / TICKS_PER_SECOND / ((last.atMs - first.atMs) / 1000);
  }

  /** CPU it has used since it is in the tarpit, in seconds. */
  get usedSeconds(): number {
    return this.#cpu.totalTicks / TICKS_PER_SECOND;
  }

  /** Makes these its own processes, and notes what of the target it does not hobble. */
  setOwned(entries: Iterable<ProcessEntry>, left: { exempted: number; ownedElsewhere: number; tooMany: number }): void {
    if (this.#isDenied) return;
    this.exempted = left.exempted;
    this.ownedElsewhere = left.ownedElsewhere;
    this.why = left.tooMany === 0 ? null : `${left.tooMany} more than bounds.processesPerTarget run on`;
    this.#group.setMembers(entries);
  }

  addBorn(entries: readonly ProcessEntry[]): void {
    if (this.#isDenied) return;
    this.#group.addMembers(entries);
  }

  enterStop(): void {
    if (this.#isStopped || this.#isDenied) return;
    this.#inspectIfDue();
    if (this.#group.size === 0 || this.#isSpared) return;
    const outcome = this.#group.stop();
    if (outcome.status === 'journal-broken') {
      this.#group.run();
      this.#events.onJournalBroken(this);
      return;
    }
    this.#isStopped = true;
    this.stops += outcome.signals;
    if (this.stops > 0 && this.stops === outcome.signals) this.#events.onFirstStop(this);
  }

  enterRun(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    const bystander = this.#group.checkBystanders();
    this.#group.run();
    if (bystander) this.deny(`${bystander.comm} (pid ${bystander.pid}) stops with its child`);
  }

  /** Lets go of everything and stays, to say why. */
  deny(why: string): void {
    this.#group.release();
    this.#isStopped = false;
    this.#isDenied = true;
    this.why = why;
    this.#events.onDenied(this, why);
  }

  /** Its processes run; the loop is over. */
  release(): void {
    this.#isStopped = false;
    this.#group.release();
  }

  #inspectIfDue(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#inspectedAtMs < INSPECT_EVERY_MS) return;
    const sinceMs = nowMs - this.#inspectedAtMs;
    this.#inspectedAtMs = nowMs;
    const sizeBefore = this.#group.size;
    const { alive, isRunnable } = this.#group.inspect();
    const usedTicks = this.#cpu.look(alive, this.#nowTicks());
    this.#usage.push({ atMs: nowMs, totalTicks: this.#cpu.totalTicks });
    if (this.#usage.length > SHARE_WINDOW + 1) this.#usage = this.#usage.slice(-SHARE_WINDOW - 1);
    if (sizeBefore > 0 && alive.length === 0) this.#events.onEmpty(this);
    if (!Number.isFinite(sinceMs)) return; // the first look is what the next one is compared with
    const wasIdle = this.isIdle;
    const usedRatio = usedTicks / TICKS_PER_SECOND / (sinceMs / 1000);
    this.#idleness.take({ usedRatio, isRunnable }, this.runRatio);
    if (wasIdle !== this.isIdle) this.#events.onIdle(this);
  }
}

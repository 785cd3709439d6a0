/**
 * A hobble loop: one target under one duty cycle, from the order that put it in until it ends. It holds the group of
 * its processes and what was measured of them. States:
 *
 *   armed ◄──► hobbling ◄──► spared        armed: no process at present; spared: idle by itself (idleness.ts)
 *                 │  ▲
 *                 │  └─────► held           its mechanism can do nothing for them at present
 *                 └──► denied              a parent outside stops with its child
 *
 * How a phase is enforced is the group's affair. However a loop ends, its processes run.
 */
import type { Clock } from '../../shared/clock.ts';
import { type Hobble, runRatio } from '../../shared/order.ts';
import type { TargetState } from '../../shared/report.ts';
import { formatTarget, type Target } from '../../shared/target.ts';
import { type Group, type InForce, nameOf } from '../mechanisms/group.ts';
import { isDead, type StatFields, TICKS_PER_SECOND } from '../process/stat.ts';
import type { ProcessEntry } from '../process/table.ts';
import { CpuCounter } from './cpu-counter.ts';
import { Idleness } from './idleness.ts';
import { Said } from './said.ts';
import type { Phased } from './scheduler.ts';
import type { Scope } from './scope.ts';
import { shareSoFar } from './share.ts';
import type { DutyCycle } from './slots.ts';
import { UsageWindow } from './usage-window.ts';

/** A loop looks at each of its processes about once a second; never sooner than this after the last look, milliseconds. */
const INSPECT_EVERY_MS = 900;
/** One that is spared for long is looked at as seldom as this, milliseconds: no later than it could have used what it left unused. */
const INSPECT_SPARED_EVERY_MS = 5_000;
/** After so many looks without a process it is looked for one once a second only: that is then its second of full speed. */
const EMPTY_LOOKS = 60;

export interface LoopEvents {
  onDenied(loop: HobbleLoop, why: string): void;
  /** The journal could not be written, so newcomers were not stopped. */
  onJournalBroken(loop: HobbleLoop): void;
  onFirstStop(loop: HobbleLoop): void;
  /** It is idle by itself from now on, or no longer; or it wants phases from now on, or none. */
  onPlace(loop: HobbleLoop): void;
  /** Its last process was found to have ended. */
  onEmpty(loop: HobbleLoop): void;
}

/** What is asked of a loop, by the order that it carries out. */
export interface LoopSettings {
  cycle: DutyCycle;
  /** True: cycled even while it is idle. */
  every: boolean;
  mechanism: Hobble['mechanism'];
}

export interface LoopParts {
  clock: Clock;
  /** Of the host: what a target could use at once. */
  cores: number;
  /** Reads who has this pid now. */
  readStat: (pid: number) => StatFields | undefined;
  /** A new, empty group for a mechanism; `runRatio` gives the share that is asked at that moment. */
  createGroup: (mechanism: Hobble['mechanism'], runRatio: () => number) => Group;
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
  /** The mechanism that was asked; `inForce` says which one it is. */
  mechanism: Hobble['mechanism'];
  /** CPU share of one core that its processes had before, as of the first look; null: not looked yet, or not known. */
  beforeRatio: number | null = null;
  /** CPU share of one core that it costs the worker; null: not known yet. */
  costRatio: number | null = null;
  stops = 0;
  /** Grows with everything that may have changed what there is to say of it, but its cost and the length of its periods. */
  #revision = 0;
  #group: Group;
  readonly #parts: LoopParts;
  readonly #events: LoopEvents;
  readonly #cpu = new CpuCounter();
  /** What cgroups have counted for it, ticks. */
  #countedTicks = 0;
  readonly #usage = new UsageWindow();
  readonly #said = new Said();
  #inspectedAtMs = Number.NEGATIVE_INFINITY;
  #isStopped = false;
  #isDenied = false;
  #why: string | null = null;
  /** Why the brake holds it: it owns no process meanwhile. */
  #whyBraked: string | undefined;
  readonly #idleness = new Idleness();
  /** Looks in a row that found no process. */
  #emptyLooks = 0;
  /** Signals sent and processes looked at, since the governor last asked. */
  #work = 0;

  constructor(
    target: Target,
    scope: Scope,
    { cycle, every, mechanism }: LoopSettings,
    parts: LoopParts,
    events: LoopEvents,
  ) {
    this.key = formatTarget(target);
    this.target = target;
    this.scope = scope;
    this.cycle = cycle;
    this.every = every;
    this.mechanism = mechanism;
    this.#parts = parts;
    this.#events = events;
    this.#group = this.#createGroup();
  }

  #createGroup(): Group {
    return this.#parts.createGroup(this.mechanism, () => this.runRatio);
  }

  /** Changes how it is enforced: everything runs in between. The caller says anew whom it owns. */
  use(mechanism: Hobble['mechanism']): void {
    this.release();
    this.mechanism = mechanism;
    this.#group = this.#createGroup();
  }

  /** Another number than at an earlier look: figures, state or members may have changed since. */
  get revision(): number {
    return this.#revision;
  }

  /** The mechanism that enforces it at present, and why that one. */
  get inForce(): InForce {
    return this.#group.inForce;
  }

  /** False: it is looked at once a second and has no phases. */
  get hasPhases(): boolean {
    return this.#group.hasPhases;
  }

  /**
   * It has no phases at present: a quota holds by itself; who is spared, denied, or without a process for long gets no
   * signals. Not at once without a process: who hands over from one to the next is without for a moment too.
   */
  get isSteady(): boolean {
    return !this.hasPhases || this.#isDenied || this.#isSpared || this.#emptyLooks >= EMPTY_LOOKS;
  }

  /** True: wants to be told its processes after every pass, whether they have changed or not. */
  get followsPasses(): boolean {
    return this.#group.followsPasses;
  }

  /** Why its mechanism can do nothing for its processes; undefined while it can. */
  get obstacle(): string | undefined {
    return this.#group.obstacle;
  }

  /** The share of time it leaves; of overlapping loops the lowest owns a process (invariant 8). */
  get runRatio(): number {
    return runRatio(this.cycle);
  }

  get state(): TargetState {
    if (this.#isDenied) return 'denied';
    if (this.isBraked) return 'held';
    if (this.#group.size === 0) return 'armed';
    if (this.#isHeld) return 'held';
    return this.#isSpared ? 'spared' : 'hobbling';
  }

  /** Why it is in this state, where that needs words. */
  get why(): string | null {
    if (this.#isDenied) return this.#why;
    return this.#whyBraked ?? this.#why ?? (this.#isHeld ? this.obstacle! : null);
  }

  get isBraked(): boolean {
    return this.#whyBraked !== undefined;
  }

  /** Holds it for this reason, or no longer. Whom it owns is membership's affair, which must be told. */
  brake(why: string | undefined): void {
    this.#revision++;
    this.#whyBraked = why;
  }

  /** It uses less than its share by itself. */
  get isIdle(): boolean {
    return this.#idleness.isSpared;
  }

  get #isSpared(): boolean {
    return !this.every && this.isIdle && this.hasPhases;
  }

  /** One without phases has nothing to fall back on. */
  get #isHeld(): boolean {
    return !this.hasPhases && this.obstacle !== undefined;
  }

  /** Processes it owns now. */
  get processes(): number {
    return this.#group.size;
  }

  /** Whether any process of the target lives, whoever owns it. */
  get hasLiving(): boolean {
    for (const member of this.members) if (member.isAlive) return true;
    return false;
  }

  get notPermitted(): number {
    return this.#group.notPermitted;
  }

  get stoppedByOthers(): number {
    return this.#group.foreign;
  }

  /** CPU share of one core under the hobble, over the last seconds; null while too little was seen. */
  get gotRatio(): number | null {
    return this.#usage.ratio;
  }

  /** CPU it has used since it is in the tarpit, in seconds. */
  get usedSeconds(): number {
    return this.#usedTicks / TICKS_PER_SECOND;
  }

  get #usedTicks(): number {
    return this.#cpu.totalTicks + this.#countedTicks;
  }

  takeWork(): number {
    const work = this.#work;
    this.#work = 0;
    return work;
  }

  /** Makes these its own processes, and notes what of the target it does not hobble. */
  setOwned(entries: Iterable<ProcessEntry>, left: { exempted: number; ownedElsewhere: number; tooMany: number }): void {
    if (this.#isDenied) return;
    this.#revision++;
    this.exempted = left.exempted;
    this.ownedElsewhere = left.ownedElsewhere;
    this.#why = left.tooMany === 0 ? null : `${left.tooMany} more than bounds.processesPerTarget run on`;
    this.#group.setMembers(entries);
    this.#noteSize();
  }

  /** The first process after a long time without wants phases. */
  #noteSize(): void {
    if (this.#group.size === 0) return;
    const wasSteady = this.isSteady;
    this.#emptyLooks = 0;
    if (wasSteady && !this.isSteady) this.#events.onPlace(this);
  }

  /** Processes that were just born become its own; in the stop phase they are stopped at once. Returns whether they were. */
  addBorn(entries: readonly ProcessEntry[]): boolean {
    if (this.#isDenied) return false;
    this.#revision++;
    this.#group.addMembers(entries);
    this.#noteSize();
    if (!this.#isStopped || !this.hasPhases) return false;
    this.#stop();
    return true;
  }

  /** Begins the stop phase. Without phases: sets what holds by itself, and looks once a second whether it still does. */
  enterStop(): void {
    if ((this.#isStopped && this.hasPhases) || this.#isDenied) return;
    this.#inspectIfDue();
    if (this.hasPhases && (this.#group.size === 0 || this.#isSpared)) return;
    this.#stop();
  }

  #stop(): void {
    const sizeBefore = this.#group.size;
    const outcome = this.#group.stop();
    const isWhole = outcome.status === 'stopped' && outcome.signals === sizeBefore;
    if (this.#said.mayDiffer(isWhole)) this.#revision++;
    if (sizeBefore > 0 && this.#group.size === 0) this.#events.onEmpty(this);
    if (outcome.status === 'journal-broken') {
      this.#group.run();
      this.#isStopped = false;
      this.#events.onJournalBroken(this);
      return;
    }
    this.#isStopped = true;
    this.stops += outcome.signals;
    this.#work += 2 * outcome.signals; // each stop has its continue
    if (this.stops > 0 && this.stops === outcome.signals) this.#events.onFirstStop(this);
  }

  enterRun(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    const sizeBefore = this.#group.size;
    const bystander = this.#group.checkBystanders();
    this.#group.run();
    if (this.#group.size !== sizeBefore) this.#revision++;
    if (sizeBefore > 0 && this.#group.size === 0) this.#events.onEmpty(this);
    if (bystander) this.deny(`${nameOf(bystander)} stops with its child`);
  }

  /** Lets go of everything and stays, to say why. */
  deny(why: string): void {
    this.#revision++;
    this.#group.release();
    this.#isStopped = false;
    this.#isDenied = true;
    this.#why = why;
    this.#events.onDenied(this, why);
  }

  /** Its processes run; the loop is over. */
  release(): void {
    this.#revision++;
    this.#isStopped = false;
    this.#group.release();
  }

  /** How long the next look may be after the last one, milliseconds. */
  get #inspectEveryMs(): number {
    if (!this.#isSpared) return INSPECT_EVERY_MS;
    return Math.min(INSPECT_SPARED_EVERY_MS, Math.max(INSPECT_EVERY_MS, this.#idleness.unusedMs / this.#parts.cores));
  }

  /** Its processes as they are now. */
  #readAnew(): StatFields[] {
    const read: StatFields[] = [];
    for (const { pid, startTicks } of this.members) {
      const now = this.#parts.readStat(pid);
      if (now?.startTicks === startTicks && !isDead(now)) read.push(now);
    }
    return read;
  }

  #inspectIfDue(): void {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#inspectedAtMs < this.#inspectEveryMs) return;
    const sinceMs = nowMs - this.#inspectedAtMs;
    this.#inspectedAtMs = nowMs;
    const sizeBefore = this.#group.size;
    const { alive, isRunnable, counted } = this.#group.inspect();
    this.#work += counted ? alive.length + 1 : sizeBefore;
    const nowTicks = (clock.bootMs() / 1000) * TICKS_PER_SECOND;
    // Before the first stop, by the look that has to be made anyway; those counted are read for it this once.
    if (!Number.isFinite(sinceMs)) this.beforeRatio = shareSoFar(counted ? this.#readAnew() : alive, nowTicks);
    const countedTicks = counted?.usedTicks ?? 0;
    this.#countedTicks += countedTicks;
    const usedTicks = this.#cpu.look(alive, nowTicks) + countedTicks;
    this.#usage.add(nowMs, this.#usedTicks);
    if (sizeBefore > 0 && this.#group.size === 0) this.#events.onEmpty(this);
    const [wasIdle, wasSteady] = [this.isIdle, this.isSteady];
    this.#emptyLooks = this.#group.size === 0 ? this.#emptyLooks + 1 : 0;
    // The first look is what the next one is compared with.
    if (Number.isFinite(sinceMs)) {
      const usedRatio = usedTicks / TICKS_PER_SECOND / (sinceMs / 1000);
      const mayBeIdle = !isRunnable && this.#idleness.needsProof(usedRatio, this.runRatio);
      const waits = isRunnable || (mayBeIdle && counted?.isRunnable() === true);
      this.#idleness.take({ usedRatio, isRunnable: waits, sinceMs }, this.runRatio);
    }
    if (this.isSteady && !wasSteady) this.#group.rest();
    if (this.#said.differs(this.#group, this.gotRatio, this.why)) this.#revision++;
    if (wasIdle !== this.isIdle || wasSteady !== this.isSteady) this.#events.onPlace(this);
  }
}

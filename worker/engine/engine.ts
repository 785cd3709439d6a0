/**
 * The engine: all hobble loops of a host, their processes and their phases. It takes targets and duty cycles and knows
 * nothing of orders, Redis or users' names. Whatever happens, what it stopped can be released by `releaseAll`, and by
 * the guard without it.
 *
 * Gates are reasons to stop nothing: no guard, a hold, a gap being looked into. While one is closed everything runs.
 */
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { formatTarget, type Target } from '../../shared/target.ts';
import { type Cgroups, decodePath } from '../cgroups/hierarchies.ts';
import type { Journal } from '../journal.ts';
import { Bystanders } from '../mechanisms/bystanders.ts';
import type { Mechanisms } from '../mechanisms/mechanism.ts';
import type { Probes } from '../mechanisms/probe.ts';
import type { SignalParts } from '../mechanisms/signal.ts';
import type { Proc } from '../process/proc.ts';
import type { ProcessEntry, ProcessTable } from '../process/table.ts';
import { type SafetyRules, whyExempt } from '../safety.ts';
import { BirthChase } from './birth-chase.ts';
import type { BrakeSettings } from './brake.ts';
import { Braking } from './braking.ts';
import { lookIntoGap } from './gap.ts';
import { Gone } from './gone.ts';
import { Governor } from './governor.ts';
import { HobbleLoop, type LoopEvents, type LoopParts, type LoopSettings } from './loop.ts';
import { type Births, Membership } from './membership.ts';
import type { Budget } from './pacing.ts';
import { Scheduler } from './scheduler.ts';
import { findScope, type Scope } from './scope.ts';
import { periodMs } from './slots.ts';
import { Steady } from './steady.ts';
import { Sweeper } from './sweeper.ts';

export type Gate = 'guard' | 'hold' | 'gap' | 'lease' | 'journal' | 'stopping';

export type TarpitOutcome =
  | { status: 'applied'; loop: HobbleLoop }
  | { status: 'gone' | 'denied' | 'refused' | 'unsupported'; why: string };

export interface EngineParts {
  proc: Proc;
  table: ProcessTable;
  cgroups: Cgroups;
  mechanisms: Pick<Mechanisms, 'probes' | 'whyNot' | 'createGroup'>;
  clock: Clock;
  journal: Journal;
  rules: SafetyRules;
  cores: number;
  bounds: { loops: number; processesPerTarget: number };
  brake: BrakeSettings;
  budget: Budget;
  /** CPU that this process has used so far, milliseconds. */
  ownCpuMs: () => number;
  log: Logger;
}

export interface EngineEvents {
  /** A loop was first stopped, denied, changed or ended: worth a report now. */
  onChange(key: string): void;
  onEnd(loop: HobbleLoop, why: 'gone'): void;
  /** After a gap: look at lease, expiry and hold; the gate opens when this resolves. Rejecting keeps it closed. */
  onGap(gapMs: number): Promise<void>;
}

export class Engine {
  readonly #parts: EngineParts;
  readonly #events: EngineEvents;
  readonly #scheduler: Scheduler<HobbleLoop>;
  readonly #steady: Steady<HobbleLoop>;
  readonly #governor: Governor<HobbleLoop>;
  readonly #loops = new Map<string, HobbleLoop>();
  readonly #gates = new Map<Gate, string>();
  readonly #membership: Membership;
  readonly #braking: Braking;
  readonly #sweeper: Sweeper;
  readonly #gone: Gone;
  readonly #whyExempt: (entry: ProcessEntry) => string | undefined;
  /** One for all loops: there may be ten thousand. */
  readonly #loopParts: LoopParts;
  readonly #loopEvents: LoopEvents;
  #totalStops = 0;

  constructor(parts: EngineParts, events: EngineEvents) {
    this.#parts = parts;
    this.#events = events;
    const { table, proc, cgroups, rules, bounds, journal, clock, cores, mechanisms, log } = parts;
    const context = {
      parentOf: (entry: ProcessEntry) => table.get(entry.ppid),
      cgroupsOf: (entry: ProcessEntry) => [...proc.readCgroups(entry.pid).values()].map(decodePath),
    };
    this.#whyExempt = (entry) => whyExempt(entry, rules, context);
    this.#membership = new Membership({
      table,
      whyExempt: this.#whyExempt,
      pidsOfCgroup: (path) => cgroups.pidsOf(path),
      maxProcesses: bounds.processesPerTarget,
      onOwned: (entry, by) => this.#braking.owned(entry, by),
    });
    const isOwned = (entry: ProcessEntry) => this.#membership.ownerOf(entry) !== undefined;
    const groupParts: SignalParts = {
      proc,
      table,
      journal,
      clock,
      isOwned,
      isProtected: (entry) => entry.pid === 1 || entry.isKernelThread || rules.protectedPids().has(entry.pid),
      bystanders: new Bystanders({ proc, journal, isOwned }),
    };
    this.#loopParts = {
      clock,
      cores,
      readStat: (pid) => proc.readStat(pid),
      createGroup: (mechanism, runRatio) => mechanisms.createGroup(mechanism, groupParts, runRatio),
    };
    const { onChange } = events;
    this.#loopEvents = {
      onDenied: (denied, why) => {
        log.warn({ target: denied.key, why }, 'denied');
        onChange(denied.key);
        this.#afterTick(() => this.#place(denied));
      },
      onJournalBroken: () => this.closeGate('journal', 'the journal cannot be written'),
      onFirstStop: (stopped) => onChange(stopped.key),
      onPlace: (changed) => {
        onChange(changed.key);
        this.#afterTick(() => this.#place(changed));
      },
      onEmpty: () => this.#gone.lookSoon(),
    };
    this.#braking = new Braking({ ...parts, membership: () => this.#membership, loops: this.#loops, onChange });
    const onGone = (loop: HobbleLoop) => {
      this.#remove(loop);
      events.onEnd(loop, 'gone');
    };
    this.#gone = new Gone({ clock, loops: this.#loops, onGone });
    this.#sweeper = new Sweeper({
      table,
      clock: parts.clock,
      isNeeded: () => this.#loops.size > 0,
      // At once: who is in the table and in no loop passes for a stranger.
      onFound: (entries) => void this.#join(entries),
      onSwept: () => {
        // Who is moved into an exempt cgroup shows no other change.
        const { isWhole, changed } = table.swept;
        this.#membership.refresh({ isWhole: isWhole || rules.exemptCgroups.length > 0, changed });
        this.#braking.review();
        this.#gone.look();
      },
    });
    const onGap = (gapMs: number) => this.noticeGap(gapMs);
    const chase = new BirthChase(parts.clock, { take: () => this.#takeBirths(), awaits: () => table.awaitsBirths });
    this.#scheduler = new Scheduler(parts.clock, parts.cores, {
      beforeStops: () => chase.before(),
      afterStops: () => chase.after(),
      onGap,
    });
    this.#steady = new Steady(parts.clock, { beforeLook: () => this.#takeBirths(), onGap });
    this.#governor = new Governor({
      clock: parts.clock,
      budget: parts.budget,
      ownCpuMs: parts.ownCpuMs,
      loops: () => this.#loops.values(),
      onChange: (stretch) => this.#repace(stretch),
    });
  }

  get loops(): ReadonlyMap<string, HobbleLoop> {
    return this.#loops;
  }

  /** Why nothing is stopped at present; undefined when things are. */
  get closedGate(): { gate: Gate; why: string } | undefined {
    const [first] = this.#gates;
    return first && { gate: first[0], why: first[1] };
  }

  isClosed(gate: Gate): boolean {
    return this.#gates.has(gate);
  }

  get processes(): number {
    return [...this.#loops.values()].reduce((sum, loop) => sum + loop.processes, 0);
  }

  /** Stops sent since the start, by loops that are over too. */
  get totalStops(): number {
    return [...this.#loops.values()].reduce((sum, loop) => sum + loop.stops, this.#totalStops);
  }

  lateness(): { p50Ms: number | null; p99Ms: number | null } {
    return this.#scheduler.lateness();
  }

  closeGate(gate: Gate, why: string): void {
    this.#gates.set(gate, why);
    this.#suspend();
  }

  openGate(gate: Gate): void {
    if (this.#gates.delete(gate)) this.#resume();
  }

  #suspend(): void {
    this.#scheduler.suspend();
    this.#steady.suspend();
  }

  #resume(): void {
    if (this.#gates.size === 0) this.#scheduler.resume();
    // The first may have closed a gate: the journal is full again.
    if (this.#gates.size === 0) this.#steady.resume();
  }

  /** What each mechanism can do on this host. */
  get probes(): Probes {
    return this.#parts.mechanisms.probes;
  }

  /**
   * Puts a target in the tarpit, or changes how one is hobbled that is in it. `uid` resolves a user target. Whatever else
   * than `applied` comes back: what was in stays as it was, or is gone from it.
   */
  tarpit(target: Target, asked: LoopSettings, uid?: number): TarpitOutcome {
    const key = formatTarget(target);
    const current = this.#loops.get(key);
    const cannot = this.#parts.mechanisms.whyNot(asked.mechanism);
    if (cannot !== undefined) return { status: 'unsupported', why: cannot };
    if (current && current.state !== 'denied') return this.#change(current, asked);
    if (current) this.#remove(current);
    if (this.#loops.size >= this.#parts.bounds.loops)
      return { status: 'refused', why: `${this.#loops.size} loops run already (bounds.loops)` };
    const scope = findScope(target, uid, this.#parts);
    if ('status' in scope) return scope;
    return this.#begin(target, scope, asked);
  }

  #change(loop: HobbleLoop, { cycle, every, mechanism }: LoopSettings): TarpitOutcome {
    const isOther = mechanism !== loop.mechanism;
    const isSameCycle = loop.cycle.runMs === cycle.runMs && loop.cycle.stopMs === cycle.stopMs;
    if (!isOther && isSameCycle && loop.every === every) return { status: 'applied', loop };
    loop.every = every;
    loop.cycle = cycle;
    if (isOther) {
      this.#unplace(loop);
      loop.use(mechanism);
    }
    this.#membership.changed(loop);
    if (isOther) return this.#accept(loop);
    this.#place(loop);
    return { status: 'applied', loop };
  }

  /** Places a loop whose mechanism can do something for its processes; lets go of one whose cannot. */
  #accept(loop: HobbleLoop): TarpitOutcome {
    if (loop.obstacle === undefined) this.#place(loop);
    // Looked at again: what has no phases is in force by now, unless the kernel refused it.
    const why = loop.obstacle;
    if (why === undefined) return { status: 'applied', loop };
    this.#remove(loop);
    return { status: 'unsupported', why };
  }

  #begin(target: Target, scope: Scope, settings: LoopSettings): TarpitOutcome {
    const loop = new HobbleLoop(target, scope, settings, this.#loopParts, this.#loopEvents);
    // A pass costs what the host has processes; in a burst of orders the last one serves all, and the next is near.
    if (this.#sweeper.sweepIfOld()) this.#braking.survey();
    else this.#takeBirths();
    if (scope.kind === 'tree') {
      // A tree whose root is exempt is denied whole; elsewhere exempt members are left out one by one.
      const why = this.#whyExempt(scope.root);
      if (why !== undefined) return { status: 'denied', why };
    }
    this.#loops.set(loop.key, loop);
    this.#governor.start();
    this.#membership.add(loop);
    this.#braking.apply();
    if (loop.isBraked) {
      this.#remove(loop);
      return { status: 'refused', why: loop.why! };
    }
    this.#sweeper.schedule();
    return this.#accept(loop);
  }

  /** For what comes from inside a tick, which goes over the loops. */
  #afterTick(run: () => void): void {
    this.#parts.clock.after(0, run);
  }

  /** Puts a loop where it belongs by now: among those that have phases, or those that are looked at once a second. */
  #place(loop: HobbleLoop): void {
    if (this.#loops.get(loop.key) !== loop) return;
    this.#unplace(loop);
    // Who is cycled while idle is put together with the quiet.
    if (loop.isSteady) this.#steady.add(loop);
    else this.#scheduler.add(loop, this.#governor.pace(loop.cycle), loop.isIdle);
  }

  /** Carries every loop out over periods of another length. */
  #repace(stretch: number): void {
    this.#parts.log.info(
      { stretch: Math.round(stretch * 100) / 100 },
      'periods have another length, to keep the budget',
    );
    this.#steady.stretch = stretch;
    for (const loop of this.#loops.values()) {
      if (loop.isSteady) continue;
      this.#place(loop);
      this.#events.onChange(loop.key);
    }
  }

  whySpared(loop: HobbleLoop, entry: ProcessEntry): string | null {
    return this.#membership.whySpared(loop, entry);
  }

  /** The length of one period of a loop as it is carried out, milliseconds; null while it has none. */
  periodOf(loop: HobbleLoop): number | null {
    return loop.isSteady ? null : periodMs(this.#governor.pace(loop.cycle));
  }

  /** It is in its run phase after that. */
  #unplace(loop: HobbleLoop): void {
    this.#scheduler.remove(loop);
    this.#steady.remove(loop);
  }

  /** Takes a target out. Returns how many processes were let go and, where one is still held, by which target. */
  untarpit(key: string): { released: number; heldBy: string | null } {
    const loop = this.#loops.get(key);
    if (!loop) return { released: 0, heldBy: null };
    const released = loop.processes;
    const members = [...loop.members];
    this.#remove(loop);
    const holder = members.map((member) => this.#membership.ownerOf(member)).find((owner) => owner !== undefined);
    return { released, heldBy: holder?.key ?? null };
  }

  #remove(loop: HobbleLoop): void {
    this.#loops.delete(loop.key);
    this.#unplace(loop);
    loop.release();
    this.#membership.remove(loop);
    this.#braking.ended(loop);
    this.#totalStops += loop.stops;
    if (this.#loops.size === 0) this.#governor.stop();
  }

  /** Everything runs, and there is no loop any more. */
  releaseAll(): void {
    this.#suspend();
    for (const loop of [...this.#loops.values()]) this.#remove(loop);
    this.#sweeper.cancel();
    this.#resume();
  }

  /** Processes that were born since the last look join their loop. */
  #takeBirths(): Births {
    const born = this.#parts.table.births(this.#parts.clock.monotonicMs());
    if (born) return this.#join(born);
    this.#sweeper.soon();
    return 'none';
  }

  /** Who was born joins his loop, before anything of a loop that had no process is stopped. */
  #join(born: readonly ProcessEntry[]): Births {
    const births = this.#membership.born(born);
    if (births !== 'none') this.#braking.apply();
    return births;
  }

  /** What the brake does at present. */
  get brake(): Braking['figures'] {
    return this.#braking.figures;
  }

  /** Makes sure that the table is no older than `maxAgeMs`, without holding up the phases. */
  survey(maxAgeMs: number): Promise<void> {
    return this.#sweeper.survey(maxAgeMs);
  }

  /** Reads every process anew, and decides anew who may be hobbled. */
  lookAnew(): Promise<void> {
    return this.#sweeper.sweepAnew();
  }

  /** The worker was away: everything runs until lease, hold, expiry and identities have been looked at anew. */
  noticeGap(gapMs: number): void {
    const { clock, log } = this.#parts;
    const sweepAnew = () => this.#sweeper.sweepAnew();
    lookIntoGap({ gates: this, look: this.#events.onGap, sweepAnew, clock, log }, gapMs);
  }
}

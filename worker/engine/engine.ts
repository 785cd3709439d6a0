/**
 * The engine: all hobble loops of a host, their processes and their phases. It takes targets and duty cycles and knows
 * nothing of orders, Redis or users' names. Whatever happens, what it stopped can be released by `releaseAll`, and by
 * the guard without it.
 *
 * Gates are reasons to stop nothing: no guard, a hold, a gap being looked into. While one is closed everything runs.
 */
import type { Clock, Timer } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { formatTarget, type Target } from '../../shared/target.ts';
import type { Cgroups } from '../cgroups.ts';
import type { Journal } from '../journal.ts';
import type { Proc } from '../process/proc.ts';
import { isDead, TICKS_PER_SECOND } from '../process/stat.ts';
import type { ProcessEntry, ProcessTable } from '../process/table.ts';
import { type SafetyRules, whyExempt } from '../safety.ts';
import { HobbleLoop, type Scope } from './loop.ts';
import { Membership } from './membership.ts';
import { Scheduler } from './scheduler.ts';
import type { DutyCycle } from './slots.ts';

export type Gate = 'guard' | 'hold' | 'gap' | 'lease' | 'journal' | 'stopping';

export type TarpitOutcome =
  | { status: 'applied'; loop: HobbleLoop }
  | { status: 'gone' | 'denied' | 'refused' | 'unsupported'; why: string };

export interface EngineParts {
  proc: Proc;
  table: ProcessTable;
  cgroups: Cgroups;
  clock: Clock;
  journal: Journal;
  rules: SafetyRules;
  cores: number;
  bounds: { loops: number; processesPerTarget: number };
  log: Logger;
}

export interface EngineEvents {
  /** A loop was first stopped, denied, changed or ended: worth a report now. */
  onChange(key: string): void;
  onEnd(loop: HobbleLoop, why: 'gone'): void;
  /** After a gap: look at lease, expiry and hold; the gate opens when this resolves. Rejecting keeps it closed. */
  onGap(gapMs: number): Promise<void>;
}

/**
 * Time between two passes over /proc while something is hobbled; grows so that passes cost at most 2 % of a core. Births
 * are seen at every tick and deaths at every inspection, so a pass is for what those miss: changed owners and cgroups.
 */
const SWEEP_EVERY_MS = 5_000;
const MAX_SWEEP_EVERY_MS = 15_000;
/** The same while births cannot be followed one by one; also how old the table may be when a target is put in. */
const SWEEP_SOON_MS = 1_000;
const SWEEP_COST_RATIO = 0.02;
/** A gap that could not be looked into is tried again after this. */
const GAP_RETRY_MS = 500;

export class Engine {
  readonly #parts: EngineParts;
  readonly #events: EngineEvents;
  readonly #scheduler: Scheduler<HobbleLoop>;
  readonly #loops = new Map<string, HobbleLoop>();
  readonly #gates = new Map<Gate, string>();
  readonly #membership: Membership;
  readonly #whyExempt: (entry: ProcessEntry) => string | undefined;
  #sweepTimer: Timer | undefined;
  #isSweepSoon = false;
  #sweepCostMs = 0;
  #sweeping: Promise<void> | undefined;
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  #totalStops = 0;

  constructor(parts: EngineParts, events: EngineEvents) {
    this.#parts = parts;
    this.#events = events;
    const { table, proc, cgroups, rules, bounds } = parts;
    const context = {
      parentOf: (entry: ProcessEntry) => table.get(entry.ppid),
      cgroupsOf: (entry: ProcessEntry) => proc.readCgroups(entry.pid).values(),
    };
    this.#whyExempt = (entry) => whyExempt(entry, rules, context);
    this.#membership = new Membership({
      table,
      whyExempt: this.#whyExempt,
      pidsOfCgroup: (path) => cgroups.pidsOf(path),
      maxProcesses: bounds.processesPerTarget,
    });
    this.#scheduler = new Scheduler(parts.clock, parts.cores, {
      beforeStops: () => this.#takeBirths(),
      onGap: (gapMs) => this.noticeGap(gapMs),
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

  get processes(): number {
    let count = 0;
    for (const loop of this.#loops.values()) count += loop.processes;
    return count;
  }

  /** Stops sent since the start, by loops that are over too. */
  get totalStops(): number {
    let count = this.#totalStops;
    for (const loop of this.#loops.values()) count += loop.stops;
    return count;
  }

  lateness(): { p50Ms: number | null; p99Ms: number | null } {
    return this.#scheduler.lateness();
  }

  closeGate(gate: Gate, why: string): void {
    this.#gates.set(gate, why);
    this.#scheduler.suspend();
  }

  openGate(gate: Gate): void {
    if (this.#gates.delete(gate) && this.#gates.size === 0) this.#scheduler.resume();
  }

  /** Puts a target in the tarpit, or changes the duty cycle of one that is in it. `uid` resolves a user target. */
  tarpit(target: Target, cycle: DutyCycle, every: boolean, uid?: number): TarpitOutcome {
    const key = formatTarget(target);
    const current = this.#loops.get(key);
    if (current && current.state !== 'denied') {
      if (current.cycle.runMs !== cycle.runMs || current.cycle.stopMs !== cycle.stopMs) {
        current.cycle = cycle;
        this.#place(current);
        this.#membership.changed(current);
      }
      current.every = every;
      return { status: 'applied', loop: current };
    }
    if (current) this.#remove(current);
    if (this.#loops.size >= this.#parts.bounds.loops)
      return { status: 'refused', why: `${this.#loops.size} loops run already (bounds.loops)` };
    const scope = this.#scopeOf(target, uid);
    if ('status' in scope) return scope;
    return this.#begin(target, scope, cycle, every);
  }

  #begin(target: Target, scope: Scope, cycle: DutyCycle, every: boolean): TarpitOutcome {
    const { table, proc, journal, clock, rules, log } = this.#parts;
    const loop = new HobbleLoop(
      target,
      scope,
      cycle,
      every,
      {
        proc,
        table,
        journal,
        clock,
        isOwned: (entry) => this.#membership.ownerOf(entry) !== undefined,
        isProtected: (entry) => entry.pid === 1 || entry.isKernelThread || rules.protectedPids().has(entry.pid),
      },
      {
        onDenied: (denied, why) => {
          log.warn({ target: denied.key, why }, 'denied');
          this.#events.onChange(denied.key);
        },
        onJournalBroken: () => this.closeGate('journal', 'the journal cannot be written'),
        onFirstStop: (stopped) => this.#events.onChange(stopped.key),
        onIdle: (changed) => {
          this.#events.onChange(changed.key);
          this.#afterTick(() => this.#place(changed));
        },
        onEmpty: () => this.#afterTick(() => this.#endGone()),
      },
    );
    // A pass costs what the host has processes; in a burst of orders the last one serves all, and the next is near.
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#sweptAtMs > SWEEP_SOON_MS) {
      table.sweep();
      this.#sweptAtMs = clock.monotonicMs();
    } else {
      this.#takeBirths();
    }
    if (scope.kind === 'tree') {
      // A tree whose root is exempt is denied whole; elsewhere exempt members are left out one by one.
      const why = this.#whyExempt(scope.root);
      if (why !== undefined) return { status: 'denied', why };
    }
    this.#loops.set(loop.key, loop);
    this.#membership.add(loop);
    loop.beforeRatio = shareSoFar(loop.members, proc, clock.bootMs());
    this.#scheduler.add(loop, cycle);
    this.#scheduleSweep();
    return { status: 'applied', loop };
  }

  /** For what comes from inside a tick, which goes over the loops. */
  #afterTick(run: () => void): void {
    this.#parts.clock.after(0, run);
  }

  /** Puts a loop where it belongs by now: among those that want a core, or among the quiet. */
  #place(loop: HobbleLoop): void {
    if (this.#loops.get(loop.key) !== loop) return;
    this.#scheduler.remove(loop);
    this.#scheduler.add(loop, loop.cycle, loop.isIdle);
  }

  #scopeOf(
    target: Target,
    uid: number | undefined,
  ): Scope | { status: 'gone' | 'denied' | 'unsupported'; why: string } {
    switch (target.kind) {
      case 'pid': {
        const root = this.#parts.table.find(target.pid, target.startTicks);
        return root
          ? { kind: 'tree', root }
          : { status: 'gone', why: `no process ${target.pid} that started at ${target.startTicks}` };
      }
      case 'uid':
        return this.#uidScope(target.uid);
      case 'user':
        return uid === undefined ? { status: 'gone', why: `no user ${target.name} on this host` } : this.#uidScope(uid);
      case 'cgroup':
        return this.#parts.cgroups.directoriesOf(target.path).length > 0
          ? { kind: 'cgroup', path: target.path }
          : { status: 'gone', why: `no cgroup ${target.path} on this host` };
    }
  }

  /** A whole user is refused as such, so that who asks learns it at once and not process by process. */
  #uidScope(uid: number): Scope | { status: 'denied'; why: string } {
    const { minUid, exemptUids } = this.#parts.rules;
    if (uid < minUid) return { status: 'denied', why: `uid ${uid} is below minUid ${minUid}` };
    if (exemptUids.has(uid)) return { status: 'denied', why: `user with uid ${uid} is exempt` };
    return { kind: 'uid', uid };
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
    this.#scheduler.remove(loop);
    loop.release();
    this.#membership.remove(loop);
    this.#totalStops += loop.stops;
  }

  /** Everything runs, and there is no loop any more. */
  releaseAll(): void {
    this.#scheduler.suspend();
    for (const loop of [...this.#loops.values()]) this.#remove(loop);
    this.#sweepTimer?.cancel();
    this.#sweepTimer = undefined;
    if (this.#gates.size === 0) this.#scheduler.resume();
  }

  /** Processes that were born since the last tick join their loop before it is stopped. */
  #takeBirths(): void {
    const born = this.#parts.table.births();
    if (born) this.#membership.born(born);
    else this.#sweepSoon();
  }

  /** Makes sure that the table is no older than `maxAgeMs`, without holding up the phases. */
  async survey(maxAgeMs: number): Promise<void> {
    if (this.#parts.clock.monotonicMs() - this.#sweptAtMs > maxAgeMs) await this.#sweep();
  }

  /** Births were missed: the next pass comes as soon as its cost allows. */
  #sweepSoon(): void {
    if (this.#isSweepSoon) return;
    this.#isSweepSoon = true;
    this.#sweepTimer?.cancel();
    this.#sweepTimer = undefined;
    const sinceMs = this.#parts.clock.monotonicMs() - this.#sweptAtMs;
    this.#scheduleSweep(Math.max(0, Math.max(SWEEP_SOON_MS, this.#sweepCostMs / SWEEP_COST_RATIO) - sinceMs));
  }

  #scheduleSweep(delayMs = SWEEP_EVERY_MS): void {
    if (this.#sweepTimer || this.#loops.size === 0) return;
    this.#sweepTimer = this.#parts.clock.after(delayMs, () => {
      this.#sweepTimer = undefined;
      void this.#sweep();
    });
  }

  /** One pass over /proc, in slices between the ticks; then members and owners anew. */
  #sweep(): Promise<void> {
    this.#sweeping ??= this.#sweepOnce().finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  async #sweepOnce(): Promise<void> {
    this.#isSweepSoon = false;
    let costMs = 0;
    const slices = this.#parts.table.sweepSliced();
    for (;;) {
      const startedAtMs = this.#parts.clock.monotonicMs();
      const isDone = slices.next().done === true;
      costMs += this.#parts.clock.monotonicMs() - startedAtMs;
      if (isDone) break;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const startedAtMs = this.#parts.clock.monotonicMs();
    this.#sweptAtMs = startedAtMs;
    this.#membership.refresh();
    this.#endGone();
    costMs += this.#parts.clock.monotonicMs() - startedAtMs;
    this.#sweepCostMs = costMs;
    this.#scheduleSweep(Math.min(MAX_SWEEP_EVERY_MS, Math.max(SWEEP_EVERY_MS, costMs / SWEEP_COST_RATIO)));
  }

  /** A pid target whose last process has ended is over; others stay armed until they expire. */
  #endGone(): void {
    for (const loop of [...this.#loops.values()]) {
      if (loop.scope.kind !== 'tree' || [...loop.members].some((member) => member.isAlive)) continue;
      this.#remove(loop);
      this.#events.onEnd(loop, 'gone');
    }
  }

  /** The worker was away: everything runs until lease, hold, expiry and identities have been looked at anew. */
  noticeGap(gapMs: number): void {
    if (!this.#gates.has('gap')) void this.#lookIntoGap(gapMs);
  }

  async #lookIntoGap(gapMs: number): Promise<void> {
    this.#parts.log.warn({ gapMs: Math.round(gapMs) }, 'was away: everything runs until all is looked at anew');
    this.closeGate('gap', 'the worker was away and looks at everything anew');
    try {
      await this.#events.onGap(gapMs);
      await this.#sweeping; // one that began before the gap has seen what was before
      await this.#sweep();
      this.openGate('gap');
    } catch (error) {
      if (this.#gates.has('stopping')) return;
      this.#parts.log.warn({ err: error }, 'could not look at everything anew; trying again');
      this.#parts.clock.after(GAP_RETRY_MS, () => void this.#lookIntoGap(gapMs));
    }
  }
}

/** A younger process has not lived long enough for a share, in ticks. */
const MIN_AGE_TICKS = 10;

/** CPU share of one core that processes had in their life so far; null when that is not known of any. */
function shareSoFar(members: Iterable<ProcessEntry>, proc: Proc, nowBootMs: number): number | null {
  const nowTicks = (nowBootMs / 1000) * TICKS_PER_SECOND;
  let share: number | null = null;
  for (const member of members) {
    const now = proc.readStat(member.pid);
    const ageTicks = nowTicks - member.startTicks;
    if (now?.startTicks !== member.startTicks || isDead(now) || ageTicks < MIN_AGE_TICKS) continue;
    share = (share ?? 0) + now.ownTicks / ageTicks;
  }
  return share;
}

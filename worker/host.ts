/**
 * What makes a hobbler on this host, with or without Redis: state directory, lock, release of what a predecessor left,
 * journal, guard, process table and engine, in the order that keeps invariant 1. Used by the worker and by
 * `hobbler run`. It wires; what each part does is its own affair.
 */
import { availableParallelism } from 'node:os';
import { type Clock, readBootId, type Timer } from '../shared/clock.ts';
import { messageOf } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { Cgroups } from './cgroups/hierarchies.ts';
import { Engine, type EngineEvents } from './engine/engine.ts';
import type { Budget } from './engine/pacing.ts';
import { GuardLink, releaseOnce } from './guard/guard.ts';
import { Journal } from './journal.ts';
import { Mechanisms } from './mechanisms/mechanism.ts';
import { type Found, probeMechanisms } from './mechanisms/probe.ts';
import { Proc } from './process/proc.ts';
import { ProcessTable } from './process/table.ts';
import { ancestors } from './process/tree.ts';
import type { SafetyRules } from './safety.ts';
import { type HostLock, prepareStateDir, type StatePaths, takeLock } from './state-dir.ts';

export interface HostOptions {
  stateDir: string;
  guard: 'spawn' | 'external';
  /** The host's rules, but for the pids that are protected, which are found out here. */
  rules: Omit<SafetyRules, 'protectedPids'>;
  bounds: { loops: number; processesPerTarget: number };
  budget: Budget;
  events: EngineEvents;
  clock: Clock;
  log: Logger;
  /** What this host can do; found out here when it is left out. */
  found?: Found;
}

/** How often a journal that could not be written is tried again. */
const JOURNAL_RETRY_MS = 2_000;

export class HobblerHost {
  readonly engine: Engine;
  readonly guard: GuardLink;
  readonly proc: Proc;
  readonly table: ProcessTable;
  readonly paths: StatePaths;
  readonly bootId: string;
  /** Stands for the local lock, among all who contend for it. */
  get lockId(): string {
    return this.#lock.id;
  }
  readonly #lock: HostLock;
  readonly #journal: Journal;
  readonly #journalTimer: Timer;
  #isStopped = false;

  /** Takes the host's lock and releases what a predecessor left. Throws host-locked or invalid-config. */
  constructor({ stateDir, guard, rules, bounds, budget, events, clock, log, found }: HostOptions) {
    this.paths = prepareStateDir(stateDir);
    this.#lock = takeLock(this.paths);
    try {
      const released = releaseOnce(stateDir);
      if (released > 0) log.warn({ released }, 'released what an earlier hobbler had left');
      this.bootId = readBootId();
      this.#journal = new Journal(this.paths.journal, this.bootId, log);
    } catch (error) {
      this.#lock.release();
      throw error;
    }
    this.proc = new Proc();
    this.table = new ProcessTable(this.proc);
    const cgroups = new Cgroups(this.proc);
    const mechanisms = new Mechanisms({
      cgroups,
      proc: this.proc,
      table: this.table,
      journal: this.#journal,
      found: found ?? probeMechanisms(cgroups, this.proc, this.#journal),
    });
    this.guard = new GuardLink(this.paths, guard, clock, log, {
      onAlive: () => {
        this.#protect();
        this.engine.openGate('guard');
      },
      onGap: (gapMs) => this.engine.noticeGap(gapMs),
      onDead: (why) => this.engine.closeGate('guard', `no guard: ${why}`),
    });
    this.engine = new Engine(
      {
        proc: this.proc,
        table: this.table,
        cgroups,
        mechanisms,
        clock,
        journal: this.#journal,
        rules: { ...rules, protectedPids: () => this.#protected },
        cores: availableParallelism(),
        bounds,
        budget,
        ownCpuMs,
        log,
      },
      events,
    );
    this.engine.closeGate('guard', 'no guard yet');
    this.#journalTimer = clock.every(JOURNAL_RETRY_MS, () => {
      if (this.engine.closedGate?.gate === 'journal') this.engine.openGate('journal');
    });
    this.#protect();
  }

  #protected: ReadonlySet<number> = new Set([1]);

  /** The worker, its guard, and all ancestors of both. */
  #protect(): void {
    const parentOf = (pid: number) => this.proc.readStat(pid)?.ppid;
    const guardPid = this.guard.pid;
    this.#protected = new Set([
      1,
      ...ancestors(process.pid, parentOf),
      ...(guardPid === undefined ? [] : ancestors(guardPid, parentOf)),
    ]);
  }

  async start(): Promise<void> {
    await this.guard.start();
  }

  /** Everything runs first; then the guard is told, and the lock goes. Never throws. */
  stop(log: Logger): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#journalTimer.cancel();
    try {
      this.engine.closeGate('stopping', 'hobbler stops');
      this.engine.releaseAll();
    } catch (error) {
      log.error({ err: error }, `releasing failed (${messageOf(error)}); leaving it to the release script`);
      releaseOnce(this.paths.dir);
    }
    this.guard.stop();
    this.#journal.close();
    this.#lock.release();
  }
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

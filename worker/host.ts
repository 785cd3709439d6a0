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
import type { BrakeSettings } from './engine/brake.ts';
import { Engine, type EngineEvents } from './engine/engine.ts';
import type { Budget } from './engine/pacing.ts';
import { GuardLink, releaseOnce } from './guard/guard.ts';
import { Journal } from './journal.ts';
import { Mechanisms } from './mechanisms/mechanism.ts';
import { type Found, probeMechanisms } from './mechanisms/probe.ts';
import { type Connection, findPeer, type ProcessIdentity } from './process/peer.ts';
import { Proc } from './process/proc.ts';
import { ProcessTable } from './process/table.ts';
import { ancestors } from './process/tree.ts';
import type { SafetyRules } from './safety.ts';
import { type HostLock, prepareStateDir, type StatePaths, takeLock } from './state-dir.ts';

export interface HostOptions {
  stateDir: string;
  guard: 'spawn' | 'external';
  /** The host's rules, but for the pids that are protected, which are found out here. */
  rules: Omit<SafetyRules, 'protectedPids' | 'redis'>;
  bounds: { loops: number; processesPerTarget: number };
  brake: BrakeSettings;
  budget: Budget;
  events: EngineEvents;
  clock: Clock;
  log: Logger;
  /** What this host can do; found out here when it is left out. */
  found?: Found;
}

/** How often the journal is looked after: is it where the guard looks for it, and can it be written again? */
const JOURNAL_LOOK_MS = 500;
/** The same while it cannot be had: each try may run the release script. */
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
  readonly #log: Logger;
  readonly #minUid: number;
  #isReleased = false;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #isStopped = false;

  /**
   * Takes the host's lock and releases what a predecessor left. Where that cannot be done, or no journal be begun, it
   * starts all the same, stops nothing, and tries again: a start that fails would be started over and over by whoever
   * supervises it. Throws host-locked; and invalid-config for a directory that is not safe, after the release.
   */
  constructor({ stateDir, guard, rules, bounds, brake, budget, events, clock, log, found }: HostOptions) {
    this.#log = log;
    this.#minUid = rules.minUid;
    this.paths = prepareOrRelease(stateDir, log);
    this.#lock = takeLock(this.paths);
    try {
      this.bootId = readBootId();
    } catch (error) {
      this.#lock.release();
      throw error;
    }
    this.#journal = new Journal(this.paths.journal, this.bootId, log);
    const hasJournal = this.#ensureJournal();
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
        rules: { ...rules, protectedPids: () => this.#protected, redis: () => this.#redis },
        cores: availableParallelism(),
        bounds,
        brake,
        budget,
        ownCpuMs,
        log,
      },
      events,
    );
    this.engine.closeGate('guard', 'no guard yet');
    if (!hasJournal) this.engine.closeGate('journal', NO_JOURNAL);
    this.#journalTimer = clock.every(JOURNAL_LOOK_MS, () => this.#lookAfterJournal(clock.monotonicMs()));
    this.#protect();
  }

  /** Whether processes can be written down before they are stopped. */
  get hasJournal(): boolean {
    return !this.engine.isClosed('journal');
  }

  /** False: what a predecessor left may still be stopped, or there is no journal. */
  #ensureJournal(): boolean {
    try {
      if (!this.#isReleased) {
        const released = releaseOnce(this.paths.dir);
        if (released > 0) this.#log.warn({ released }, 'released what an earlier hobbler had left');
        this.#isReleased = true;
      }
    } catch (error) {
      if (this.#triedAtMs < 0) this.#log.error(`what an earlier hobbler left may stay stopped: ${messageOf(error)}`);
      return false;
    }
    return this.#journal.ensure();
  }

  #lookAfterJournal(nowMs: number): void {
    const isClosed = this.engine.isClosed('journal');
    if (isClosed && nowMs - this.#triedAtMs < JOURNAL_RETRY_MS) return;
    this.#triedAtMs = nowMs;
    if (!this.#ensureJournal()) this.engine.closeGate('journal', NO_JOURNAL);
    else if (isClosed) this.engine.openGate('journal');
  }

  #protected: ReadonlySet<number> = new Set([1]);

  #redis: ProcessIdentity | undefined;

  /** Finds the process at the other end of our connection to Redis, which is never stopped from here on. */
  async protectRedis(connection: Connection): Promise<void> {
    const found = await findPeer(this.proc, connection, this.#minUid);
    if (found?.pid === this.#redis?.pid && found?.startTicks === this.#redis?.startTicks) return;
    this.#redis = found;
    this.#log.info({ redisPid: found?.pid ?? null }, 'the process of Redis on this host, which is exempt');
    // It may have been born into a target.
    await this.engine.lookAnew();
  }

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

const NO_JOURNAL = 'the journal cannot be written';

/** Doubt means release: also where the directory is one that no hobbler may use. */
function prepareOrRelease(stateDir: string, log: Logger): StatePaths {
  try {
    return prepareStateDir(stateDir);
  } catch (error) {
    try {
      const released = releaseOnce(stateDir);
      if (released > 0) log.warn({ released }, 'released what an earlier hobbler had left');
    } catch (failed) {
      log.error(messageOf(failed));
    }
    throw error;
  }
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

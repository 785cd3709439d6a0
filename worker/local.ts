/**
 * `hobbler run`: hobbles targets on this machine in the foreground, with no Redis and no orders, until told to end or
 * until nothing is left. The uid floor does not bind it; it may hobble what belongs to the caller (any user's for root),
 * never pid 1, kernel threads, or its own ancestors (invariant 5).
 */
import type { Clock } from '../shared/clock.ts';
import { sleep } from '../shared/clock.ts';
import { HobblerError } from '../shared/errors.ts';
import type { Logger } from '../shared/log.ts';
import { type Hobble, type MechanismName, runRatio } from '../shared/order.ts';
import type { TargetState } from '../shared/report.ts';
import { formatTarget, type Target } from '../shared/target.ts';
import { NO_BRAKE } from './engine/brake.ts';
import type { HobbleLoop } from './engine/loop.ts';
import { HobblerHost } from './host.ts';
import { Users } from './users.ts';

export interface LocalOptions {
  targets: readonly Target[];
  hobble: Hobble;
  every: boolean;
  stateDir: string;
  clock: Clock;
  log: Logger;
  /** Ends the run when it resolves; everything runs again then. */
  until: Promise<unknown>;
  /** Called once, when every target is in. */
  onStart?: () => void;
  /** Called once a second. */
  onReport?: (rows: LocalRow[]) => void;
}

export interface LocalRow {
  target: string;
  status: TargetState;
  why: string | null;
  processes: number;
  /** What enforces it, and why that. */
  mechanism: MechanismName;
  mechanismWhy: string;
  askedRatio: number;
  /** CPU share of one core; null: not known. */
  gotRatio: number | null;
  beforeRatio: number | null;
  stops: number;
  usedSeconds: number;
}

export interface LocalSummary {
  rows: LocalRow[];
  /** CPU of hobbler itself as a share of one core, its guard not included. */
  ownCpuRatio: number;
  elapsedMs: number;
}

const REPORT_EVERY_MS = 1_000;

/**
 * Runs until `until`, or until every pid target is gone. Throws denied, not-found, unsupported or host-locked before it
 * starts.
 */
export async function hobbleLocally(options: LocalOptions): Promise<LocalSummary> {
  const { targets, hobble, every, stateDir, clock, log, until, onStart, onReport } = options;
  const uid = process.getuid?.() ?? 0;
  const ended: LocalRow[] = [];
  let allGone: () => void = () => {};
  const gone = new Promise<void>((resolve) => {
    allGone = resolve;
  });
  const host = new HobblerHost({
    stateDir,
    guard: 'spawn',
    rules: {
      minUid: 0,
      exemptUids: new Set(),
      exemptGids: new Set(),
      exemptCgroups: [],
      onlyUid: uid === 0 ? null : uid,
    },
    bounds: { loops: 10_000, processesPerTarget: 100_000 },
    // Who asks for it here, means it.
    brake: NO_BRAKE,
    budget: { cpuRatio: 0.05, maxPeriodMs: 1_000 },
    clock,
    log,
    events: {
      onChange: () => {},
      onEnd: (loop) => {
        ended.push({ ...rowOf(loop), status: 'gone', why: 'its last process has ended' });
        if (host.engine.loops.size === 0) allGone();
      },
      onGap: async () => {
        if (!(await host.guard.confirm())) throw new HobblerError('internal', 'no guard answers');
      },
    },
  });
  const startedAtMs = clock.monotonicMs();
  const cpuBefore = process.cpuUsage();
  const onExit = () => host.stop(log);
  process.once('exit', onExit);
  try {
    if (!host.hasJournal)
      throw new HobblerError('denied', 'nothing can be stopped safely: the journal cannot be written', {
        where: host.paths.journal,
        hint: 'make room there, or give another directory with --state-dir',
      });
    await host.start();
    const users = new Users(clock);
    for (const target of targets) await put(host, users, target, hobble, every);
    onStart?.();
    const timer = clock.every(REPORT_EVERY_MS, () =>
      onReport?.([...host.engine.loops.values()].map(rowOf).concat(ended)),
    );
    await Promise.race([until, gone]);
    timer.cancel();
    const rows = [...host.engine.loops.values()].map(rowOf).concat(ended);
    const elapsedMs = clock.monotonicMs() - startedAtMs;
    const own = process.cpuUsage(cpuBefore);
    return { rows, elapsedMs, ownCpuRatio: (own.user + own.system) / 1000 / elapsedMs };
  } finally {
    host.stop(log);
    process.off('exit', onExit);
    await sleep(clock, 0);
  }
}

async function put(host: HobblerHost, users: Users, target: Target, hobble: Hobble, every: boolean): Promise<void> {
  let uid: number | undefined;
  if (target.kind === 'user') {
    const lookup = await users.uidOf(target.name);
    if (lookup.status === 'failed')
      throw new HobblerError('not-found', `user cannot be looked up (${lookup.why})`, { where: formatTarget(target) });
    uid = lookup.status === 'found' ? lookup.uid : undefined;
  }
  const cycle = { runMs: hobble.runMs, stopMs: hobble.stopMs };
  const outcome = host.engine.tarpit(target, { cycle, every, mechanism: hobble.mechanism }, uid);
  if (outcome.status === 'applied') return;
  const where = formatTarget(target);
  if (outcome.status === 'unsupported')
    throw new HobblerError('unsupported', outcome.why, { where, hint: 'use auto or signal' });
  throw new HobblerError(outcome.status === 'gone' ? 'not-found' : 'denied', outcome.why, { where });
}

function rowOf(loop: HobbleLoop): LocalRow {
  return {
    target: loop.key,
    status: loop.state,
    why: loop.why,
    processes: loop.processes,
    mechanism: loop.inForce.mechanism,
    mechanismWhy: loop.inForce.why,
    askedRatio: runRatio(loop.cycle),
    gotRatio: loop.gotRatio,
    beforeRatio: loop.beforeRatio,
    stops: loop.stops,
    usedSeconds: loop.usedSeconds,
  };
}

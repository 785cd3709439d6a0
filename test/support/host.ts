/** A hobbler in the test's own process, with a real guard in a directory of its own and real processes to act on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../shared/clock.ts';
import { createLogger, silentLogger } from '../../shared/log.ts';
import type { Hobble } from '../../shared/order.ts';
import { type ProcessId, parseTarget } from '../../shared/target.ts';
import { NO_BRAKE } from '../../worker/engine/brake.ts';
import type { TarpitOutcome } from '../../worker/engine/engine.ts';
import type { HobbleLoop } from '../../worker/engine/loop.ts';
import { HobblerHost } from '../../worker/host.ts';
import type { SafetyRules } from '../../worker/safety.ts';

export interface TestHost {
  host: HobblerHost;
  ended: string[];
  gaps: number[];
  /** Tarpits a process with its tree at 10/200, or as given; idle ones too, unless `every` is false; by signals, unless told. */
  tarpit(
    id: ProcessId | string,
    cycle?: { runMs: number; stopMs: number },
    every?: boolean,
    mechanism?: Hobble['mechanism'],
  ): TarpitOutcome;
  loop(id: ProcessId | string): HobbleLoop | undefined;
  stop(): void;
}

const keyOf = (id: ProcessId | string) => (typeof id === 'string' ? id : `pid:${id.pid}@${id.startTicks}`);

/** `prepare` is given the state directory before the hobbler starts in it. */
export async function startHost(
  rules: Partial<SafetyRules> = {},
  prepare: (stateDir: string) => void = () => {},
): Promise<TestHost> {
  const stateDir = mkdtempSync(join(tmpdir(), 'hobbler-host-'));
  prepare(stateDir);
  const log = process.env.HOBBLER_LOG_LEVEL === undefined ? silentLogger() : createLogger('test');
  const ended: string[] = [];
  const gaps: number[] = [];
  const host = new HobblerHost({
    stateDir,
    guard: 'spawn',
    rules: { minUid: 0, exemptUids: new Set(), exemptGids: new Set(), exemptCgroups: [], onlyUid: null, ...rules },
    bounds: { loops: 1_000, processesPerTarget: 10_000 },
    brake: NO_BRAKE,
    budget: { cpuRatio: 1, maxPeriodMs: 1_000 },
    clock: systemClock,
    log,
    events: {
      onChange: () => {},
      onEnd: (loop) => ended.push(loop.key),
      onGap: async (gapMs) => {
        gaps.push(gapMs);
        if (!(await host.guard.confirm())) throw new Error('no guard');
      },
    },
  });
  await host.start();
  return {
    host,
    ended,
    gaps,
    tarpit: (id, cycle = { runMs: 10, stopMs: 200 }, every = true, mechanism = 'signal') =>
      host.engine.tarpit(parseTarget(keyOf(id)), { cycle, every, mechanism }),
    loop: (id) => host.engine.loops.get(keyOf(id)),
    stop: () => {
      host.stop(log);
      // Its guard may be writing its last while it ends.
      rmSync(stateDir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    },
  };
}

/**
 * A host of the simulated world: its state directory, machine, clock and Redis, and what guard.sh does there with a journal.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../../shared/clock.ts';
import type { FakeKernel } from '../fake-kernel.ts';
import { liveLinesOf } from '../journal.ts';
import type { SimulatedRedis } from './simulated-redis.ts';

/** What lies in the state directory, and who listens there. */
export interface SimulatedHost {
  dir: string;
  kernel: FakeKernel;
  clock: Clock;
  redis: SimulatedRedis;
  /** Stands for the local lock. */
  lockId: string;
  isDiskFull: boolean;
  /** A guard that hangs outlives its worker, and keeps its place. */
  guard: 'listens' | 'hung' | 'gone';
  minUid: number;
}

/** Does what guard.sh does with a journal: everything that it names runs again. */
export function releaseByJournal({ dir, kernel }: Pick<SimulatedHost, 'dir' | 'kernel'>): void {
  const path = join(dir, 'journal');
  try {
    readFileSync(path);
  } catch {
    return;
  }
  for (const line of liveLinesOf(path)) {
    const [word, pid, startTicks] = line.split(' ');
    const one = kernel.processes.get(Number(pid));
    if (word === 'stop' && one?.startTicks === Number(startTicks)) process.kill(one!.pid, 'SIGCONT');
  }
}

/**
 * How long it takes until everything runs again after the worker was killed, or hung, in the middle of a stop phase with
 * this many processes in it: round after round, from outside, looking at those that are still stopped as often as it can.
 */
import { descendantsOf, readState, startProcess } from '../processes.ts';
import { until } from '../until.ts';
import { RealWorld } from './real-world.ts';
import { type Figures, noteRelease } from './world.ts';

/** Longer than any release takes, so that it is not a run phase that lets them go. */
const STOP_MS = 8_000;
const LIMIT_MS = 6_000;

export interface ReleaseRunOptions {
  processes: number;
  rounds: number;
  figures: Figures;
}

export async function measureReleases({ processes, rounds, figures }: ReleaseRunOptions): Promise<void> {
  const world = await RealWorld.open({ isTraced: false });
  try {
    const uid = world.facts.uids[0]!;
    const script = `i=1; while [ $i -lt ${processes} ]; do sleep 3600 & i=$((i+1)); done; wait`;
    const root = await startProcess('sh', ['-c', script], { uid, gid: uid, cwd: '/' });
    const children = await until(
      () => {
        const found = descendantsOf(root.pid);
        return found.length === processes - 1 ? found : undefined;
      },
      { deadlineMs: 30_000, what: `${processes} processes` },
    );
    const pids = [root.pid, ...children!.map(({ pid }) => pid)];
    for (let round = 0; round < rounds; round++) {
      const cause = round % 5 === 4 ? 'worker-hung' : 'worker-killed';
      await world.tarpitUntilOver(`uid:${uid}`, { runMs: 10, stopMs: STOP_MS });
      await until(() => pids.every((pid) => readState(pid) === 'T'), {
        deadlineMs: 60_000,
        what: () => `all to be stopped; ${world.said()}`,
      });
      await world.fault(cause);
      noteRelease(figures, `${processes} processes, ${cause.replace('-', ' ')}`, await timeUntilAllRun(pids));
      if (cause === 'worker-hung') await world.fault('worker-killed');
      await world.fault('worker-starts');
      await until(() => world.isWell(), { deadlineMs: 30_000, what: () => `the next worker; ${world.said()}` });
    }
  } finally {
    await world.close();
  }
}

async function timeUntilAllRun(pids: readonly number[]): Promise<number> {
  const fromMs = performance.now();
  let left = pids;
  await until(
    () => {
      left = left.filter((pid) => readState(pid) === 'T');
      return left.length === 0;
    },
    { deadlineMs: LIMIT_MS, what: () => `${left.length} of ${pids.length} to run` },
  );
  return performance.now() - fromMs;
}

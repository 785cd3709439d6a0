/** The governor on a fake clock, with loops whose cost is told: who is charged what, and when periods change. */
import { describe, expect, it } from 'vitest';
import { Governor } from '../../../worker/engine/governor.ts';
import { PACING_WINDOW_MS } from '../../../worker/engine/pacing.ts';
import type { DutyCycle } from '../../../worker/engine/slots.ts';
import { FakeClock } from '../../support/fake-clock.ts';

class Loop {
  readonly cycle: DutyCycle = { runMs: 10, stopMs: 200 };
  costRatio: number | null = null;
  work: number;

  constructor(work: number) {
    this.work = work;
  }

  takeWork(): number {
    return this.work;
  }
}

function arrange(loops: Loop[]) {
  const clock = new FakeClock();
  const changes: number[] = [];
  const cpu = { usedMs: 0 };
  const governor = new Governor<Loop>({
    clock,
    budget: { cpuRatio: 0.05, maxPeriodMs: 1_000 },
    ownCpuMs: () => cpu.usedMs,
    loops: () => loops,
    onChange: (stretch) => changes.push(stretch),
  });
  const window = async (ratio: number) => {
    cpu.usedMs += ratio * PACING_WINDOW_MS;
    await clock.advance(PACING_WINDOW_MS);
  };
  return { governor, changes, window };
}

describe('the governor', () => {
  it('shares the cost out by the work that each loop caused', async () => {
    const loops = [new Loop(300), new Loop(100), new Loop(0)];
    const { governor, window } = arrange(loops);
    governor.start();
    expect(loops.map(({ costRatio }) => costRatio)).toEqual([null, null, null]);
    await window(0.04);
    expect(loops.map(({ costRatio }) => costRatio)).toEqual([0.03, 0.01, 0]);
  });

  it('says when periods change, and gives the loops back what they asked once the load is gone', async () => {
    const { governor, changes, window } = arrange([new Loop(1)]);
    governor.start();
    await window(0.1);
    expect(changes).toEqual([]);
    await window(0.1);
    expect(changes).toHaveLength(1);
    const { runMs, stopMs } = governor.pace({ runMs: 10, stopMs: 200 });
    expect(stopMs).toBe(400);
    expect(runMs / stopMs).toBeCloseTo(10 / 200);
    for (let round = 0; round < 10; round++) await window(0.001);
    expect(governor.pace({ runMs: 10, stopMs: 200 })).toEqual({ runMs: 10, stopMs: 200 });
  });

  it('looks at nothing while there is no loop', async () => {
    const { governor, changes, window } = arrange([]);
    governor.start();
    governor.stop();
    await window(1);
    await window(1);
    expect(changes).toEqual([]);
  });
});

/** Loops without phases on a fake clock: each is looked at about once a second, in batches; none after it was suspended. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Steady } from '../../../worker/engine/steady.ts';
import { FakeClock } from '../../support/fake-clock.ts';

class Loop {
  looks = 0;
  isApplied = false;
  onLook = () => {};
  enterStop(): void {
    this.looks++;
    this.isApplied = true;
    this.onLook();
  }
  enterRun(): void {
    this.isApplied = false;
  }
}

function arrange(count: number) {
  const clock = new FakeClock();
  const gaps: number[] = [];
  const batches: number[] = [];
  const loops = Array.from({ length: count }, () => new Loop());
  const looks = () => loops.reduce((sum, loop) => sum + loop.looks, 0);
  let before = 0;
  const steady = new Steady<Loop>(clock, {
    beforeLook: () => {
      batches.push(looks() - before);
      before = looks();
    },
    onGap: (gapMs) => gaps.push(gapMs),
  });
  for (const loop of loops) steady.add(loop);
  before = looks();
  return { clock, gaps, batches, loops, steady };
}

describe('loops without phases', () => {
  it('are each looked at about once a second, however many there are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2_000 }), async (count) => {
        const { clock, loops } = arrange(count);
        await clock.advance(10_000);
        for (const { looks } of loops) {
          expect(looks).toBeGreaterThanOrEqual(9);
          expect(looks).toBeLessThanOrEqual(12);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('are looked at less often where the budget wants that', async () => {
    const { clock, loops, steady } = arrange(600);
    steady.stretch = 4;
    await clock.advance(20_000);
    for (const { looks } of loops) {
      expect(looks).toBeGreaterThanOrEqual(5);
      expect(looks).toBeLessThanOrEqual(8);
    }
  });

  it('are looked at a batch at a time', async () => {
    const { clock, batches } = arrange(5_000);
    await clock.advance(5_000);
    expect(Math.max(...batches)).toBeLessThanOrEqual(256);
  });

  it('are lifted while suspended, and applied again at once', async () => {
    const { clock, loops, steady } = arrange(300);
    steady.suspend();
    expect(loops.some(({ isApplied }) => isApplied)).toBe(false);
    await clock.advance(5_000);
    expect(loops.every(({ looks }) => looks === 1)).toBe(true);
    steady.resume();
    expect(loops.every(({ isApplied }) => isApplied)).toBe(true);
  });

  it('are lifted when they leave, and the rest goes on', async () => {
    const { clock, loops, steady } = arrange(600);
    for (const loop of loops.slice(0, 400)) steady.remove(loop);
    expect(loops.filter(({ isApplied }) => isApplied)).toHaveLength(200);
    await clock.advance(5_000);
    expect(loops.slice(0, 400).every(({ looks }) => looks === 1)).toBe(true);
    expect(loops.slice(400).every(({ looks }) => looks > 4)).toBe(true);
  });

  it('a look that suspends everything leaves nobody applied who comes after it', async () => {
    const { clock, loops, steady } = arrange(10);
    loops[3]!.onLook = () => steady.suspend();
    await clock.advance(1_000);
    expect(loops.some(({ isApplied }) => isApplied)).toBe(false);
  });

  it('after a gap are lifted, and it is said', async () => {
    const { clock, loops, steady, gaps } = arrange(3);
    clock.stall(3_000);
    await clock.advance(1_000);
    expect(gaps).toHaveLength(1);
    expect(loops.some(({ isApplied }) => isApplied)).toBe(false);
    steady.resume();
    expect(loops.every(({ isApplied }) => isApplied)).toBe(true);
  });
});

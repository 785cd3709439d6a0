/** The fake clock keeps the promises of shared/clock.ts's Clock; every test that advances it leans on that. */
import { describe, expect, it } from 'vitest';
import { sleep } from '../../../shared/clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('FakeClock', () => {
  it('runs timers in the order in which they fall due, each at its own time', async () => {
    const clock = new FakeClock();
    const startMs = clock.monotonicMs();
    const seen: [string, number][] = [];
    clock.after(30, () => seen.push(['c', clock.monotonicMs() - startMs]));
    clock.after(10, () => seen.push(['a', clock.monotonicMs() - startMs]));
    clock.after(10, () => seen.push(['b', clock.monotonicMs() - startMs]));
    await clock.advance(29);
    expect(seen).toEqual([
      ['a', 10],
      ['b', 10],
    ]);
    await clock.advance(1);
    expect(seen.at(-1)).toEqual(['c', 30]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('runs a timer that another timer sets within the same advance', async () => {
    const clock = new FakeClock();
    let rounds = 0;
    const again = () => {
      rounds++;
      clock.after(10, again);
    };
    clock.after(10, again);
    await clock.advance(100);
    expect(rounds).toBe(10);
  });

  it('does not run a cancelled timer', async () => {
    const clock = new FakeClock();
    const timer = clock.after(10, () => expect.unreachable());
    timer.cancel();
    await clock.advance(100);
    expect(clock.pendingTimers).toBe(0);
  });

  it('never overlaps a slow run of every(), and counts the period from its end', async () => {
    const clock = new FakeClock();
    const startMs = clock.monotonicMs();
    const startsMs: number[] = [];
    const timer = clock.every(10, async () => {
      startsMs.push(clock.monotonicMs() - startMs);
      await sleep(clock, 25);
    });
    await clock.advance(100);
    expect(startsMs).toEqual([10, 45, 80]);
    timer.cancel();
    await clock.advance(100);
    expect(startsMs).toHaveLength(3);
  });

  it('lets the wall clock jump and the machine sleep without moving the monotonic clock', () => {
    const clock = new FakeClock();
    const before = { monotonicMs: clock.monotonicMs(), bootMs: clock.bootMs(), wallMs: clock.wallMs() };
    clock.jumpWall(-3_600_000);
    clock.suspend(60_000);
    expect(clock.monotonicMs()).toBe(before.monotonicMs);
    expect(clock.bootMs()).toBe(before.bootMs + 60_000);
    expect(clock.wallMs()).toBe(before.wallMs - 3_540_000);
  });

  it('runs late what fell due during a stall', () => {
    const clock = new FakeClock();
    let ran = 0;
    clock.after(10, () => ran++);
    clock.stall(1_000);
    expect(ran).toBe(0);
    clock.advanceSync(0);
    expect(ran).toBe(1);
  });
});

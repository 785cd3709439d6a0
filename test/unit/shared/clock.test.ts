/** The one door to time: its bounds and its readings. */
import { describe, expect, it } from 'vitest';
import { sleep, systemClock, type Timer, within } from '../../../shared/clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('within', () => {
  it('gives the value of what is done in time, and leaves no timer behind', async () => {
    const clock = new FakeClock();
    expect(await within(clock, 100, Promise.resolve(7))).toEqual({ done: true, value: 7 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('says so when the limit passes first, and a later failure hurts nobody', async () => {
    const clock = new FakeClock();
    const late = sleep(clock, 500).then(() => Promise.reject(new Error('too late')));
    const outcome = within(clock, 100, late);
    await clock.advance(100);
    expect(await outcome).toEqual({ done: false });
    await clock.advance(1_000); // an unhandled rejection would fail the run
  });

  it('fails as the promise fails', async () => {
    await expect(within(new FakeClock(), 100, Promise.reject(new Error('no')))).rejects.toThrow('no');
  });
});

describe('the system clock', () => {
  it('sets no timer in the past when one that is regular holds up another', async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error) => warnings.push(name);
    process.on('warning', note);
    const timers: Timer[] = [];
    let calls = 0;
    await new Promise<void>((resolve) => {
      timers.push(systemClock.every(5, () => systemClock.nap(30)));
      timers.push(systemClock.every(8, () => (++calls === 5 ? resolve() : undefined)));
    });
    for (const timer of timers) timer.cancel();
    await sleep(systemClock, 1); // a warning is told in the next turn
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });

  it('never overlaps runs of every(), and stops when it is cancelled within one', async () => {
    let running = 0;
    let runs = 0;
    await new Promise<void>((resolve, reject) => {
      const timer = systemClock.every(1, async () => {
        if (++running > 1) reject(new Error('overlapped'));
        await sleep(systemClock, 5);
        running--;
        if (++runs === 3) {
          timer.cancel();
          resolve();
        }
      });
    });
    await sleep(systemClock, 20);
    expect(runs).toBe(3);
  });

  it('makes calls of every() fall together, so that they take one wake-up', async () => {
    let turn: object | undefined;
    let [alone, together] = [0, 0];
    const often = systemClock.every(50, () => {
      const mine = {};
      turn = mine;
      setImmediate(() => {
        if (turn === mine) turn = undefined;
      });
    });
    await sleep(systemClock, 12); // begun at different times
    await new Promise<void>((resolve) => {
      const seldom = systemClock.every(100, () => {
        if (turn === undefined) alone++;
        else together++;
        if (alone + together < 6) return;
        seldom.cancel();
        resolve();
      });
    });
    often.cancel();
    // A call that comes late leaves out the point that is too near: on a busy machine some may come alone.
    expect(together).toBeGreaterThanOrEqual(3);
  });

  it('calls nobody whom another call of the same moment has cancelled', async () => {
    const calls: string[] = [];
    const first = systemClock.every(10, () => {
      calls.push('first');
      second.cancel();
    });
    const second = systemClock.every(10, () => {
      calls.push('second');
      first.cancel();
    });
    await sleep(systemClock, 60);
    first.cancel();
    second.cancel();
    expect(new Set(calls).size).toBe(1);
  });

  it('counts boot time as the kernel does, and is ahead of no wall clock', async () => {
    const { readFileSync } = await import('node:fs');
    const kernelMs = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1_000;
    expect(Math.abs(systemClock.bootMs() - kernelMs)).toBeLessThan(100);
    expect(Math.abs(systemClock.wallMs() - Date.now())).toBeLessThan(100);
  });
});

/** CPU of a changing set: each tick counted once, whoever died, was reaped, or came in between two looks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CpuCounter, type CpuSample } from '../../../worker/engine/cpu-counter.ts';

const sample = (pid: number, ppid: number, ownTicks: number, reapedTicks = 0, startTicks = pid): CpuSample => ({
  pid,
  ppid,
  startTicks,
  ownTicks,
  reapedTicks,
});

function count(...looks: CpuSample[][]): number {
  const counter = new CpuCounter();
  for (const look of looks) counter.look(look);
  return counter.totalTicks;
}

describe('CpuCounter', () => {
  it('starts from zero, whatever was used before', () => {
    expect(count([sample(10, 1, 5_000, 300)])).toBe(0);
  });

  it('counts what a process uses itself', () => {
    expect(count([sample(10, 1, 100)], [sample(10, 1, 130)], [sample(10, 1, 131)])).toBe(31);
  });

  it('counts a child that was born, worked and was reaped between two looks, once', () => {
    expect(count([sample(10, 1, 0)], [sample(10, 1, 2, 40)])).toBe(42);
  });

  it('counts a child that was seen and then reaped only for what it did since', () => {
    expect(count([sample(10, 1, 0)], [sample(10, 1, 0), sample(11, 10, 30)], [sample(10, 1, 0, 50)])).toBe(50);
    expect(count([sample(10, 1, 0), sample(11, 10, 30)], [sample(10, 1, 0, 50)])).toBe(20);
  });

  it('counts a grandchild once when its parent is reaped in the same interval', () => {
    // 12 had 100 ticks, all counted; 11 reaps it (100) and ends itself; 10 reaps 11 with its 100.
    const before = [sample(10, 1, 0), sample(11, 10, 0), sample(12, 11, 0)];
    const busy = [sample(10, 1, 0), sample(11, 10, 0), sample(12, 11, 100)];
    expect(count(before, busy, [sample(10, 1, 0, 103)])).toBe(103);
  });

  it('does not take a new process under an old pid for the old one', () => {
    expect(count([sample(10, 1, 1_000)], [sample(10, 1, 7, 0, 99)])).toBe(0);
  });

  it('counts nothing for a process that leaves the set', () => {
    expect(count([sample(10, 1, 10), sample(20, 1, 10)], [sample(10, 1, 10)])).toBe(0);
  });

  it('counts nothing of the lives before of a parent and child who come in together', () => {
    const counter = new CpuCounter();
    counter.look([sample(5, 1, 0)], 100);
    expect(counter.look([sample(5, 1, 0), sample(10, 1, 500), sample(11, 10, 300)], 200)).toBe(0);
    expect(counter.look([sample(5, 1, 0), sample(10, 1, 501), sample(11, 10, 302)], 300)).toBe(3);
  });

  it('never counts a tick twice: any tree that works, forks, ends and waits comes out at its true sum', () => {
    // A simulated kernel: each step a process works, forks, or ends (its parent waits for it at once).
    const step = fc.record({
      who: fc.nat(),
      what: fc.constantFrom('work', 'work', 'fork', 'end', 'look'),
      ticks: fc.integer({ min: 1, max: 50 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const alive: CpuSample[] = [sample(2, 1, 0)];
        let nextPid = 3;
        let worked = 0;
        const counter = new CpuCounter();
        const look = () => counter.look(alive.map((one) => ({ ...one })));
        look();
        for (const { who, what, ticks } of steps) {
          const one = alive[who % alive.length]!;
          if (what === 'work') {
            one.ownTicks += ticks;
            worked += ticks;
          } else if (what === 'fork') alive.push(sample(nextPid++, one.pid, 0));
          else if (what === 'look') look();
          else if (one.pid !== 2 && !alive.some(({ ppid }) => ppid === one.pid)) {
            const parent = alive.find(({ pid }) => pid === one.ppid)!;
            parent.reapedTicks += one.ownTicks + one.reapedTicks;
            alive.splice(alive.indexOf(one), 1);
          }
        }
        look();
        expect(counter.totalTicks).toBe(worked);
      }),
      { numRuns: 2_000 },
    );
  });
});

it('counts a daemon that forked away twice since the last look, but not an old process that comes in', () => {
  const counter = new CpuCounter();
  counter.look([sample(10, 1, 0)], 1_000);
  counter.look([sample(10, 1, 0), sample(11, 1, 30, 0, 1_050), sample(12, 1, 500, 0, 900)], 1_100);
  expect(counter.totalTicks).toBe(30);
});

/** When phases change: properties of the scheduler under any joins, leaves, changed cycles, suspends and late ticks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GAP_MS, type Phased, Scheduler } from '../../../worker/engine/scheduler.ts';
import { chooseSlot, type DutyCycle, periodMs, slotCount } from '../../../worker/engine/slots.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A loop that writes down its phases. */
class Recorder implements Phased {
  readonly #clock: FakeClock;
  isStopped = false;
  stops = 0;
  /** Length of each stop phase, ms. */
  readonly stopsMs: number[] = [];
  stoppedMs = 0;
  readonly bornAtMs: number;
  #stoppedAtMs = 0;

  constructor(clock: FakeClock) {
    this.#clock = clock;
    this.bornAtMs = clock.monotonicMs();
  }

  enterStop(): void {
    if (this.isStopped) return;
    this.isStopped = true;
    this.stops++;
    this.#stoppedAtMs = this.#clock.monotonicMs();
  }

  enterRun(): void {
    if (!this.isStopped) return;
    this.isStopped = false;
    const lengthMs = this.#clock.monotonicMs() - this.#stoppedAtMs;
    this.stopsMs.push(lengthMs);
    this.stoppedMs += lengthMs;
  }

  runShare(): number {
    const lifeMs = this.#clock.monotonicMs() - this.bornAtMs;
    const nowMs = this.isStopped ? this.#clock.monotonicMs() - this.#stoppedAtMs : 0;
    return 1 - (this.stoppedMs + nowMs) / lifeMs;
  }
}

function create(cores = 2) {
  const clock = new FakeClock();
  const gaps: number[] = [];
  const scheduler = new Scheduler<Recorder>(clock, cores, {
    beforeStops: () => {},
    afterStops: () => {},
    onGap: (gapMs) => gaps.push(gapMs),
  });
  const join = (cycle: DutyCycle) => {
    const loop = new Recorder(clock);
    scheduler.add(loop, cycle);
    return loop;
  };
  return { clock, gaps, scheduler, join };
}

const anyCycle = fc.record({ runMs: fc.integer({ min: 1, max: 400 }), stopMs: fc.integer({ min: 1, max: 900 }) });
/** What a stop may last beyond its plan: the resolution at which edges are taken together. */
const SLACK_MS = 1.3;
const longestStopMs = (cycle: DutyCycle) => cycle.stopMs * 1.5 + cycle.runMs + SLACK_MS;

type Event =
  | { kind: 'join'; cycle: DutyCycle }
  | { kind: 'leave' | 'change'; who: number; cycle: DutyCycle }
  | { kind: 'suspend' | 'resume' }
  | { kind: 'wait' | 'late'; ms: number };
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  { weight: 3, arbitrary: anyCycle.map((cycle) => ({ kind: 'join' as const, cycle })) },
  fc.record({ kind: fc.constantFrom('leave' as const, 'change' as const), who: fc.nat(), cycle: anyCycle }),
  fc.constantFrom({ kind: 'suspend' as const }, { kind: 'resume' as const }),
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 3_000 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('late' as const), ms: fc.integer({ min: 0, max: 900 }) }) },
);

describe('whatever happens', () => {
  it('every stop is followed by a run, within the bound of its cycle and the lateness of the tick', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 40 }), (events) => {
        const { clock, scheduler, join, gaps } = create();
        const loops: { loop: Recorder; longestMs: number; isIn: boolean }[] = [];
        let lateMs = 0;
        const pick = (who: number) =>
          loops.filter(({ isIn }) => isIn)[who % Math.max(1, loops.filter((one) => one.isIn).length)];
        for (const event of events) {
          switch (event.kind) {
            case 'join':
              loops.push({ loop: join(event.cycle), longestMs: longestStopMs(event.cycle), isIn: true });
              break;
            case 'leave': {
              const one = pick(event.who);
              if (!one) break;
              scheduler.remove(one.loop);
              one.isIn = false;
              expect(one.loop.isStopped).toBe(false);
              break;
            }
            case 'change': {
              const one = pick(event.who);
              if (!one) break;
              scheduler.remove(one.loop);
              scheduler.add(one.loop, event.cycle);
              one.longestMs = Math.max(one.longestMs, longestStopMs(event.cycle));
              break;
            }
            case 'suspend':
              scheduler.suspend();
              for (const { loop } of loops) expect(loop.isStopped).toBe(false);
              break;
            case 'resume':
              scheduler.resume();
              break;
            case 'wait':
              clock.advanceSync(event.ms);
              break;
            case 'late':
              clock.stall(event.ms);
              lateMs = Math.max(lateMs, event.ms);
              clock.advanceSync(0);
              break;
          }
          if (scheduler.isSuspended) for (const { loop } of loops) expect(loop.isStopped).toBe(false);
        }
        clock.advanceSync(5_000);
        for (const { loop, longestMs, isIn } of loops) {
          for (const lengthMs of loop.stopsMs) expect(lengthMs).toBeLessThanOrEqual(longestMs + lateMs);
          if (!isIn) expect(loop.isStopped).toBe(false);
        }
        expect(gaps).toEqual([]);
        for (const { loop, isIn } of loops) if (isIn) scheduler.remove(loop);
        for (const { loop } of loops) expect(loop.isStopped).toBe(false);
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it('the share of time in the run phase is within 5 % of the one asked, with ticks a few ms late', () => {
    const cycle = fc.record({ runMs: fc.integer({ min: 5, max: 200 }), stopMs: fc.integer({ min: 20, max: 600 }) });
    fc.assert(
      fc.property(
        fc.array(cycle, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(3), { minLength: 1 }),
        (cycles, late) => {
          const { clock, join } = create();
          const loops = cycles.map((one) => ({ loop: join(one), asked: one.runMs / periodMs(one) }));
          for (let turn = 0; clock.monotonicMs() < 5_000 + 120_000; turn++) {
            // The tick that is due next comes late by this much.
            clock.stall((clock.nextTimerInMs ?? 1) + (late[turn % late.length] ?? 0));
            clock.advanceSync(0);
          }
          for (const { loop, asked } of loops) expect(loop.runShare() / asked).toBeGreaterThan(0.95);
          for (const { loop, asked } of loops) expect(loop.runShare() / asked).toBeLessThan(1.05);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('a tick more than a second late stops nothing, says so, and nothing is stopped until it is resumed', () => {
    fc.assert(
      fc.property(
        fc.array(anyCycle, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: 2_000 }),
        (cycles, ms) => {
          const { clock, scheduler, join, gaps } = create();
          const loops = cycles.map((cycle) => join(cycle));
          clock.advanceSync(ms);
          clock.stall((clock.nextTimerInMs ?? 0) + GAP_MS + 1);
          const before = loops.map(({ stops }) => stops);
          clock.advanceSync(10_000);
          expect(gaps).toHaveLength(1);
          expect(gaps[0]).toBeGreaterThan(GAP_MS);
          expect(loops.map(({ stops }) => stops)).toEqual(before);
          expect(loops.some(({ isStopped }) => isStopped)).toBe(false);
          scheduler.resume();
          clock.advanceSync(5_000);
          for (const [index, { stops }] of loops.entries()) expect(stops).toBeGreaterThan(before[index]!);
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('a loop that suspends everything from within its own stop (the journal is full)', () => {
  const cycle = { runMs: 10, stopMs: 200 };
  /** The first stop of `breaker` while armed suspends the scheduler, as a gate does. */
  function withBreaker() {
    const { clock, scheduler, join } = create(8);
    let armed = false;
    const breaker = new Recorder(clock);
    const stop = breaker.enterStop.bind(breaker);
    breaker.enterStop = () => (armed ? scheduler.suspend() : stop());
    scheduler.add(breaker, cycle);
    const others = Array.from({ length: 7 }, () => join(cycle));
    return {
      clock,
      scheduler,
      others,
      arm: () => {
        armed = true;
      },
    };
  }

  it('leaves nobody stopped who comes after it in the same tick', () => {
    const { clock, others, arm, scheduler } = withBreaker();
    clock.advanceSync(1_000);
    arm();
    clock.advanceSync(1_000);
    expect(scheduler.isSuspended).toBe(true);
    expect(others.filter(({ isStopped }) => isStopped)).toEqual([]);
  });

  it('leaves nobody stopped when everything is just being resumed', () => {
    const { clock, others, arm, scheduler } = withBreaker();
    scheduler.suspend();
    arm();
    for (let ms = 0; ms < 210; ms += 30) {
      clock.advanceSync(30);
      scheduler.resume();
      if (scheduler.isSuspended) expect(others.filter(({ isStopped }) => isStopped)).toEqual([]);
      else scheduler.suspend();
    }
  });
});

describe('slots', () => {
  it('are few while loops are few, and never more loops run at once than cores while there is room', () => {
    const cycle = { runMs: 10, stopMs: 200 };
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 200 }), (cores, loops) => {
        const slots = new Array<number>(slotCount(cycle)).fill(0);
        for (let index = 0; index < loops; index++) slots[chooseSlot(slots, cycle, cores)]!++;
        expect(slots.filter((count) => count > 0).length).toBe(Math.min(21, Math.ceil(loops / cores)));
        expect(Math.max(...slots)).toBeLessThanOrEqual(Math.max(cores, Math.ceil(loops / 21)));
      }),
    );
  });

  it('whose loops leave are filled again first: no more run at once than before', () => {
    const { clock, scheduler, join } = create(1);
    let loops = Array.from({ length: 21 }, () => join({ runMs: 10, stopMs: 200 }));
    for (let round = 0; round < 5; round++) {
      const leaving = loops.filter((_, index) => index % 3 === round % 3);
      for (const loop of leaving) scheduler.remove(loop);
      loops = [
        ...loops.filter((loop) => !leaving.includes(loop)),
        ...leaving.map(() => join({ runMs: 10, stopMs: 200 })),
      ];
      clock.advanceSync(210);
      for (let atMs = 0; atMs < 210; atMs += 5) {
        expect(loops.filter(({ isStopped }) => !isStopped).length).toBeLessThanOrEqual(2);
        clock.advanceSync(5);
      }
    }
    for (const loop of loops) scheduler.remove(loop);
    expect(clock.pendingTimers).toBe(0);
  });

  it('cost what loops there are, not what slots a cycle could have', () => {
    // 10,000 loops are the bound; each of these cycles has room for about 9,000 slots.
    const { clock, scheduler, join } = create();
    const before = process.memoryUsage().heapUsed;
    const loops = Array.from({ length: 2_000 }, (_, index) => join({ runMs: 1, stopMs: 8_000 + index }));
    clock.advanceSync(50);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(60_000_000);
    for (const loop of loops) scheduler.remove(loop);
    expect(clock.pendingTimers).toBe(0);
  });
});

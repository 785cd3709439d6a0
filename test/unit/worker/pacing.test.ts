/** The adaptive period against hosts described by what hobbling costs there: it must settle, within budget or at its bound. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Pacing } from '../../../worker/engine/pacing.ts';

const CYCLE = { runMs: 10, stopMs: 200 };
const PERIOD_MS = 210;
const budget = { cpuRatio: 0.05, maxPeriodMs: 1_000 };
const MOST = budget.maxPeriodMs / PERIOD_MS;

/** Own CPU of a worker: what it costs whatever the period, and what its signals cost at the period asked. */
interface Host {
  fixed: number;
  signals: number;
}

const costOf = ({ fixed, signals }: Host, stretch: number) => fixed + signals / stretch;

const anyHost = fc.record({
  fixed: fc.double({ min: 0, max: 0.045, noNaN: true }),
  signals: fc.double({ min: 0, max: 0.6, noNaN: true }),
});

/** Windows in which a load that starts and stays is settled. */
const SETTLES_WITHIN = 40;

describe('the adaptive period', () => {
  it('is as asked while the cost is within the budget', () => {
    const pacing = new Pacing(budget);
    for (let window = 0; window < 10; window++) expect(pacing.take(0.049, PERIOD_MS)).toBe(false);
    expect(pacing.pace(CYCLE)).toEqual(CYCLE);
  });

  it('is not changed by one window over the budget, as a burst of orders makes', () => {
    const pacing = new Pacing(budget);
    for (let round = 0; round < 5; round++) {
      expect(pacing.take(0.4, PERIOD_MS)).toBe(false);
      expect(pacing.take(0.01, PERIOD_MS)).toBe(false);
    }
  });

  it('settles within the budget or at its bound, and stays there', () => {
    fc.assert(
      fc.property(anyHost, (host) => {
        const pacing = new Pacing(budget);
        for (let window = 0; window < SETTLES_WITHIN; window++) pacing.take(costOf(host, pacing.stretch), PERIOD_MS);
        const cost = costOf(host, pacing.stretch);
        expect(cost <= budget.cpuRatio * 1.001 || pacing.stretch === MOST).toBe(true);
        for (let window = 0; window < 50; window++)
          expect(pacing.take(costOf(host, pacing.stretch), PERIOD_MS)).toBe(false);
      }),
    );
  });

  it('is what was asked again once the load is gone', () => {
    fc.assert(
      fc.property(anyHost, (host) => {
        const pacing = new Pacing(budget);
        for (let window = 0; window < SETTLES_WITHIN; window++) pacing.take(costOf(host, pacing.stretch), PERIOD_MS);
        for (let window = 0; window < SETTLES_WITHIN; window++) pacing.take(0.005, PERIOD_MS);
        expect(pacing.stretch).toBe(1);
        expect(pacing.pace(CYCLE)).toEqual(CYCLE);
      }),
    );
  });

  it('keeps the duty cycle, never passes its bound, and leaves longer periods alone', () => {
    const anyCycle = fc.record({ runMs: fc.integer({ min: 1, max: 400 }), stopMs: fc.integer({ min: 1, max: 2_000 }) });
    fc.assert(
      fc.property(anyCycle, fc.array(fc.double({ min: 0, max: 1, noNaN: true })), (cycle, costs) => {
        const pacing = new Pacing(budget);
        for (const cost of costs) pacing.take(cost, cycle.runMs + cycle.stopMs);
        const paced = pacing.pace(cycle);
        const period = paced.runMs + paced.stopMs;
        expect(paced.runMs / period).toBeCloseTo(cycle.runMs / (cycle.runMs + cycle.stopMs), 9);
        expect(period).toBeLessThanOrEqual(Math.max(budget.maxPeriodMs, cycle.runMs + cycle.stopMs) + 1e-6);
        expect(period).toBeGreaterThanOrEqual(cycle.runMs + cycle.stopMs);
      }),
    );
  });
});

/**
 * Any account whatever, for properties: configs, and sequences of readings as broken accounting systems may send them,
 * with repeats, late ones, resets, limits and windows that change.
 */
import fc from 'fast-check';
import type { RawReading } from '../../../../producer/policy/attribute.ts';
import { FIRST_DAY_MS } from './course.ts';

const MINUTE_MS = 60_000;

const duration = (...texts: string[]) => fc.constantFrom(...texts);
const windows = fc.constantFrom(
  { daily: '00:00' },
  { daily: '02:30', zone: 'Europe/London' },
  { every: '20m' },
  { every: '7m', anchor: '2025-11-24T00:03:00Z' },
  { rolling: '10m' },
  { rolling: '1h' },
);
const levels = fc
  .array(
    fc.record({
      runMs: fc.integer({ min: 1, max: 100 }),
      for: fc.option(duration('10m', '25m', '2h'), { nil: undefined }),
    }),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((drawn) =>
    drawn
      .sort((a, b) => b.runMs - a.runMs)
      .map(({ runMs, for: length }) => ({ runMs, stopMs: 100, ...(length ? { for: length } : {}) })),
  );
const ladder = fc.record({
  levels,
  grace: duration('0s', '1m', '30m'),
  lookback: duration('0s', '1h', '7d'),
  forgive: duration('10m', '1h', '1d'),
});
const limit = fc.record({
  used: fc.constantFrom(50, 100, 200),
  window: windows,
  leaveRatio: fc.constantFrom(0, 0.5, 0.9, 0.99),
  resource: fc.constantFrom('cpu', 'memory'),
  ladder: fc.constantFrom('one', 'two'),
});

export const anyConfig = fc.record({
  dwell: duration('0s', '30s', '1m', '10m'),
  forgetAfter: duration('15m', '3h', '1d'),
  limits: fc.dictionary(fc.constantFrom('a', 'b', 'c'), limit, { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
  ladders: fc.record({ one: ladder, two: ladder }),
});

export interface Arrival {
  /** When it comes, milliseconds since 1970. */
  nowMs: number;
  readings: RawReading[];
}

const reading = fc.record({
  by: fc.constantFrom('a', 'b', 'c', 'own'),
  isTotal: fc.boolean(),
  amount: fc.integer({ min: 0, max: 300 }),
  id: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
  lateMinutes: fc.constantFrom(0, 0, 0, 1, 20),
  limit: fc.option(fc.constantFrom(50, 150), { nil: undefined }),
  window: fc.option(fc.constantFrom('x', 'y'), { nil: undefined }),
  resetsInMinutes: fc.option(fc.integer({ min: 1, max: 90 }), { nil: undefined }),
});
const step = fc.record({
  afterMs: fc.oneof(fc.integer({ min: 0, max: MINUTE_MS }), fc.integer({ min: 0, max: 60 * MINUTE_MS })),
  readings: fc.array(reading, { maxLength: 3 }),
});

/** Readings as they come; whether a limit takes them is for the one who plays them to find out. */
export const anyArrivals = fc.array(step, { minLength: 1, maxLength: 40 }).map((steps): Arrival[] => {
  let nowMs = FIRST_DAY_MS;
  return steps.map(({ afterMs, readings }) => {
    nowMs += afterMs;
    return { nowMs, readings: readings.map((drawn) => toReading(drawn, nowMs)) };
  });
});

type Drawn = typeof reading extends fc.Arbitrary<infer T> ? T : never;

function toReading(
  { by, isTotal, amount, id, lateMinutes, limit, window, resetsInMinutes }: Drawn,
  nowMs: number,
): RawReading {
  const common: RawReading = { at: nowMs - lateMinutes * MINUTE_MS };
  if (id !== undefined) common.id = `r${id}`;
  if (isTotal) return { ...common, total: amount, resource: by === 'b' ? 'memory' : 'cpu' };
  const figure: RawReading = { ...common, used: amount };
  if (window !== undefined) figure.window = window;
  if (resetsInMinutes !== undefined) figure.resetsAt = nowMs + resetsInMinutes * MINUTE_MS;
  if (by === 'own') return { ...figure, limit: limit ?? 100, unit: 'parsecs' };
  if (limit !== undefined) figure.limit = limit;
  return { ...figure, limitName: by };
}

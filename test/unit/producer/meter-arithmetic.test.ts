/** The meter's sums: never negative, never twice, and nothing counted that may be of another window. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MeterMemory } from '../../../producer/ledger.ts';
import { addUp, type Counter, parseHostMeter } from '../../../producer/sources/meter-arithmetic.ts';
import { NOW_MS } from './support.ts';

const counter = (seconds: number, parts: Partial<Counter> = {}): Counter => ({
  host: 'web-1',
  target: 'user:alice',
  boot: 'b1',
  seconds,
  atMs: NOW_MS,
  absentAtMs: null,
  ...parts,
});
/** What is counted after looking at these, one after the other, ten seconds apart. */
const used = (...looks: Counter[][]) =>
  looks.reduce<MeterMemory | null>((memory, look, index) => {
    const atMs = NOW_MS + index * 10_000;
    const written = look.map((one) => ({ ...one, atMs }));
    return addUp(memory, written, atMs) ?? memory;
  }, null)?.totalSeconds;

describe('the meter adds up', () => {
  it.each([
    ['what came since the first look', [[counter(50)], [counter(53.5)]], 3.5],
    [
      'over all hosts',
      [
        [counter(50), counter(7, { host: 'web-2' })],
        [counter(51), counter(9, { host: 'web-2' })],
      ],
      3,
    ],
    ['after a restart of the host, what it counted since', [[counter(50)], [counter(2, { boot: 'b2' })]], 2],
    ['nothing of a figure that a restart left behind', [[counter(50)], [counter(50, { boot: 'b2' })]], 0],
    ['after a restart of the worker, what it counted since', [[counter(50)], [counter(4)]], 4],
    ['all of a counter that was not there a moment ago', [[counter(5, { absentAtMs: NOW_MS - 1000 })]], 5],
    ['nothing of a counter whose beginning is not known', [[counter(5000)]], 0],
    ['what came while the host was silent', [[counter(50)], [], [counter(60)]], 10],
  ])('%s', (_title, looks, expected) => {
    expect(used(...looks)).toBeCloseTo(expected);
  });

  it('counters that nobody wrote anew are no news', () => {
    const memory = addUp(null, [counter(5)], NOW_MS + 3_000);
    expect(addUp(memory, [counter(5)], NOW_MS + 33_000)).toBeNull();
    expect(addUp(null, [], NOW_MS)).toBeNull();
  });

  it('the sum is as old as the oldest counter in it, so that no ended window counts in the next; and never goes back', () => {
    const both = (atMs: number) => [counter(5, { atMs }), counter(5, { atMs: atMs - 4_000, host: 'web-2' })];
    const first = addUp(null, both(NOW_MS), NOW_MS + 1_000);
    expect(first?.atMs).toBe(NOW_MS - 4_000);
    const behind = addUp(first, [counter(1, { host: 'web-3', atMs: NOW_MS - 60_000 })], NOW_MS + 2_000);
    expect(behind?.atMs).toBe(NOW_MS - 4_000);
    expect(addUp(first, both(NOW_MS + 90_000), NOW_MS + 2_000)?.atMs).toBe(NOW_MS + 2_000);
  });

  it('never less than before, and never more than the counters grew', () => {
    const look = fc.array(
      fc.record({
        host: fc.constantFrom('a', 'b'),
        boot: fc.constantFrom('1', '2'),
        seconds: fc.integer({ min: 0, max: 1000 }),
      }),
      { maxLength: 2 },
    );
    fc.assert(
      fc.property(fc.array(look, { maxLength: 30 }), (looks) => {
        let memory: MeterMemory | null = null;
        let bound = 0;
        for (const [index, some] of looks.entries()) {
          const before: number = memory?.totalSeconds ?? 0;
          memory =
            addUp(
              memory,
              some.map((parts) => counter(parts.seconds, { ...parts, atMs: NOW_MS + index })),
              NOW_MS + index,
            ) ?? memory;
          bound += some.reduce((sum, { seconds }) => sum + seconds, 0);
          expect(memory?.totalSeconds ?? 0).toBeGreaterThanOrEqual(before);
          expect(memory?.totalSeconds ?? 0).toBeLessThanOrEqual(bound);
        }
      }),
    );
  });
});

describe("a host's meter", () => {
  it('is read field by field; what cannot be read is said so, not taken as zero (invariant 9)', () => {
    const hash = { boot: 'b1', at: '17', 'user:alice': '12.5', 'uid:1001': '3', 'user:bob': 'NaN', other: '1' };
    expect(parseHostMeter('web-1', hash)).toEqual({
      host: 'web-1',
      boot: 'b1',
      atMs: 17,
      secondsByTarget: new Map([
        ['user:alice', 12.5],
        ['uid:1001', 3],
      ]),
      unreadable: ['user:bob'],
    });
  });

  it.each([[{}], [{ boot: 'b1' }], [{ at: '5' }], [{ boot: 'b1', at: 'soon' }]])('%j is none', (hash) => {
    expect(parseHostMeter('web-1', hash as Record<string, string>)).toBeNull();
  });

  it.each(['-1', '1e9', 'Infinity', '0x10', ' 5', '5 ', '9'.repeat(16), ''])(
    'a figure of %j cannot be read',
    (text) => {
      expect(parseHostMeter('h', { boot: 'b', at: '1', 'user:a': text })?.unreadable).toEqual(['user:a']);
    },
  );
});

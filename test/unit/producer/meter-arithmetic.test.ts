/** The meter's sums: never negative, never twice, and nothing counted that may be of another window. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MeterMemory } from '../../../producer/ledger.ts';
import { addUp, type Counter, parseHostMeter } from '../../../producer/sources/meter-arithmetic.ts';
import { resetsSchema, windowAt } from '../../../producer/window.ts';
import { NOW_MS } from './support.ts';

const resets = resetsSchema.parse({ daily: '00:00' });
const today = windowAt(resets, NOW_MS);
const tomorrow = windowAt(resets, today.resetsAtMs);
const counter = (seconds: number, parts: Partial<Counter> = {}): Counter => ({
  host: 'web-1',
  target: 'user:alice',
  boot: 'b1',
  seconds,
  atMs: NOW_MS,
  absentAtMs: null,
  ...parts,
});
/** What is used after looking at these, one after the other. */
const used = (...looks: Counter[][]) =>
  looks.reduce<MeterMemory | null>((memory, look) => addUp(memory, look, today) ?? memory, null)?.usedSeconds;

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

  it('a new window starts at nothing, whatever came while nobody looked', () => {
    const memory = addUp(addUp(null, [counter(0)], today), [counter(100)], today);
    const next = addUp(memory, [counter(9_000, { atMs: tomorrow.startsAtMs + 1 })], tomorrow);
    expect(next).toMatchObject({ window: tomorrow.id, usedSeconds: 0 });
    expect(addUp(next, [counter(9_001, { atMs: tomorrow.startsAtMs + 2 })], tomorrow)?.usedSeconds).toBe(1);
  });

  it('a host that wrote nothing in this window does not count in it', () => {
    expect(addUp(null, [counter(5, { atMs: today.startsAtMs - 1 })], today)).toBeNull();
  });

  it('never less than before in one window, and never more than the counters grew', () => {
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
        for (const some of looks) {
          const before: number = memory?.usedSeconds ?? 0;
          memory =
            addUp(
              memory,
              some.map((parts) => counter(parts.seconds, parts)),
              today,
            ) ?? memory;
          bound += some.reduce((sum, { seconds }) => sum + seconds, 0);
          expect(memory?.usedSeconds ?? 0).toBeGreaterThanOrEqual(before);
          expect(memory?.usedSeconds ?? 0).toBeLessThanOrEqual(bound);
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

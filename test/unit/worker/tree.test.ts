/** Who descends from whom, for trees of any shape, cycles and chains deeper than the JavaScript stack included. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ProcessEntry } from '../../../worker/process/table.ts';
import { addDescendants, ancestors, parentsFirst } from '../../../worker/process/tree.ts';

interface Kin {
  pid: number;
  ppid: number;
}

/** Any relation at all: a table that is read in slices can show cycles and parents that are gone. */
const anyKin = fc.uniqueArray(
  fc.record({ pid: fc.integer({ min: 1, max: 60 }), ppid: fc.integer({ min: 0, max: 70 }) }),
  { selector: ({ pid }) => pid, maxLength: 60 },
);
/** A forest: each parent has a lower pid. Shuffled. */
const anyForest = fc
  .array(fc.nat(), { maxLength: 60 })
  .map((seeds) => seeds.map((seed, index): Kin => ({ pid: index + 2, ppid: 1 + (seed % (index + 1)) })))
  .chain((kin) => fc.shuffledSubarray(kin, { minLength: kin.length, maxLength: kin.length }));

const DEEP = 50_000;
const deepChain = (): Kin[] =>
  Array.from({ length: DEEP }, (_, index) => ({ pid: DEEP + 1 - index, ppid: DEEP - index }));

const entry = ({ pid, ppid }: Kin, parts: Partial<ProcessEntry> = {}): ProcessEntry => ({
  pid,
  ppid,
  startTicks: pid,
  isKernelThread: false,
  comm: 'p',
  pgrp: pid,
  session: pid,
  tty: 0,
  realUid: 1_000,
  effectiveUid: 1_000,
  gids: [],
  ownTicks: 0,
  reapedTicks: 0,
  state: 'S',
  isAlive: true,
  pass: 1,
  inode: undefined,
  ...parts,
});
const tableOf = (entries: readonly ProcessEntry[]) => {
  const children = Map.groupBy(entries, ({ ppid }) => ppid);
  return { childrenOf: (pid: number) => children.get(pid) ?? [] };
};

describe('parentsFirst', () => {
  it('keeps everybody, once, and puts every parent before its children', () => {
    fc.assert(
      fc.property(anyForest, (kin) => {
        const sorted = parentsFirst(kin);
        expect(sorted.map(({ pid }) => pid).toSorted()).toEqual(kin.map(({ pid }) => pid).toSorted());
        const place = new Map(sorted.map(({ pid }, index) => [pid, index]));
        for (const { pid, ppid } of kin) if (place.has(ppid)) expect(place.get(ppid)!).toBeLessThan(place.get(pid)!);
      }),
    );
  });

  it('goes level by level', () => {
    const kin = [5, 4, 3, 2].map((pid) => ({ pid, ppid: pid === 2 ? 1 : pid === 5 ? 3 : 2 }));
    expect(parentsFirst(kin).map(({ pid }) => pid)).toEqual([2, 3, 4, 5]);
  });

  it('ends on cycles and keeps everybody', () => {
    fc.assert(
      fc.property(anyKin, (kin) => {
        expect(parentsFirst(kin)).toHaveLength(kin.length);
      }),
    );
  });

  it('takes a chain of 50,000', () => {
    const sorted = parentsFirst(deepChain());
    expect(sorted[0]!.pid).toBe(2);
    expect(sorted.at(-1)!.pid).toBe(DEEP + 1);
  });
});

describe('ancestors', () => {
  it('ends on any relation, holds the process itself, and nobody twice', () => {
    fc.assert(
      fc.property(anyKin, fc.integer({ min: 1, max: 60 }), (kin, pid) => {
        const parents = new Map(kin.map((one) => [one.pid, one.ppid]));
        const line = ancestors(pid, (one) => parents.get(one));
        expect(line[0]).toBe(pid);
        expect(new Set(line).size).toBe(line.length);
      }),
    );
  });

  it('takes a line of 50,000', () => {
    expect(ancestors(DEEP, (pid) => (pid > 1 ? pid - 1 : undefined))).toHaveLength(DEEP);
  });
});

describe('addDescendants', () => {
  it('adds exactly those who descend from a living member, and drops nobody', () => {
    fc.assert(
      fc.property(anyForest, fc.nat(), (kin, seed) => {
        const entries = kin.map((one) => entry(one));
        const root = entries[seed % Math.max(1, entries.length)];
        const members = new Set(root ? [root] : []);
        addDescendants(members, tableOf(entries));
        const parents = new Map(kin.map(({ pid, ppid }) => [pid, ppid]));
        for (const one of entries)
          expect(members.has(one)).toBe(
            root !== undefined && ancestors(one.pid, (pid) => parents.get(pid)).includes(root.pid),
          );
      }),
    );
  });

  it('keeps one that was handed to init', () => {
    const orphan = entry({ pid: 9, ppid: 1 });
    const members = new Set([entry({ pid: 5, ppid: 1 }, { isAlive: false }), orphan]);
    addDescendants(members, tableOf([orphan, entry({ pid: 10, ppid: 9 })]));
    expect([...members].map(({ pid }) => pid)).toEqual([5, 9, 10]);
  });

  it('takes nobody in for a parent that has ended and whose pid another has', () => {
    const dead = entry({ pid: 5, ppid: 1 }, { isAlive: false });
    const members = new Set([dead]);
    const stranger = entry({ pid: 5, ppid: 1 }, { startTicks: 99 });
    addDescendants(members, tableOf([stranger, entry({ pid: 6, ppid: 5 })]));
    expect([...members]).toEqual([dead]);
  });

  it('ends on cycles and on a chain of 50,000', () => {
    const cycle = [entry({ pid: 2, ppid: 3 }), entry({ pid: 3, ppid: 2 }), entry({ pid: 4, ppid: 4 })];
    const members = new Set([cycle[0]!]);
    addDescendants(members, tableOf(cycle));
    expect(members.size).toBe(2);
    const chain = deepChain().map((kin) => entry(kin));
    const all = new Set([chain.at(-1)!]);
    addDescendants(all, tableOf(chain));
    expect(all.size).toBe(DEEP);
  });
});

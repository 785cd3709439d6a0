/** What the bench reads of others: phases out of gaps and out of looks, memory, mounts, and a floor's last words. */
import { describe, expect, it } from 'vitest';
import { parseHierarchies } from '../../../bench/cgroups.ts';
import { parseRollup } from '../../../bench/memory.ts';
import { orderSeries } from '../../../bench/orders.ts';
import { parseFloorLateness } from '../../../bench/peers.ts';
import { deviations, parseObserved, phasesOf } from '../../../bench/phases.ts';
import { parseOrder } from '../../../shared/order.ts';

describe('phases out of what a target saw of its own running', () => {
  const window = { fromMs: 0, toMs: 1_000 };
  const gap = (fromMs: number, lengthMs: number) => ({ fromMs, toMs: fromMs + lengthMs });

  it('are its long gaps, and what lies between them', () => {
    const phases = phasesOf([gap(10, 200), gap(220, 199), gap(431, 201)], 200, window);
    expect(phases).toEqual({ stopMs: [200, 199, 201], runMs: [10, 12] });
  });

  it('hold short gaps, which were waits for a core', () => {
    const phases = phasesOf([gap(10, 200), gap(214, 4), gap(224, 200)], 200, window);
    expect(phases).toEqual({ stopMs: [200, 200], runMs: [14] });
  });

  it('count only when they lie within the window from end to end', () => {
    const phases = phasesOf([gap(-5, 200), gap(300, 200), gap(900, 200)], 200, window);
    expect(phases).toEqual({ stopMs: [200], runMs: [] });
  });

  it('deviate either way', () => {
    expect(deviations({ runMs: [9, 12], stopMs: [195] }, { runMs: 10, stopMs: 200 })).toEqual([1, 2, 5]);
  });
});

it('phases seen from outside are read with the share of looks that found the target running', () => {
  const lines = ['77 share 5 100', '77 run 9800', '77 stop 200400', '78 share 0 100'];
  expect(parseObserved(lines)).toEqual({ runMs: [9.8], stopMs: [200.4], runShares: [0.05, 0] });
});

it('the lateness of a floor is its last line, in microseconds, and unknown when it said nothing', () => {
  expect(parseFloorLateness(['73 2410'])).toEqual({ p50Ms: 0.073, p99Ms: 2.41 });
  expect(parseFloorLateness([])).toBeUndefined();
});

it('memory is that of smaps_rollup, in millions of bytes', () => {
  const text =
    '55c693bb0000-7ffc90f5e000 ---p 00000000 00:00 0  [rollup]\nRss:  1000 kB\nPss:  250 kB\nPss_Dirty:  9 kB\n';
  expect(parseRollup(text)).toEqual({ rssMB: 1.024, pssMB: 0.256 });
  expect(parseRollup('')).toEqual({ rssMB: 0, pssMB: 0 });
});

it('cgroup hierarchies are those of the mount table, of either version', () => {
  const mounts = [
    'proc /proc proc rw 0 0',
    'cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0',
    'cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0',
    '',
  ].join('\n');
  expect(parseHierarchies(mounts)).toMatchObject([
    { version: 1, mount: '/sys/fs/cgroup/cpu,cpuacct', controllers: ['rw', 'relatime', 'cpu', 'cpuacct'] },
    { version: 2, mount: '/sys/fs/cgroup/unified', controllers: [] },
  ]);
});

it('a series of orders tarpits each target and takes it out again, each with a version of its own', () => {
  const orders = orderSeries('h', ['pid:10@1', 'pid:11@1'], 8, 1_000);
  expect(orders.map(({ action, target }) => `${action} ${target}`).slice(0, 5)).toEqual([
    'tarpit pid:10@1',
    'tarpit pid:11@1',
    'untarpit pid:10@1',
    'untarpit pid:11@1',
    'tarpit pid:10@1',
  ]);
  expect(orders.at(-1)?.action).toBe('untarpit');
  expect(new Set(orders.map(({ version }) => version)).size).toBe(8);
  for (const order of orders) expect(parseOrder(order)).toEqual(order);
});

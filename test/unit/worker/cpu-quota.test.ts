/** The arithmetic and the files of CPU quotas, v1 and v2, on plain files: what is written, and what is put back. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bandwidthOf, CpuQuota, cpusOf } from '../../../worker/cgroups/cpu-quota.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hobbler-quota-'));
});
afterEach(() => rmSync(dir, { recursive: true }));
const write = (name: string, text: string) => writeFileSync(join(dir, name), text);
const read = (name: string) => readFileSync(join(dir, name), 'latin1').trim();

describe('the bandwidth of a share', () => {
  it.each([
    [0.5, 100_000, { quotaUs: 50_000, periodUs: 100_000 }],
    [2, 100_000, { quotaUs: 200_000, periodUs: 100_000 }],
    [0.01, 100_000, { quotaUs: 1_000, periodUs: 100_000 }],
    [0.005, 100_000, { quotaUs: 1_000, periodUs: 200_000 }],
    [0.001, 100_000, { quotaUs: 1_000, periodUs: 1_000_000 }],
    [0.0005, 100_000, undefined],
  ])('%f cores over a period of %d µs', (cpus, periodUs, expected) => {
    expect(bandwidthOf(cpus, periodUs)).toEqual(expected);
  });

  it('is within the kernel’s bounds and never more than asked', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-4, max: 256, noNaN: true }),
        fc.integer({ min: 1_000, max: 1_000_000 }),
        (cpus, periodUs) => {
          const found = bandwidthOf(cpus, periodUs);
          expect(found === undefined).toBe(cpus < 0.001);
          if (!found) return;
          expect(found.quotaUs!).toBeGreaterThanOrEqual(1_000);
          expect(found.periodUs).toBeLessThanOrEqual(1_000_000);
          expect(found.periodUs).toBeGreaterThanOrEqual(periodUs);
          expect(cpusOf(found)).toBeLessThanOrEqual(cpus * 1.000001);
          expect(cpusOf(found)).toBeGreaterThan(cpus * 0.998);
        },
      ),
    );
  });
});

describe('v2, cpu.max', () => {
  it.each([
    ['max 100000', { quotaUs: null, periodUs: 100_000 }],
    ['20000 50000', { quotaUs: 20_000, periodUs: 50_000 }],
    ['', undefined],
    ['max', undefined],
    ['x y', undefined],
  ])('%j is read', (text, expected) => {
    write('cpu.max', `${text}\n`);
    expect(new CpuQuota(dir, 2).read()).toEqual(expected);
  });

  it('is set in one write, and put back where ours still stands', () => {
    write('cpu.max', 'max 100000\n');
    const quota = new CpuQuota(dir, 2);
    const changes = quota.changes(quota.read()!, { quotaUs: 9_523, periodUs: 100_000 });
    expect(changes).toEqual([{ path: join(dir, 'cpu.max'), old: 'max 100000', ours: '9523 100000' }]);
    expect(quota.apply(changes)).toBeUndefined();
    expect(read('cpu.max')).toBe('9523 100000');
    expect(quota.stands(changes)).toBe(true);
    quota.restore(changes);
    expect(read('cpu.max')).toBe('max 100000');
    quota.apply(changes);
    write('cpu.max', '50000 100000\n');
    expect(quota.stands(changes)).toBe(false);
    quota.restore(changes);
    expect(read('cpu.max')).toBe('50000 100000');
  });

  it('where the parent hands out no cpu controller there is no file, and none is made', () => {
    const quota = new CpuQuota(dir, 2);
    expect(quota.read()).toBeUndefined();
    const change = { path: join(dir, 'cpu.max'), old: 'max 100000', ours: '1000 100000' };
    expect(quota.apply([change])).toMatch(/cpu\.max does not take 1000 100000 \(ENOENT\)/);
    quota.restore([change]);
    expect(() => read('cpu.max')).toThrow();
  });
});

describe('v1, cpu.cfs_quota_us and cpu.cfs_period_us', () => {
  beforeEach(() => {
    write('cpu.cfs_quota_us', '-1\n');
    write('cpu.cfs_period_us', '100000\n');
  });

  it('the period is left alone where it need not change', () => {
    const quota = new CpuQuota(dir, 1);
    expect(quota.read()).toEqual({ quotaUs: null, periodUs: 100_000 });
    expect(quota.changes(quota.read()!, { quotaUs: 20_000, periodUs: 100_000 })).toEqual([
      { path: join(dir, 'cpu.cfs_quota_us'), old: '-1', ours: '20000' },
    ]);
  });

  it('a longer period is written first, and each file is put back by itself', () => {
    const quota = new CpuQuota(dir, 1);
    const changes = quota.changes(quota.read()!, { quotaUs: 1_000, periodUs: 500_000 });
    expect(changes.map(({ ours }) => ours)).toEqual(['500000', '1000']);
    quota.apply(changes);
    expect([read('cpu.cfs_quota_us'), read('cpu.cfs_period_us')]).toEqual(['1000', '500000']);
    write('cpu.cfs_quota_us', '7000\n');
    quota.restore(changes);
    expect([read('cpu.cfs_quota_us'), read('cpu.cfs_period_us')]).toEqual(['7000', '100000']);
  });

  it('what was written before one that is refused is put back', () => {
    const quota = new CpuQuota(dir, 1);
    const changes = quota.changes(quota.read()!, { quotaUs: 1_000, periodUs: 500_000 });
    rmSync(join(dir, 'cpu.cfs_quota_us'));
    expect(quota.apply(changes)).toContain('cpu.cfs_quota_us does not take 1000');
    expect(read('cpu.cfs_period_us')).toBe('100000');
  });
});

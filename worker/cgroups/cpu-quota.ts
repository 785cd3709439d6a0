/**
 * The CPU quota of a cgroup: `cpu.max` (v2), or `cpu.cfs_quota_us` with `cpu.cfs_period_us` (v1). With
 * freezer-switch.ts and own-cgroup.ts the one door to cgroup writes. It reads, writes and puts back; when, and what
 * stands in the journal before, is the caller's affair.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** So much CPU time per period, in microseconds. */
export interface Bandwidth {
  /** Null: no limit. */
  quotaUs: number | null;
  periodUs: number;
}

/** One file that is changed, with its text before and after; what the journal keeps. */
export interface QuotaChange {
  path: string;
  old: string;
  ours: string;
}

/** The kernel's bounds, kernel/sched/core.c: no quota below 1 ms, no period above 1 s. */
const LEAST_QUOTA_US = 1_000;
const LONGEST_PERIOD_US = 1_000_000;

/**
 * The bandwidth that is `cpus` cores' worth of CPU (may be less than one) over the period that is there, or over a
 * longer one where the quota would be below what the kernel takes. Undefined: less than 1 ms a second cannot be set.
 */
export function bandwidthOf(cpus: number, periodUs: number): Bandwidth | undefined {
  const longEnoughUs = Math.max(periodUs, Math.min(LONGEST_PERIOD_US, Math.ceil(LEAST_QUOTA_US / cpus)));
  const quotaUs = Math.floor(cpus * longEnoughUs);
  return quotaUs >= LEAST_QUOTA_US ? { quotaUs, periodUs: longEnoughUs } : undefined;
}

/** Cores' worth of CPU that a bandwidth leaves. */
export function cpusOf({ quotaUs, periodUs }: Bandwidth): number {
  return quotaUs === null ? Number.POSITIVE_INFINITY : quotaUs / periodUs;
}

export class CpuQuota {
  readonly directory: string;
  readonly #version: 1 | 2;

  constructor(directory: string, version: 1 | 2) {
    this.directory = directory;
    this.#version = version;
  }

  /** What is set now; undefined where the cgroup has no quota file (or is gone). */
  read(): Bandwidth | undefined {
    const texts = this.#names.map((name) => this.#text(name));
    if (texts.includes(undefined)) return undefined;
    const [quota, period] = this.#version === 2 ? texts[0]!.split(' ') : texts.toReversed();
    const periodUs = Number(period);
    if (!(periodUs > 0)) return undefined;
    const quotaUs = quota === 'max' || quota === '-1' ? null : Number(quota);
    return quotaUs === null || quotaUs > 0 ? { quotaUs, periodUs } : undefined;
  }

  /** What would be written, file by file, to have `ours` where `old` is. The period goes first: that only lowers. */
  changes(old: Bandwidth, ours: Bandwidth): QuotaChange[] {
    const [before, after] = [this.#texts(old), this.#texts(ours)];
    return this.#names
      .map((name, index) => ({ path: join(this.directory, name), old: before[index]!, ours: after[index]! }))
      .filter((change) => change.old !== change.ours);
  }

  /** Writes them. The reason when the kernel refuses; what was written before that is put back. */
  apply(changes: readonly QuotaChange[]): string | undefined {
    const written: QuotaChange[] = [];
    for (const change of changes) {
      try {
        overwrite(change.path, change.ours);
        written.push(change);
      } catch (error) {
        this.restore(written);
        return `${change.path} does not take ${change.ours} (${(error as NodeJS.ErrnoException).code})`;
      }
    }
    return undefined;
  }

  /** Puts the old text back, but only where ours still stands: what somebody else has set since is left alone. */
  restore(changes: readonly QuotaChange[]): void {
    for (const { path, old, ours } of changes.toReversed()) {
      try {
        if (readFileSync(path, 'latin1').trim() === ours) overwrite(path, old);
      } catch {
        // The cgroup was removed, and its quota with it.
      }
    }
  }

  /** True while all of these stand as we set them. */
  stands(changes: readonly QuotaChange[]): boolean {
    return changes.every(({ path, ours }) => {
      try {
        return readFileSync(path, 'latin1').trim() === ours;
      } catch {
        return false;
      }
    });
  }

  get #names(): readonly string[] {
    return this.#version === 2 ? ['cpu.max'] : ['cpu.cfs_period_us', 'cpu.cfs_quota_us'];
  }

  #texts({ quotaUs, periodUs }: Bandwidth): string[] {
    return this.#version === 2 ? [`${quotaUs ?? 'max'} ${periodUs}`] : [`${periodUs}`, `${quotaUs ?? -1}`];
  }

  #text(name: string): string | undefined {
    try {
      return readFileSync(join(this.directory, name), 'latin1').trim();
    } catch {
      return undefined;
    }
  }
}

/** Never creates a file. */
function overwrite(path: string, text: string): void {
  const descriptor = openSync(path, constants.O_WRONLY | constants.O_TRUNC);
  try {
    writeSync(descriptor, text);
  } finally {
    closeSync(descriptor);
  }
}

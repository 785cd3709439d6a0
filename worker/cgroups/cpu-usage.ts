/**
 * What a cgroup has used of the CPU, by the kernel's own account: everybody who ever ran in it or below it, however short
 * his life. cgroup v2 counts in every cgroup, whether it hands out the cpu controller or not (`cpu.stat`); v1 counts where
 * the hierarchy has the controller cpuacct (`cpuacct.usage`). Reads only.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { KeptDescriptors } from './freezer-switch.ts';
import type { Hierarchy } from './hierarchies.ts';

const FILES = { 1: 'cpuacct.usage', 2: 'cpu.stat' } as const;
const LONGEST_NUMBERS = 4_096;
const buffer = Buffer.allocUnsafe(LONGEST_NUMBERS);

/** Whether the cgroups of a hierarchy count what they use. */
export function counts({ version, controllers }: Hierarchy): boolean {
  return version === 2 || controllers.includes('cpuacct');
}

/** What a cgroup has used since it was made, microseconds. Throws where that cannot be read. */
export function readUsageUs(directory: string, version: 1 | 2): number {
  const usedUs = parseUsageUs(readFileSync(join(directory, FILES[version]), 'latin1'), version);
  if (usedUs === undefined) throw new Error(`${FILES[version]} without a number`);
  return usedUs;
}

/** The number in such a file, microseconds; undefined where there is none. */
export function parseUsageUs(text: string, version: 1 | 2): number | undefined {
  const digits = (version === 2 ? /^usage_usec (\d+)$/m : /^(\d+)\n?$/).exec(text)?.[1];
  if (digits === undefined) return undefined;
  // v1 in nanoseconds: more than 2^53 of them are 104 days of CPU, and what is lost then is below a microsecond.
  return version === 2 ? Number(digits) : Number(digits) / 1_000;
}

/** One cgroup's counter over a descriptor that stays open: it belongs to that very cgroup, also when its path is given anew. */
export class CpuUsage {
  readonly #version: 1 | 2;
  readonly #descriptors: KeptDescriptors;
  readonly #descriptor: number;
  #lastUs = 0;

  private constructor(descriptor: number, version: 1 | 2, descriptors: KeptDescriptors) {
    this.#descriptor = descriptor;
    this.#version = version;
    this.#descriptors = descriptors;
    descriptors.kept++;
  }

  /** Counts from now on. Undefined: there is no such counter, or no descriptor for it. */
  static open(directory: string, hierarchy: Hierarchy, descriptors: KeptDescriptors): CpuUsage | undefined {
    if (!counts(hierarchy) || !descriptors.mayKeep) return undefined;
    let descriptor: number;
    try {
      descriptor = openSync(join(directory, FILES[hierarchy.version]), 'r');
    } catch {
      return undefined;
    }
    const usage = new CpuUsage(descriptor, hierarchy.version, descriptors);
    if (usage.takeUs() !== undefined) return usage;
    usage.close();
    return undefined;
  }

  /** Used since the last call, microseconds. Undefined: the cgroup is gone. */
  takeUs(): number | undefined {
    let nowUs: number | undefined;
    try {
      const length = readSync(this.#descriptor, buffer, 0, LONGEST_NUMBERS, 0);
      nowUs = parseUsageUs(buffer.toString('latin1', 0, length), this.#version);
    } catch {
      // gone
    }
    if (nowUs === undefined) return undefined;
    const usedUs = Math.max(0, nowUs - this.#lastUs); // v1's may be set back to zero by root
    this.#lastUs = nowUs;
    return usedUs;
  }

  close(): void {
    closeSync(this.#descriptor);
    this.#descriptors.kept--;
  }
}

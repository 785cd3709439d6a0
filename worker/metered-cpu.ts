/**
 * Adds up the CPU of each user of a host from two counts that never overlap: the user's slice, by the kernel's account,
 * and /proc for everything that is in no slice (cron jobs, daemons, hosts without systemd). Pure. Whatever runs in a
 * slice counts for the slice's user, whatever its uid is: `sudo make` is the work of who has logged in.
 *
 * What /proc misses: who lives and dies between two looks with a parent that does not wait for him, or with one of
 * another user; and the last moments, since the last look, of who ends so.
 */
import type { SliceUse } from './cgroups/user-slices.ts';
import { CpuCounter, type CpuSample } from './engine/cpu-counter.ts';
import { TICKS_PER_SECOND } from './process/stat.ts';

/** A process, as the process table has it. */
export interface MeteredProcess extends CpuSample {
  realUid: number | null;
  isKernelThread: boolean;
}

/** Users that are metered at most; past it the newest are left out. */
const MAX_USERS = 10_000;

interface UserCount {
  outside: CpuCounter;
  sliceUs: number;
}

export class MeteredCpu {
  readonly #minUid: number;
  readonly #users = new Map<number, UserCount>();
  /** By id: what each slice had used when it was last seen. */
  #slices = new Map<string, number>();
  #isBegun = false;

  constructor(minUid: number) {
    this.#minUid = minUid;
  }

  /** Takes a look. Returns the CPU seconds of each user since the first one. */
  look(processes: Iterable<MeteredProcess>, slices: readonly SliceUse[]): Map<number, number> {
    const inSlices = this.#countSlices(slices);
    const outside = new Map<number, MeteredProcess[]>();
    for (const process of processes) {
      const { pid, realUid, isKernelThread } = process;
      if (realUid === null || realUid < this.#minUid || isKernelThread || inSlices.has(pid)) continue;
      const own = outside.get(realUid);
      if (own) own.push(process);
      else outside.set(realUid, [process]);
    }
    for (const uid of outside.keys()) this.#userOf(uid);
    for (const [uid, user] of this.#users) user.outside.look(outside.get(uid) ?? []);
    this.#isBegun = true;
    return new Map(
      [...this.#users].map(([uid, user]) => [uid, user.outside.totalTicks / TICKS_PER_SECOND + user.sliceUs / 1e6]),
    );
  }

  /** Returns the pids whose CPU is counted there. */
  #countSlices(slices: readonly SliceUse[]): Set<number> {
    const counted = new Set<number>();
    const before = this.#slices;
    this.#slices = new Map();
    for (const { uid, id, usedUs, pids } of slices) {
      if (uid < this.#minUid) continue;
      const user = this.#userOf(uid);
      if (!user) continue;
      this.#slices.set(id, usedUs);
      // Whose members cannot be seen is counted by /proc: never twice.
      if (pids === null) continue;
      for (const pid of pids) counted.add(pid);
      // One that was not there at the look before was made since.
      user.sliceUs += Math.max(0, usedUs - (before.get(id) ?? (this.#isBegun ? 0 : usedUs)));
    }
    return counted;
  }

  #userOf(uid: number): UserCount | undefined {
    const known = this.#users.get(uid);
    if (known || this.#users.size >= MAX_USERS) return known;
    const user = { outside: new CpuCounter(), sliceUs: 0 };
    this.#users.set(uid, user);
    return user;
  }
}

/**
 * What each user's slice has used of the CPU, by the kernel's own account: systemd keeps a cgroup `user-UID.slice` for who
 * is logged in. Reads only. The counter knows everything that ever ran in there, however short its life; a walk over
 * /proc does not. Which cgroups count is in cpu-usage.ts.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readUsageUs } from './cpu-usage.ts';
import { type Cgroups, walkProcesses } from './hierarchies.ts';

export interface SliceUse {
  uid: number;
  /** Tells this slice from a later one of the same user. */
  id: string;
  /** Since the slice was made, microseconds. */
  usedUs: number;
  /** Who is in there, of whatever uid; null: that cannot be seen whole. */
  pids: number[] | null;
}

/** A bound against a hostile tree: past it a slice counts as not to be seen. */
const MAX_PIDS = 100_000;

export class UserSlices {
  readonly #sources: { directory: string; version: 1 | 2 }[];

  /** `parent`: where the slices are, below the root of a hierarchy. */
  constructor(cgroups: Cgroups, parent = 'user.slice') {
    const { v2 } = cgroups;
    const cpuacct = cgroups.v1('cpuacct');
    this.#sources = [
      ...(v2 ? [{ directory: join(v2.mount, parent), version: 2 as const }] : []),
      ...(cpuacct ? [{ directory: join(cpuacct.mount, parent), version: 1 as const }] : []),
    ];
  }

  /** Every user's slice that is there now. Where both versions have it, v2 counts. */
  look(): SliceUse[] {
    const byUid = new Map<number, SliceUse>();
    for (const { directory, version } of this.#sources)
      for (const { name, uid } of slicesIn(directory)) {
        if (byUid.has(uid)) continue;
        const use = lookAt(join(directory, name), uid, version);
        if (use) byUid.set(uid, use);
      }
    return [...byUid.values()];
  }
}

function slicesIn(directory: string): { name: string; uid: number }[] {
  try {
    return readdirSync(directory).flatMap((name) => {
      const [, uid] = /^user-(\d{1,10})\.slice$/.exec(name) ?? [];
      return uid === undefined ? [] : { name, uid: Number(uid) };
    });
  } catch {
    return []; // a host without systemd, or without this hierarchy's slices
  }
}

/** Undefined when it is gone, or its counter cannot be read: unknown is not zero. */
function lookAt(directory: string, uid: number, version: 1 | 2): SliceUse | undefined {
  try {
    const { dev, ino } = statSync(directory, { bigint: true });
    const pids: number[] = [];
    // Who is in there before how much they used: whoever comes in between counts by the slice, and by /proc from now on.
    const walk = walkProcesses(directory, (pid) => pids.push(pid) < MAX_PIDS);
    const usedUs = readUsageUs(directory, version);
    return { uid, id: `${dev}:${ino}`, usedUs, pids: walk === 'whole' ? pids : null };
  } catch {
    return undefined;
  }
}

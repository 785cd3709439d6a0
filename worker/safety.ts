/**
 * Who is never stopped (invariant 5). Pure rules over one process and what this host's own configuration says; the
 * answer never depends on an order. A rule that cannot be evaluated counts as fulfilled: doubt means release.
 */
import type { ProcessEntry } from './process/table.ts';

export interface SafetyRules {
  /** The worker, its guard, and all their ancestors. Asked anew each time: guards come and go. */
  protectedPids: () => ReadonlySet<number>;
  /** The Redis that orders come from, where it is a process of this host: with it stopped, none would come any more. */
  redis: () => { pid: number; startTicks: number } | undefined;
  /** Uids below are exempt. */
  minUid: number;
  exemptUids: ReadonlySet<number>;
  exemptGids: ReadonlySet<number>;
  /** Cgroup paths that are exempt, with everything below. */
  exemptCgroups: readonly string[];
  /** `hobbler run` by an ordinary user: nobody else's processes. Null: any user's. */
  onlyUid: number | null;
}

export interface SafetyContext {
  parentOf(entry: ProcessEntry): ProcessEntry | undefined;
  /** The paths of the process's cgroups; asked only where some are exempt. */
  cgroupsOf(entry: ProcessEntry): Iterable<string>;
}

/** Why this process must not be stopped; undefined when it may be. */
export function whyExempt(entry: ProcessEntry, rules: SafetyRules, context: SafetyContext): string | undefined {
  if (entry.pid === 1) return 'pid 1 is never stopped';
  // kthreadd is pid 2 and the parent of all kernel threads; in a container pid 2 is an ordinary process.
  if (entry.isKernelThread) return 'a kernel thread';
  if (rules.protectedPids().has(entry.pid)) return 'hobbler itself, its guard, or an ancestor of theirs';
  const redis = rules.redis();
  if (redis?.pid === entry.pid && redis.startTicks === entry.startTicks) return 'the Redis that orders come from';
  const { realUid, effectiveUid } = entry;
  if (realUid === null || effectiveUid === null) return 'its owner cannot be read';
  if (Math.min(realUid, effectiveUid) < rules.minUid)
    return `uid ${Math.min(realUid, effectiveUid)} is below minUid ${rules.minUid}`;
  if (rules.exemptUids.has(realUid) || rules.exemptUids.has(effectiveUid)) return `user with uid ${realUid} is exempt`;
  if (rules.onlyUid !== null && (realUid !== rules.onlyUid || effectiveUid !== rules.onlyUid))
    return `it belongs to uid ${realUid}, not to you`;
  const gid = entry.gids.find((candidate) => rules.exemptGids.has(candidate));
  if (gid !== undefined) return `group ${gid} is exempt`;
  if (isSessionServer(entry, context.parentOf(entry))) return 'the sshd of a session';
  if (rules.exemptCgroups.length > 0) {
    const paths = [...context.cgroupsOf(entry)];
    if (paths.length === 0) return 'its cgroups cannot be read, and some are exempt';
    for (const path of paths) {
      const exempt = rules.exemptCgroups.find((root) => path === root || path.startsWith(`${root}/`));
      if (exempt !== undefined) return `cgroup ${exempt || '/'} is exempt`;
    }
  }
  return undefined;
}

const SESSION_SERVER = /^sshd(?:-session)?$/;

/**
 * The part of sshd that runs as the user and carries his terminal: stopping it would cut him off. His own choice of a
 * command name proves nothing, so its parent must be root's and be called sshd too: he cannot give himself such a one.
 */
function isSessionServer(entry: ProcessEntry, parent: ProcessEntry | undefined): boolean {
  return (
    SESSION_SERVER.test(entry.comm) &&
    parent?.realUid === 0 &&
    parent.effectiveUid === 0 &&
    SESSION_SERVER.test(parent.comm)
  );
}

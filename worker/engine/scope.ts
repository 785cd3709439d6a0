/**
 * What a target stands for on this host: a user's processes, a tree, or a cgroup. Finds out, and refuses what is known
 * to be refused as a whole; which processes those are at a moment is membership's affair.
 */
import type { Target } from '../../shared/target.ts';
import type { Cgroups } from '../cgroups/hierarchies.ts';
import type { ProcessEntry, ProcessTable } from '../process/table.ts';
import type { SafetyRules } from '../safety.ts';

export type Scope =
  | { kind: 'uid'; uid: number }
  | { kind: 'tree'; root: ProcessEntry }
  | { kind: 'cgroup'; path: string };

export interface ScopeParts {
  table: ProcessTable;
  cgroups: Cgroups;
  rules: Pick<SafetyRules, 'minUid' | 'exemptUids'>;
}

/** The scope of a target, or why there is none. `uid` is that of a user target, undefined where there is no such user. */
export function findScope(
  target: Target,
  uid: number | undefined,
  { table, cgroups, rules }: ScopeParts,
): Scope | { status: 'gone' | 'denied'; why: string } {
  switch (target.kind) {
    case 'pid': {
      const root = table.find(target.pid, target.startTicks);
      return root
        ? { kind: 'tree', root }
        : { status: 'gone', why: `no process ${target.pid} that started at ${target.startTicks}` };
    }
    case 'uid':
      return uidScope(target.uid, rules);
    case 'user':
      return uid === undefined ? { status: 'gone', why: `no user ${target.name} on this host` } : uidScope(uid, rules);
    case 'cgroup':
      return cgroups.directoriesOf(target.path).length > 0
        ? { kind: 'cgroup', path: target.path }
        : { status: 'gone', why: `no cgroup ${target.path} on this host` };
  }
}

/** A whole user is refused as such, so that who asks learns it at once and not process by process. */
function uidScope(uid: number, { minUid, exemptUids }: ScopeParts['rules']): Scope | { status: 'denied'; why: string } {
  if (uid < minUid) return { status: 'denied', why: `uid ${uid} is below minUid ${minUid}` };
  if (exemptUids.has(uid)) return { status: 'denied', why: `user with uid ${uid} is exempt` };
  return { kind: 'uid', uid };
}

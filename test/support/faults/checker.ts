/**
 * The one checker, for real parts and for the simulated world: what a host does, held against what the model says must
 * be so. Pure. Gives every difference in words; an empty list is a world in which nothing is wrong.
 *
 * It works membership and ownership out anew, from the targets' meaning (design: a user's processes; a process with
 * its tree; the lowest run share owns), and shares nothing with the engine's way of doing it.
 */
import { parseTarget } from '../../../shared/target.ts';
import { type GivenOrder, isTarpit, type Model, type ModelProcess } from './model.ts';

/** A target as the host reports it. */
export interface SeenLoop {
  target: string;
  version: number;
  runMs: number;
  stopMs: number;
  state: string;
  processes: number;
  ownedElsewhere: number;
}

export interface HostFacts {
  /** Accounts' uids; below them all nobody may be hobbled. */
  uids: readonly number[];
  /** The account that lives in a cgroup of its own, and its path. */
  cgroup: { account: number; path: string } | null;
}

/** Who a target stands for, of those alive. */
export function membersOf(target: string, processes: readonly ModelProcess[], facts: HostFacts): ModelProcess[] {
  const parsed = parseTarget(target);
  const alive = processes.filter(({ isAlive }) => isAlive);
  switch (parsed.kind) {
    case 'uid':
      return alive.filter(({ account }) => facts.uids[account] === parsed.uid);
    case 'cgroup':
      return alive.filter(({ account }) => facts.cgroup?.path === parsed.path && facts.cgroup.account === account);
    case 'pid': {
      const isRoot = (one: ModelProcess) => one.pid === parsed.pid && one.startTicks === parsed.startTicks;
      // A tree whose root has ended before anybody ordered it is gone; histories end trees as a whole.
      return alive.filter((one) => isRoot(one) || (one.parent !== null && isRoot(one.parent)));
    }
    case 'user':
      throw new Error('histories name users by uid');
  }
}

const shareOf = ({ runMs, stopMs }: { runMs: number; stopMs: number }) => runMs / (runMs + stopMs);

/** Which loop each process belongs to: of those it is in, that of the lowest run share, then by name (invariant 8). */
export function ownersOf(
  loops: readonly SeenLoop[],
  processes: readonly ModelProcess[],
  facts: HostFacts,
): Map<ModelProcess, SeenLoop> {
  const owners = new Map<ModelProcess, SeenLoop>();
  for (const loop of loops) {
    for (const member of membersOf(loop.target, processes, facts)) {
      const other = owners.get(member);
      const isLower =
        !other || shareOf(loop) < shareOf(other) || (shareOf(loop) === shareOf(other) && loop.target < other.target);
      if (isLower) owners.set(member, loop);
    }
  }
  return owners;
}

/** The settled state: what the host reports against the newest orders, loop by loop and process by process. */
export function endFaults(model: Model, loops: readonly SeenLoop[], facts: HostFacts, nowMs: number): string[] {
  const faults: string[] = [];
  const byTarget = new Map<string, SeenLoop[]>();
  for (const loop of loops) byTarget.set(loop.target, [...(byTarget.get(loop.target) ?? []), loop]);
  for (const [target, same] of byTarget) if (same.length > 1) faults.push(`${same.length} loops for ${target}`);
  for (const target of new Set([...model.targets, ...byTarget.keys()])) {
    const seen = byTarget.get(target)?.[0];
    const { must, may, mayBeStale } = model.standing(target);
    const allowed: (GivenOrder | undefined)[] = [must, ...may, ...(mayBeStale ? [undefined] : [])];
    if (!allowed.some((order) => isAsOrdered(seen, order, nowMs)))
      faults.push(
        `${target}: expected ${allowed.map((order) => wordsOf(order, nowMs)).join(' or ')}, seen ${seenWords(seen)}`,
      );
  }
  if (faults.length > 0) return faults;
  for (const { target, state } of loops)
    if ((state === 'gone' || state === 'denied') && membersOf(target, model.processes, facts).length > 0)
      faults.push(`${target}: ${state}, and its processes are there`);
  const carried = loops.filter(({ state }) => state !== 'denied' && state !== 'gone');
  const owners = ownersOf(carried, model.processes, facts);
  for (const loop of carried) {
    const members = membersOf(loop.target, model.processes, facts);
    const owned = members.filter((member) => owners.get(member) === loop).length;
    const elsewhere = members.length - owned;
    if (loop.processes !== owned || loop.ownedElsewhere !== elsewhere)
      faults.push(
        `${loop.target}: expected ${owned} processes and ${elsewhere} owned elsewhere, seen ${loop.processes} and ${loop.ownedElsewhere}`,
      );
    const expected = model.isHeld ? ['held'] : owned === 0 ? ['armed', 'gone'] : ['hobbling'];
    if (!expected.includes(loop.state))
      faults.push(`${loop.target}: expected ${expected.join(' or ')}, seen ${loop.state}`);
  }
  return faults;
}

function isAsOrdered(seen: SeenLoop | undefined, order: GivenOrder | undefined, nowMs: number): boolean {
  const isWanted = order !== undefined && isTarpit(order, nowMs);
  if (!seen) return !isWanted;
  return (
    isWanted && seen.version === order.version && seen.runMs === order.cycle.runMs && seen.stopMs === order.cycle.stopMs
  );
}

function wordsOf(order: GivenOrder | undefined, nowMs: number): string {
  if (!order || !isTarpit(order, nowMs)) return 'nothing';
  return `v${order.version} at ${order.cycle.runMs}/${order.cycle.stopMs}`;
}

function seenWords(seen: SeenLoop | undefined): string {
  return seen ? `v${seen.version} at ${seen.runMs}/${seen.stopMs} (${seen.state})` : 'nothing';
}

/**
 * Who must be seen stopped, and who must not, once all is settled. Left out is whom an order may still hold that nobody can
 * know of: a flushed Redis has forgotten the host's report, too.
 */
export function slowed(
  model: Model,
  loops: readonly SeenLoop[],
  facts: HostFacts,
): { must: ModelProcess[]; mustNot: ModelProcess[] } {
  const owners = ownersOf(
    loops.filter(({ state }) => state === 'hobbling'),
    model.processes,
    facts,
  );
  const maybe = [...model.targets].filter((target) =>
    model.standing(target).may.some(({ action }) => action === 'tarpit'),
  );
  const doubtful = new Set(maybe.flatMap((target) => membersOf(target, model.processes, facts)));
  const alive = model.alive();
  return {
    must: alive.filter((one) => owners.has(one)),
    mustNot: alive.filter((one) => !owners.has(one) && !doubtful.has(one)),
  };
}

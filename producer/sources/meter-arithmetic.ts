/**
 * What the meter adds up: from the counters that workers publish, a running total of the CPU seconds that an account
 * used, over all hosts. Pure. The windows are measured from it by the policy. Only what is known to have been used
 * since the last look counts: the first look at a counter sets where it starts. So a producer or a host that was away,
 * or a memory that was lost, never leads into the tarpit; and a host that restarts, or a worker that counts anew, never
 * counts negative.
 */
import type { MeterMemory } from '../ledger.ts';

/** One counter as a worker publishes it: cumulative CPU seconds of one target since that worker's count began. */
export interface Counter {
  host: string;
  /** `user:NAME` or `uid:N`. */
  target: string;
  /** Tells one count of that host from the next. */
  boot: string;
  seconds: number;
  /** When the worker wrote it, milliseconds of Redis's clock. */
  atMs: number;
  /** When we last looked at this host, under the same boot, and it had no such counter; null when we did not. */
  absentAtMs: number | null;
}

/** What is remembered after these counters; null when none of them is newer than what is known. */
export function addUp(memory: MeterMemory | null, counters: readonly Counter[], nowMs: number): MeterMemory | null {
  const seen = new Map(Object.entries(memory?.counters ?? {}));
  const fresh = counters.filter((counter) => counter.atMs > (seen.get(nameOf(counter))?.atMs ?? -1));
  if (fresh.length === 0) return null;
  let totalSeconds = memory?.totalSeconds ?? 0;
  for (const counter of fresh) {
    totalSeconds += increase(seen.get(nameOf(counter)), counter);
    const { boot, seconds, atMs } = counter;
    seen.set(nameOf(counter), { boot, seconds, atMs });
  }
  // As old as the oldest of them: none of what it counts was used later, so what an ended window saw of it does not
  // count in the next one.
  const atMs = Math.min(nowMs, ...fresh.map((counter) => counter.atMs));
  return {
    v: 2,
    totalSeconds,
    atMs: Math.max(atMs, Math.min(memory?.atMs ?? 0, nowMs)),
    // With hosts that are silent now, so that they go on from there when they are back.
    counters: Object.fromEntries(seen),
  };
}

function nameOf({ host, target }: Counter): string {
  return `${host} ${target}`;
}

function increase(seen: { boot: string; seconds: number } | undefined, counter: Counter): number {
  const { boot, seconds, absentAtMs } = counter;
  // It was not there a moment ago, so it began at zero since.
  if (!seen) return absentAtMs !== null ? seconds : 0;
  // It went backwards, so it began at zero since we last saw it.
  if (seconds < seen.seconds) return seconds;
  // After a restart that did not set it back, it may be what the count before had left behind.
  return seen.boot === boot ? seconds - seen.seconds : 0;
}

/** A worker's meter as it stands in Redis. */
export interface HostMeter {
  host: string;
  boot: string;
  /** Milliseconds of Redis's clock. */
  atMs: number;
  secondsByTarget: Map<string, number>;
  /** Fields that cannot be read. */
  unreadable: string[];
}

/** Parses the hash that a worker writes; null when it is none of a worker's. Never throws: it is another's writing. */
export function parseHostMeter(host: string, hash: Record<string, string>): HostMeter | null {
  const { boot, at, ...fields } = hash;
  const atMs = Number(at);
  if (!boot || !Number.isFinite(atMs)) return null;
  const meter: HostMeter = { host, boot, atMs, secondsByTarget: new Map(), unreadable: [] };
  for (const [target, text] of Object.entries(fields)) {
    if (!target.startsWith('user:') && !target.startsWith('uid:')) continue;
    if (/^\d{1,15}(?:\.\d+)?$/.test(text)) meter.secondsByTarget.set(target, Number(text));
    else meter.unreadable.push(target);
  }
  return meter;
}

/**
 * What the meter adds up: from the counters that workers publish, the CPU seconds that an account used in its window,
 * over all hosts. Pure. Only what is known to have been used in this window counts: the first look at a counter in a
 * window sets where it starts (what was used before, up to one look's worth, is the account's gain). So a producer or a
 * host that was away, or a memory that was lost, never leads into the tarpit; and a host that restarts, or a worker
 * that counts anew, never counts negative.
 */
import type { MeterMemory } from '../ledger.ts';
import type { Window } from '../window.ts';

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

/** What is remembered after these counters, in `window`; null when none of them is of that window. */
export function addUp(memory: MeterMemory | null, counters: readonly Counter[], window: Window): MeterMemory | null {
  const fresh = counters.filter(({ atMs }) => atMs >= window.startsAtMs);
  if (fresh.length === 0) return null;
  const isSameWindow = memory?.window === window.id;
  const next: MeterMemory = {
    window: window.id,
    usedSeconds: isSameWindow ? memory.usedSeconds : 0,
    // With hosts that are silent now, so that they go on from there when they are back in this window.
    counters: isSameWindow ? { ...memory.counters } : {},
  };
  for (const counter of fresh) {
    const name = `${counter.host} ${counter.target}`;
    const seen = Object.hasOwn(next.counters, name) ? next.counters[name] : undefined;
    next.usedSeconds += increase(seen, counter, window);
    next.counters[name] = { boot: counter.boot, seconds: counter.seconds };
  }
  return next;
}

function increase(seen: { boot: string; seconds: number } | undefined, counter: Counter, window: Window): number {
  const { boot, seconds, absentAtMs } = counter;
  // It was not there a moment ago, so it began at zero since.
  if (!seen) return absentAtMs !== null && absentAtMs >= window.startsAtMs ? seconds : 0;
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

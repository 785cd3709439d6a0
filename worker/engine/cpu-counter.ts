/**
 * Adds up the CPU of a changing set of processes, children that came and went between two looks included. Pure.
 *
 * A process's reaped ticks jump by the whole life of a child when that child has been waited for; what had been counted
 * of the child before is taken off again. Missed: the last ticks of a process whose parent is outside the set.
 */

export interface CpuSample {
  pid: number;
  ppid: number;
  startTicks: number;
  ownTicks: number;
  reapedTicks: number;
}

interface Known extends CpuSample {
  turn: number;
  /** The turn since which its whole life counts: who is born to it from then on counts from his birth. */
  since: number;
}

/** Generations that may end between two looks and still be followed to the one who reaped them. */
const MAX_STEPS = 64;

export class CpuCounter {
  readonly #known = new Map<number, Known>();
  #turn = 0;
  #lookedAtTicks = Number.POSITIVE_INFINITY;
  #totalTicks = 0;

  /** Ticks used by the set since it was first looked at. */
  get totalTicks(): number {
    return this.#totalTicks;
  }

  /**
   * Takes a look at the whole set; returns the ticks used since the look before. A newcomer counts from now on, unless it
   * was born since then: `nowTicks`, since boot, tells (a daemon that forked away twice has no parent in the set).
   */
  look(samples: readonly CpuSample[], nowTicks = Number.POSITIVE_INFINITY): number {
    return this.#lookAtOne(samples, nowTicks) ?? this.#lookAtAll(samples, nowTicks);
  }

  /** The common case, and the one that there are ten thousand of: one process, the same as before. It makes no garbage. */
  #lookAtOne(samples: readonly CpuSample[], nowTicks: number): number | undefined {
    if (samples.length !== 1 || this.#known.size !== 1) return undefined;
    const now = samples[0]!;
    const before = this.#known.get(now.pid);
    if (before?.startTicks !== now.startTicks) return undefined;
    const reaped = now.reapedTicks - before.reapedTicks;
    const used = Math.max(0, now.ownTicks - before.ownTicks) + Math.max(0, reaped);
    before.ppid = now.ppid;
    before.ownTicks = now.ownTicks;
    before.reapedTicks = now.reapedTicks;
    before.turn = ++this.#turn;
    this.#lookedAtTicks = nowTicks;
    this.#totalTicks += used;
    return used;
  }

  #lookAtAll(samples: readonly CpuSample[], nowTicks: number): number {
    const turn = ++this.#turn;
    const lookedAtTicks = this.#lookedAtTicks;
    this.#lookedAtTicks = nowTicks;
    let used = 0;
    const reapedBy = new Map<number, number>();
    for (const { pid, ppid, startTicks, ownTicks, reapedTicks } of samples) {
      const before = this.#known.get(pid);
      if (before?.startTicks === startTicks) {
        used += Math.max(0, ownTicks - before.ownTicks);
        if (reapedTicks > before.reapedTicks) reapedBy.set(pid, reapedTicks - before.reapedTicks);
        Object.assign(before, { ppid, ownTicks, reapedTicks, turn });
      } else {
        // Born since the last look: all its work was done since then. Who only comes in now may bring children along.
        const isBorn = turn > 1 && ((this.#known.get(ppid)?.since ?? turn) < turn || startTicks > lookedAtTicks);
        if (isBorn) used += ownTicks + reapedTicks;
        const since = isBorn ? turn - 1 : turn;
        this.#known.set(pid, { pid, ppid, startTicks, ownTicks, reapedTicks, turn, since });
      }
    }
    const departed = new Map<number, Known>();
    for (const known of this.#known.values()) if (known.turn !== turn) departed.set(known.pid, known);
    for (const { pid, ppid, ownTicks, reapedTicks } of departed.values()) {
      this.#known.delete(pid);
      // Its parent may have ended too, and have handed on what it had reaped.
      let reaper = ppid;
      for (let steps = 0; departed.has(reaper) && steps < MAX_STEPS; steps++) reaper = departed.get(reaper)!.ppid;
      const reaped = reapedBy.get(reaper);
      if (reaped !== undefined) reapedBy.set(reaper, reaped - ownTicks - reapedTicks);
    }
    for (const rest of reapedBy.values()) used += Math.max(0, rest);
    this.#totalTicks += used;
    return used;
  }
}

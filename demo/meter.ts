/**
 * The demo's accounting: CPU seconds of each tree from the kernel, ended children included, and from them the usage in
 * the current window. It stands where a site has its own accounting, so it knows nothing of orders or hobbling.
 */
import type { ProducerConfig } from '../producer/config.ts';
import { Rules } from '../producer/policy/rules.ts';
import { spanAt } from '../producer/policy/windows.ts';
import { HobblerError } from '../shared/errors.ts';
import { CpuCounter } from '../worker/engine/cpu-counter.ts';
import type { Identity } from '../worker/process/ending.ts';
import type { Proc } from '../worker/process/proc.ts';
import { TICKS_PER_SECOND } from '../worker/process/stat.ts';
import { type ProcessEntry, ProcessTable } from '../worker/process/table.ts';
import { addDescendants } from '../worker/process/tree.ts';

interface Metered {
  account: string;
  members: Set<ProcessEntry>;
  counter: CpuCounter;
  windowStartsAtMs: number;
  /** CPU seconds at the beginning of the window. */
  baseSeconds: number;
}

export interface Usage {
  account: string;
  /** CPU seconds since metering began, and in this window. */
  totalSeconds: number;
  used: number;
  limit: number;
  unit: string;
  resetsAtMs: number;
}

const SWEEP_EVERY_READS = 20;

export class TreeMeter {
  readonly #proc: Proc;
  readonly #rules: Rules;
  readonly #table: ProcessTable;
  readonly #metered: Metered[] = [];
  #reads = 0;

  constructor(proc: Proc, config: ProducerConfig) {
    this.#proc = proc;
    this.#rules = new Rules(config);
    this.#table = new ProcessTable(proc);
  }

  /** Counts this tree for the account from now on. */
  add(account: string, root: Identity): void {
    this.#table.sweep();
    const entry = this.#table.find(root.pid, root.startTicks);
    if (!entry) throw new HobblerError('not-found', 'no such process', { where: account, got: root.pid });
    this.#metered.push({
      account,
      members: new Set([entry]),
      counter: new CpuCounter(),
      windowStartsAtMs: -1,
      baseSeconds: 0,
    });
  }

  /** Every process that was seen in a tree and has not been seen to end. */
  get members(): Identity[] {
    return this.#metered.flatMap(({ members }) => [...members]);
  }

  /** Reads the kernel's counters once. */
  read(nowMs: number): Usage[] {
    // Births alone would keep every process that ever was; a pass over /proc now and then forgets the dead.
    if (++this.#reads % SWEEP_EVERY_READS === 0 || this.#table.births(nowMs) === undefined) this.#table.sweep();
    return this.#metered.map((metered) => this.#readOne(metered, nowMs));
  }

  #readOne(metered: Metered, nowMs: number): Usage {
    const { account, members, counter } = metered;
    addDescendants(members, this.#table);
    const samples = [];
    for (const member of members) {
      const stat = this.#proc.readStat(member.pid);
      // A zombie is read too: its time is not in its parent's counters before that has waited for it.
      if (stat?.startTicks === member.startTicks) samples.push(stat);
      else {
        members.delete(member);
        this.#table.forget(member);
      }
    }
    counter.look(samples);
    const totalSeconds = counter.totalTicks / TICKS_PER_SECOND;
    const [limit] = this.#rules.of(account).limits;
    if (!limit?.window || limit.window.kind === 'rolling')
      throw new HobblerError('invalid-config', 'no limit with a window that resets', {
        where: `the demo's config, ${account}`,
      });
    const { startsAtMs, resetsAtMs } = spanAt(limit.window, nowMs);
    if (startsAtMs !== metered.windowStartsAtMs) {
      metered.windowStartsAtMs = startsAtMs;
      metered.baseSeconds = totalSeconds;
    }
    const used = totalSeconds - metered.baseSeconds;
    return { account, totalSeconds, used, limit: limit.used, unit: limit.unit, resetsAtMs };
  }
}

/**
 * When the process table is read anew: every few seconds while something is hobbled, sooner when births were missed, and
 * so seldom that it costs 0.5 % of a core (2 % while births are missed), or every 15 s. Births are seen at every tick and
 * deaths at every inspection, so a pass is for what those miss: changed owners and cgroups. Owns the timing alone.
 */
import type { Clock, Timer } from '../../shared/clock.ts';
import type { ProcessEntry, ProcessTable } from '../process/table.ts';

export interface SweeperParts {
  table: ProcessTable;
  clock: Clock;
  /** False: nothing is hobbled, so nothing needs to be known. */
  isNeeded: () => boolean;
  /** Processes that were seen for the first time, slice by slice. */
  onFound: (entries: readonly ProcessEntry[]) => void;
  /** The table is up to date; its costs count as the pass's. */
  onSwept: () => void;
}

const SWEEP_EVERY_MS = 5_000;
const MAX_SWEEP_EVERY_MS = 15_000;
/** The same while births cannot be followed one by one; also how old the table may be when a target is put in. */
const SWEEP_SOON_MS = 1_000;
/** Shares of a core that passes may cost: those that come by themselves, those for missed births, those in a burst. */
const SWEEP_COST_RATIO = 0.005;
const SOON_COST_RATIO = 0.02;
const BURST_COST_RATIO = 0.05;

export class Sweeper {
  readonly #parts: SweeperParts;
  #timer: Timer | undefined;
  #isSoon = false;
  #costMs = 0;
  #sweeping: Promise<void> | undefined;
  #sweptAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  /** Time since the last pass, milliseconds. */
  get #ageMs(): number {
    return this.#parts.clock.monotonicMs() - this.#sweptAtMs;
  }

  /** A whole pass at once if the last one is a while ago; false when it is not. For new targets, ten thousand in a burst. */
  sweepIfOld(): boolean {
    if (this.#ageMs <= Math.max(SWEEP_SOON_MS, this.#costMs / BURST_COST_RATIO)) return false;
    const { table, clock } = this.#parts;
    const startedAtMs = clock.monotonicMs();
    table.sweep();
    this.#sweptAtMs = clock.monotonicMs();
    this.#costMs = this.#sweptAtMs - startedAtMs;
    return true;
  }

  /** Makes sure that the table is no older than `maxAgeMs`, without holding up the phases. */
  async survey(maxAgeMs: number): Promise<void> {
    if (this.#ageMs > maxAgeMs) await this.sweep();
  }

  /** A pass that begins now and reads everything: one that is under way has seen what was before. */
  async sweepAnew(): Promise<void> {
    // Again after each: another one, which need not be whole, may have begun as that one ended.
    while (this.#sweeping) await this.#sweeping;
    await this.sweep(true);
  }

  /** Births were missed: the next pass comes as soon as its cost allows. */
  soon(): void {
    if (this.#isSoon) return;
    this.#isSoon = true;
    this.cancel();
    this.schedule(Math.max(0, Math.max(SWEEP_SOON_MS, this.#costMs / SOON_COST_RATIO) - this.#ageMs));
  }

  schedule(delayMs = SWEEP_EVERY_MS): void {
    if (this.#timer || !this.#parts.isNeeded()) return;
    this.#timer = this.#parts.clock.after(delayMs, () => {
      this.#timer = undefined;
      void this.sweep();
    });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** One pass over /proc, in slices between the ticks. */
  sweep(isWhole = false): Promise<void> {
    this.#sweeping ??= this.#sweepOnce(isWhole).finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  async #sweepOnce(isWhole: boolean): Promise<void> {
    const { table, clock, onFound, onSwept } = this.#parts;
    this.#isSoon = false;
    let costMs = 0;
    const slices = table.sweepSliced(isWhole);
    for (;;) {
      const startedAtMs = clock.monotonicMs();
      const slice = slices.next();
      if (!slice.done && slice.value.length > 0) onFound(slice.value);
      costMs += clock.monotonicMs() - startedAtMs;
      if (slice.done) break;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const startedAtMs = clock.monotonicMs();
    this.#sweptAtMs = startedAtMs;
    onSwept();
    costMs += clock.monotonicMs() - startedAtMs;
    this.#costMs = costMs;
    this.schedule(Math.min(MAX_SWEEP_EVERY_MS, Math.max(SWEEP_EVERY_MS, costMs / SWEEP_COST_RATIO)));
  }
}

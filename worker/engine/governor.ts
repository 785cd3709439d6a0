/**
 * The governor: measures what hobbling costs this process, shares that out among the loops, and keeps it within the
 * budget by the adaptive period (pacing.ts). It looks once per window, while there are loops. It knows nothing of
 * processes; the engine moves the loops when the stretch has changed.
 */
import type { Clock, Timer } from '../../shared/clock.ts';
import { type Budget, PACING_WINDOW_MS, Pacing } from './pacing.ts';
import { type DutyCycle, periodMs } from './slots.ts';

/** What the governor asks of a loop. */
export interface Governed {
  readonly cycle: DutyCycle;
  /** CPU share of one core that it costs; the governor sets it. Null: not known yet. */
  costRatio: number | null;
  /** Signals sent and processes looked at since the last call: what its share of the cost is measured by. */
  takeWork(): number;
}

export interface GovernorParts<Loop extends Governed> {
  clock: Clock;
  budget: Budget;
  /** CPU that this process has used so far, milliseconds. */
  ownCpuMs: () => number;
  loops: () => Iterable<Loop>;
  /** Periods are stretched by another factor from now on: `pace` gives others. */
  onChange: (stretch: number) => void;
}

export class Governor<Loop extends Governed> {
  readonly #parts: GovernorParts<Loop>;
  readonly #pacing: Pacing;
  #timer: Timer | undefined;
  #windowAtMs = 0;
  #windowCpuMs = 0;

  constructor(parts: GovernorParts<Loop>) {
    this.#parts = parts;
    this.#pacing = new Pacing(parts.budget);
  }

  /** The duty cycle as it is carried out at present. */
  pace(asked: DutyCycle): DutyCycle {
    return this.#pacing.pace(asked);
  }

  /** To be called when there is a loop. */
  start(): void {
    if (this.#timer) return;
    this.#open();
    this.#timer = this.#parts.clock.every(PACING_WINDOW_MS, () => this.#close());
  }

  /** To be called when there is none any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #open(): void {
    this.#windowAtMs = this.#parts.clock.monotonicMs();
    this.#windowCpuMs = this.#parts.ownCpuMs();
  }

  #close(): void {
    const { clock, ownCpuMs, loops, onChange } = this.#parts;
    const elapsedMs = clock.monotonicMs() - this.#windowAtMs;
    const ownRatio = (ownCpuMs() - this.#windowCpuMs) / elapsedMs;
    this.#open();
    let total = 0;
    let shortestMs = Number.POSITIVE_INFINITY;
    const works = new Map<Loop, number>();
    for (const loop of loops()) {
      const work = loop.takeWork();
      works.set(loop, work);
      total += work;
      shortestMs = Math.min(shortestMs, periodMs(loop.cycle));
    }
    for (const [loop, work] of works) loop.costRatio = total === 0 ? 0 : (ownRatio * work) / total;
    if (works.size > 0 && this.#pacing.take(ownRatio, shortestMs)) onChange(this.#pacing.stretch);
  }
}

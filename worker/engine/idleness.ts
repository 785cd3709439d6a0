/**
 * Sparing the idle. A duty cycle is a cap on CPU: a target that uses less than its share by itself needs no signals.
 * Pure; one sample a second goes in, and whether to cycle comes out.
 *
 *   cycled ── idle for enough samples in a row ──► spared ── one sample over the cap ──► cycled
 *
 * Under the hobble a busy target uses about its cap, so little use alone proves nothing: a target counts as idle when
 * it used less than half of its cap and none of its processes waited for a core when its run phase ended. On a machine
 * whose cores are all busy the first would be true of a spinner, the second never is.
 *
 * A target whose cgroups count its CPU hides none of it: who is runnable there is asked only where he would be spared
 * otherwise (`needsProof`), since for that little use proves nothing there either.
 *
 * Elsewhere short-lived daemons that nobody waits for leave no CPU behind that could be seen, so who is runnable at several looks
 * in a row goes over too, however little was measured.
 *
 * A sample that takes longer lets more through unseen. Whoever has been spared for long has left more of his share unused
 * than a sample of some seconds could take, on all cores: he may be looked at that much less often (`unusedMs`), and in
 * sum still gets no more than the cap.
 *
 * Going over while spared is worth one sample of full speed. So that nobody lives on that, each time doubles how long
 * the target must be idle before it is spared again; a long time without forgives.
 */

export interface IdleSample {
  /** CPU share of one core since the last sample, ended and reaped children included. */
  usedRatio: number;
  /** A process of it was runnable when the run phase ended; where all CPU is counted, false unless that matters. */
  isRunnable: boolean;
  /** Time since the last sample, milliseconds. */
  sinceMs: number;
}

const FIRST_IDLE_SAMPLES = 2;
/** At most one sample of full speed a minute: 1.7 % of a core. */
const MOST_IDLE_SAMPLES = 64;
/** Time spared without going over that halves the demand again, milliseconds. */
const FORGIVEN_AFTER_MS = 300_000;
/** A target that uses less than its cap is runnable at so many looks in a row about once in hours. */
const RUNNABLE_SAMPLES = 3;
const IDLE_SHARE_OF_CAP = 0.5;

export class Idleness {
  #isSpared = false;
  #needed = FIRST_IDLE_SAMPLES;
  #idleInARow = 0;
  #cleanMs = 0;
  #unusedMs = 0;
  #runnableInARow = 0;

  get isSpared(): boolean {
    return this.#isSpared;
  }

  /** CPU time of one core that it has left unused of its share since it is spared, milliseconds. */
  get unusedMs(): number {
    return this.#unusedMs;
  }

  /** Whether it matters for such a sample if anybody waits for a core, who used all that is known of him. */
  needsProof(usedRatio: number, capRatio: number): boolean {
    return !this.#isSpared && usedRatio < capRatio * IDLE_SHARE_OF_CAP;
  }

  /** Takes one sample; `capRatio` is the share of one core that the duty cycle leaves. Returns whether it is spared. */
  take({ usedRatio, isRunnable, sinceMs }: IdleSample, capRatio: number): boolean {
    if (this.#isSpared) {
      this.#runnableInARow = isRunnable ? this.#runnableInARow + 1 : 0;
      if (usedRatio > capRatio || this.#runnableInARow >= RUNNABLE_SAMPLES) this.#goOver();
      else {
        // Runnable may be work that is not seen: what was saved before says nothing of it.
        this.#unusedMs = isRunnable ? 0 : this.#unusedMs + (capRatio - usedRatio) * sinceMs;
        this.#cleanMs += sinceMs;
        if (this.#cleanMs >= FORGIVEN_AFTER_MS) this.#forgive();
      }
      return this.#isSpared;
    }
    this.#idleInARow = !isRunnable && usedRatio < capRatio * IDLE_SHARE_OF_CAP ? this.#idleInARow + 1 : 0;
    this.#isSpared = this.#idleInARow >= this.#needed;
    return this.#isSpared;
  }

  #goOver(): void {
    this.#isSpared = false;
    this.#runnableInARow = 0;
    this.#idleInARow = 0;
    this.#cleanMs = 0;
    this.#unusedMs = 0;
    this.#needed = Math.min(MOST_IDLE_SAMPLES, this.#needed * 2);
  }

  #forgive(): void {
    this.#cleanMs = 0;
    this.#needed = Math.max(FIRST_IDLE_SAMPLES, this.#needed / 2);
  }
}

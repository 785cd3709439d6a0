/**
 * What of a target's report counts as news: when to write it again, and what tells without working it out that there is
 * nothing new. One of these stands for each report in Redis. Pure: it reads the order book's entry and the loop, and the
 * reporter does the rest. What is not known is null (invariant 9).
 */
import type { TargetState } from '../shared/report.ts';
import type { HobbleLoop } from './engine/loop.ts';
import type { Entry } from './order-book.ts';

/** A figure that moved less than this, relative to itself, is not news. */
const NEWS_RATIO = 0.1;
/** An expiry that moved less than this is not news, milliseconds: Redis's clock is known no better. */
const EXPIRY_MOVED_MS = 2_000;
/** A report is written again after this, milliseconds, since counts that are no news by themselves (stops) have grown. */
const STANDS_FOR_MS = 30_000;
/** Room for the coarseness of the measurement: ticks of 10 ms over a few seconds. */
const EFFECT_TOLERANCE = 1.5;

/** What is so for all targets at the moment of a look. */
export interface Surroundings {
  /** Redis's clock, and the boot clock, milliseconds. */
  nowMs: number;
  nowBootMs: number;
  /** Why nothing is stopped at present; undefined when things are. */
  gateWhy: string | undefined;
  cores: number;
  periodOf: (loop: HobbleLoop) => number | null;
}

/** Whether there is anything to say of it: a tarpit that has not been let go. */
export function isReported({ order, result }: Entry): boolean {
  return order.action === 'tarpit' && result.status !== 'expired';
}

export class News {
  /** What it is made of. */
  entry: Entry;
  loop: HobbleLoop | undefined;
  #result: Entry['result'];
  #revision: number;
  #gateWhy: string | undefined;
  /** What it says. */
  readonly state: TargetState;
  readonly why: string | null;
  readonly mechanismWhy: string | null;
  readonly processes: number;
  readonly ownedElsewhere: number;
  readonly effective: boolean | null;
  readonly beforeRatio: number | null;
  readonly gotRatio: number | null;
  readonly costRatio: number | null;
  readonly periodMs: number | null;
  readonly expiresAtMs: number;
  readonly reportedAtMs: number;

  constructor(entry: Entry, loop: HobbleLoop | undefined, around: Surroundings) {
    this.entry = entry;
    this.loop = loop;
    this.#result = entry.result;
    this.#revision = loop?.revision ?? 0;
    this.#gateWhy = around.gateWhy;
    const { state, why } = stateOf(entry, loop, around.gateWhy);
    this.state = state;
    this.why = why;
    this.mechanismWhy = loop?.inForce.why ?? entry.mechanismWhy;
    this.processes = loop?.processes ?? 0;
    this.ownedElsewhere = loop?.ownedElsewhere ?? 0;
    this.beforeRatio = loop?.beforeRatio ?? null;
    this.gotRatio = loop?.gotRatio ?? null;
    this.effective = loop ? isEffective(loop, this.gotRatio, around.cores) : null;
    this.costRatio = loop?.costRatio ?? null;
    this.periodMs = loop ? around.periodOf(loop) : null;
    this.expiresAtMs = Math.round(expiryOf(entry, around));
    this.reportedAtMs = Math.round(around.nowMs);
  }

  /**
   * True: nothing that this was made of has changed since, and it is not due to be written again. That periods have another
   * length is for the caller to know. Asked of every target every second, so it makes nothing.
   */
  isSureToStand(entry: Entry, loop: HobbleLoop | undefined, around: Surroundings): boolean {
    return (
      entry === this.entry &&
      entry.result === this.#result &&
      loop === this.loop &&
      (loop === undefined || (loop.revision === this.#revision && !hasMoved(this.costRatio, loop.costRatio))) &&
      around.gateWhy === this.#gateWhy &&
      Math.abs(expiryOf(entry, around) - this.expiresAtMs) <= EXPIRY_MOVED_MS &&
      around.nowMs - this.reportedAtMs <= STANDS_FOR_MS
    );
  }

  /** Whether `now` says the same; figures that only wobble are not worth a write. */
  saysThe(now: News): boolean {
    return (
      this.entry.order.version === now.entry.order.version &&
      this.state === now.state &&
      this.why === now.why &&
      this.mechanismWhy === now.mechanismWhy &&
      this.processes === now.processes &&
      this.ownedElsewhere === now.ownedElsewhere &&
      this.effective === now.effective &&
      this.beforeRatio === now.beforeRatio &&
      !hasMoved(this.gotRatio, now.gotRatio) &&
      !hasMoved(this.costRatio, now.costRatio) &&
      this.periodMs === now.periodMs &&
      Math.abs(this.expiresAtMs - now.expiresAtMs) <= EXPIRY_MOVED_MS &&
      now.reportedAtMs - this.reportedAtMs <= STANDS_FOR_MS
    );
  }

  /** It was looked at again and says the same: from now on what `now` was made of tells whether something changed. */
  isMadeOf(now: News): void {
    this.entry = now.entry;
    this.loop = now.loop;
    this.#result = now.#result;
    this.#revision = now.#revision;
    this.#gateWhy = now.#gateWhy;
  }
}

/** By Redis's clock; what counts is the boot clock. */
function expiryOf({ deadlineBootMs }: Entry, { nowMs, nowBootMs }: Surroundings): number {
  return nowMs + deadlineBootMs - nowBootMs;
}

function hasMoved(a: number | null, b: number | null): boolean {
  if (a === null || b === null) return a !== b;
  return Math.abs(a - b) > NEWS_RATIO * Math.max(a, b, 0.01);
}

function stateOf(
  { result }: Entry,
  loop: HobbleLoop | undefined,
  gateWhy: string | undefined,
): { state: TargetState; why: string | null } {
  if (result.status !== 'applied') {
    const state =
      result.status === 'denied' || result.status === 'unsupported' || result.status === 'refused'
        ? result.status
        : 'gone';
    return { state, why: 'why' in result ? result.why : null };
  }
  if (!loop) return { state: 'gone', why: null };
  if (gateWhy !== undefined && loop.state !== 'denied') return { state: 'held', why: gateWhy };
  return { state: loop.state, why: loop.why ?? exceptions(loop) };
}

/** What of a target is not hobbled, and why. */
function exceptions(loop: HobbleLoop): string | null {
  const { exempted, notPermitted, stoppedByOthers, ownedElsewhere } = loop;
  if (exempted + notPermitted + stoppedByOthers + ownedElsewhere === 0) return null;
  const parts: string[] = [];
  if (exempted > 0) parts.push(`${exempted} exempt`);
  if (notPermitted > 0) parts.push(`${notPermitted} may not be signalled (not permitted)`);
  if (stoppedByOthers > 0) parts.push(`${stoppedByOthers} stopped by others`);
  if (ownedElsewhere > 0) parts.push(`${ownedElsewhere} held by another target`);
  return parts.join(', ');
}

/**
 * Whether the target slowed down. Its members run side by side, so what it may have is its share of the machine.
 * Null: not measured yet.
 */
function isEffective({ runRatio }: HobbleLoop, gotRatio: number | null, cores: number): boolean | null {
  if (gotRatio === null) return null;
  return gotRatio <= runRatio * cores * EFFECT_TOLERANCE + 0.01;
}

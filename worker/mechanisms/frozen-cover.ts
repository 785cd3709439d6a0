/**
 * One cgroup that a group freezes: its switch, who may be inside, and who has turned it on. What somebody else has frozen
 * is never ours to thaw (invariant 6).
 *
 *   running ──► frozen ──► running       by us; the journal names it before the first time
 *      └──► foreign ──► running          by somebody else: left alone, and struck out of the journal
 */
import type { Clock } from '../../shared/clock.ts';
import { FreezerSwitch, type KeptDescriptors, type Written } from '../cgroups/freezer-switch.ts';
import type { Hierarchy } from '../cgroups/hierarchies.ts';
import type { Adopted } from './adoption.ts';

/** How long one stop may wait for what it froze to stand still, and between two looks, milliseconds. */
const FROZEN_WITHIN_MS = 5;
const NAP_MS = 0.2;

/** Who is inside; a reason when strangers are. */
export type CoverLook = { pids: ReadonlySet<number> } | { why: string };

export class FrozenCover {
  /** Its place on this host, and within its hierarchy. */
  readonly directory: string;
  readonly path: string;
  readonly hierarchy: Hierarchy;
  /** A cgroup of our own making. */
  readonly adopted: Adopted | undefined;
  readonly look: () => CoverLook;
  readonly #switch: FreezerSwitch;
  #isFrozen = false;
  #isForeign = false;

  /** Throws unsupported where its switch cannot be had. */
  constructor(
    hierarchy: Hierarchy,
    directory: string,
    look: () => CoverLook,
    descriptors: KeptDescriptors,
    adopted?: Adopted,
  ) {
    this.directory = directory;
    this.path = directory.slice(hierarchy.mount.length);
    this.hierarchy = hierarchy;
    this.look = look;
    this.adopted = adopted;
    this.#switch = new FreezerSwitch(directory, hierarchy.version, descriptors);
  }

  /** The file that is written, for the journal. */
  get file(): string {
    return this.#switch.path;
  }

  /** It may be frozen by our doing. */
  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Somebody else had turned it on when we last looked. */
  get isForeign(): boolean {
    return this.#isForeign;
  }

  get isGone(): boolean {
    return this.#switch.isOn() === 'gone';
  }

  /** Looks who has turned it on, before we do. */
  claim(): 'free' | 'foreign' | 'gone' {
    const isOn = this.#switch.isOn();
    if (isOn === 'gone') return 'gone';
    this.#isForeign = isOn;
    return isOn ? 'foreign' : 'free';
  }

  freeze(): Written {
    this.#isFrozen = true; // before it is written: one that failed is thawed all the same
    return this.#switch.freeze();
  }

  thaw(): void {
    if (this.#isFrozen && this.#switch.thaw() !== 'failed') this.#isFrozen = false;
  }

  /** Whether all that is inside stands still by now. */
  hasFrozen(): boolean {
    return this.#switch.hasFrozen();
  }

  close(): void {
    this.#switch.close();
  }
}

/** Waits until all of these that we have frozen stand still; false: not within a few milliseconds. */
export function areFrozenSoon(covers: Iterable<FrozenCover>, clock: Clock): boolean {
  const giveUpAtMs = clock.monotonicMs() + FROZEN_WITHIN_MS;
  for (const cover of covers) {
    if (!cover.isFrozen) continue;
    while (!cover.hasFrozen()) {
      if (clock.monotonicMs() >= giveUpAtMs) return false;
      // Who is to freeze may wait for the very core that we are on.
      clock.nap(NAP_MS);
    }
  }
  return true;
}

/** What is frozen, part by part; `adopted`: how many processes are in cgroups of our own. */
export function wordsOf(covers: readonly FrozenCover[], adopted: number): string[] {
  const words: string[] = [];
  const inPlace = covers.filter((cover) => !cover.adopted);
  if (inPlace.length === 1) words.push(`freezes ${inPlace[0]!.path} (v${inPlace[0]!.hierarchy.version})`);
  else if (inPlace.length > 1) words.push(`freezes ${inPlace.length} cgroups`);
  if (adopted > 0) words.push(`${adopted} adopted into a cgroup of our own (v1)`);
  for (const { path, isForeign } of covers)
    if (isForeign) words.push(`${path} was frozen by somebody else: left alone`);
  return words;
}

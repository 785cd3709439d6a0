/**
 * One cgroup that a group freezes: its switch, who may be inside, and who has turned it on. What somebody else has frozen
 * is never ours to thaw (invariant 6).
 *
 *   running ──► frozen ──► running       by us; the journal names it before the first time
 *      └──► foreign ──► running          by somebody else: left alone, and struck out of the journal
 */
import { FreezerSwitch, type KeptDescriptors, type Written } from '../cgroups/freezer-switch.ts';
import type { Hierarchy } from '../cgroups/hierarchies.ts';
import type { Adopted } from './adoption.ts';

/** Who is inside; a reason when strangers are. */
export type CoverLook = { pids: ReadonlySet<number> } | { why: string };

export class FrozenCover {
  /** Its place on this host, and within its hierarchy. */
  readonly directory: string;
  readonly path: string;
  readonly version: 1 | 2;
  /** A cgroup of our own making. */
  readonly adopted: Adopted | undefined;
  readonly look: () => CoverLook;
  readonly #switch: FreezerSwitch;
  #isFrozen = false;
  #isForeign = false;

  /** Throws unsupported where its switch cannot be had. */
  constructor(
    { mount, version }: Hierarchy,
    directory: string,
    look: () => CoverLook,
    descriptors: KeptDescriptors,
    adopted?: Adopted,
  ) {
    this.directory = directory;
    this.path = directory.slice(mount.length);
    this.version = version;
    this.look = look;
    this.adopted = adopted;
    this.#switch = new FreezerSwitch(directory, version, descriptors);
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

/**
 * The choice `auto`: the freezer in place where cgroups hold this target and nobody else, else signals. Where signals
 * would have to be denied, because a parent outside stops with its child (su, runuser), it goes over to the freezer by
 * adoption. Never the quota: that caps the sum over all cores, so one busy process would get more than its share.
 *
 *   signals ──► freezer in place     when all of the target turns out to be covered
 *      └──────► freezer, adopting    when su stops with its child; freezer in place goes there, too
 *
 * It never goes back: a freezer that loses its covers uses signals by itself.
 */
import type { ProcessEntry } from '../process/table.ts';
import { readOnce } from './cover.ts';
import { FreezerGroup, type FreezerParts } from './freezer.ts';
import { type Group, type InForce, type Inspection, nameOf } from './group.ts';
import { SignalGroup, type StopOutcome } from './signal.ts';

/** How long a target that was found not to be covered is left at that, milliseconds: a look reads /proc and cgroups. */
const LOOK_EVERY_MS = 30_000;

export class AutoGroup implements Group {
  readonly hasPhases = true;
  readonly obstacle = undefined;
  readonly #parts: FreezerParts;
  #signals: SignalGroup | undefined;
  #freezer: FreezerGroup | undefined;
  #members = new Set<ProcessEntry>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #why = 'signals, since it has no process yet';
  /** While it sends signals; made once, since it is asked for every second. */
  #inForce: InForce | undefined;

  constructor(parts: FreezerParts) {
    this.#parts = parts;
    this.#signals = new SignalGroup(parts);
  }

  get #group(): SignalGroup | FreezerGroup {
    return this.#freezer ?? this.#signals!;
  }

  get size(): number {
    return this.#group.size;
  }

  get notPermitted(): number {
    return this.#group.notPermitted;
  }

  get foreign(): number {
    return this.#group.foreign;
  }

  /** While it sends signals, the whole passes are often enough to find it covered. */
  get followsPasses(): boolean {
    return this.#group.followsPasses;
  }

  get inForce(): InForce {
    if (!this.#freezer) {
      this.#inForce ??= { mechanism: 'signal', why: `auto: ${this.#why}` };
      return this.#inForce;
    }
    const { mechanism, why } = this.#freezer.inForce;
    return { mechanism, why: `auto: ${this.#why === '' ? why : `${this.#why}; ${why}`}` };
  }

  setMembers(entries: Iterable<ProcessEntry>): void {
    this.#members = new Set(entries);
    if (!this.#freezer && this.#isCovered()) this.#goOver('');
    else this.#group.setMembers(this.#members);
  }

  addMembers(entries: readonly ProcessEntry[]): void {
    for (const entry of entries) this.#members.add(entry);
    this.#group.addMembers(entries);
  }

  /** Whether the freezer can have all of it in place. */
  #isCovered(): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#members.size === 0 || nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return false;
    this.#lookedAtMs = nowMs;
    // One of them tells most often; only then is it worth looking for all.
    const [first] = this.#members;
    return this.#areCovered([first!]) && this.#areCovered([...this.#members]);
  }

  #areCovered(entries: ProcessEntry[]): boolean {
    const isMember = (entry: ProcessEntry) => this.#members.has(entry);
    const pathsOf = readOnce(this.#parts.pathsOf);
    let uncovered = entries;
    for (const finder of this.#parts.finders) {
      const found = finder.find(uncovered, isMember, pathsOf);
      uncovered = found.uncovered;
      this.#why = `signals, since ${found.why}`;
      this.#inForce = undefined;
      if (uncovered.length === 0) return true;
    }
    return false;
  }

  #goOver(why: string): void {
    this.#signals?.release();
    this.#signals = undefined;
    this.#why = why;
    this.#freezer = new FreezerGroup(this.#parts, false);
    this.#freezer.setMembers(this.#members);
  }

  stop(): StopOutcome {
    return this.#group.stop();
  }

  run(): void {
    this.#group.run();
  }

  checkBystanders(): ProcessEntry | undefined {
    const parent = this.#group.checkBystanders();
    if (!parent || !this.#parts.adoption) return parent;
    // All of them run now.
    const why = `freezer, since ${nameOf(parent)} stops with its child`;
    if (!this.#freezer) this.#goOver(why);
    this.#why = why;
    return this.#freezer!.adopt() ? undefined : parent;
  }

  inspect(): Inspection {
    const inspected = this.#group.inspect();
    if (inspected.alive.length < this.#members.size)
      for (const entry of this.#members) if (!entry.isAlive) this.#members.delete(entry);
    return inspected;
  }

  rest(): void {
    this.#group.rest();
  }

  release(): void {
    this.#group.release();
    this.#members.clear();
  }
}

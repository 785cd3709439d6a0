/**
 * Who is held when the brake is over: the newest targets, as many as it takes, and whole ones. They own no process
 * meanwhile, so all of theirs run, and they are let in again, the oldest first, when a pass finds room. Decides by
 * brake.ts; the membership does the rest.
 */
import type { Logger } from '../../shared/log.ts';
import type { ProcessEntry } from '../process/table.ts';
import type { SafetyRules } from '../safety.ts';
import { Brake, type BrakeSettings } from './brake.ts';
import type { HobbleLoop } from './loop.ts';
import type { Membership } from './membership.ts';

export interface BrakingParts {
  brake: BrakeSettings;
  rules: Pick<SafetyRules, 'minUid' | 'exemptUids'>;
  table: { entries(): Iterable<ProcessEntry> };
  membership: () => Membership;
  /** The oldest first. */
  loops: ReadonlyMap<string, HobbleLoop>;
  onChange: (key: string) => void;
  log: Logger;
}

export class Braking {
  readonly #parts: BrakingParts;
  readonly #brake: Brake;
  #held = 0;

  constructor(parts: BrakingParts) {
    this.#parts = parts;
    this.#brake = new Brake(parts.brake);
  }

  /** Targets that are held, and the share of users that are hobbled. */
  get figures(): { held: number; hobbledRatio: number } {
    return { held: this.#held, hobbledRatio: this.#brake.hobbledRatio };
  }

  /** A loop has taken a process (1) or let it go (-1). */
  owned({ realUid }: ProcessEntry, by: 1 | -1): void {
    if (realUid !== null) this.#brake.changed(realUid, by);
  }

  /** After the table was read: counts everybody anew. */
  survey(): void {
    const { table, membership } = this.#parts;
    this.#brake.survey(this.#usersOf(table.entries()), this.#usersOf(membership().owned()));
  }

  /** Holds the newest targets while more than the share would be hobbled. To be called before anything new is stopped. */
  apply(): void {
    for (let why = this.#whyOver(); why !== undefined; why = this.#whyOver()) {
      const newest = [...this.#parts.loops.values()].findLast(({ isBraked, processes }) => !isBraked && processes > 0);
      if (!newest) return;
      this.#set(newest, why);
      if (this.#held === 1) this.#parts.log.error({ target: newest.key }, `${why}; the newest targets are held`);
    }
  }

  /** After a pass: counts everybody anew, and holds more, or lets in who was held and has room. */
  review(): void {
    this.survey();
    this.apply();
    if (this.#held === 0 || this.#whyOver() !== undefined) return;
    for (const loop of this.#parts.loops.values()) {
      if (!loop.isBraked) continue;
      this.#set(loop, undefined);
      const why = this.#whyOver();
      if (why === undefined) continue;
      this.#set(loop, why);
      return;
    }
    this.#parts.log.info('the brake holds nobody any more');
  }

  /** A loop has ended. */
  ended(loop: HobbleLoop): void {
    if (loop.isBraked) this.#held--;
  }

  #set(loop: HobbleLoop, why: string | undefined): void {
    this.#held += why === undefined ? -1 : 1;
    loop.brake(why);
    this.#parts.membership().changed(loop);
    this.#parts.onChange(loop.key);
  }

  #whyOver(): string | undefined {
    return this.#brake.whyOver(() => {
      let count = 0;
      for (const { processes } of this.#parts.loops.values()) if (processes > 0) count++;
      return count;
    });
  }

  *#usersOf(entries: Iterable<ProcessEntry>): Generator<number> {
    const { minUid, exemptUids } = this.#parts.rules;
    for (const { realUid, isAlive, isKernelThread } of entries) {
      if (realUid !== null && realUid >= minUid && isAlive && !isKernelThread && !exemptUids.has(realUid))
        yield realUid;
    }
  }
}

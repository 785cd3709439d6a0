/**
 * Parents outside a group, watched through the first stop of its child: su and runuser stop themselves when their child
 * stops, and would stay stopped. One watch for all groups of a worker: a parent of whom many children are put in at once
 * is held once and journalled once, and struck out of the journal when nobody watches him any more, not before. Whose stop
 * is looked for, and what follows, is the group's affair (signal.ts).
 *
 * He is looked at over his kept stat; a pidfd is opened for him only when he has to be continued, and then as always:
 * before a read that proves who he is (held.ts, invariant 4).
 */
import type { Journal } from '../journal.ts';
import { HeldProcess } from '../process/held.ts';
import type { Proc } from '../process/proc.ts';
import { isStopped } from '../process/stat.ts';
import type { ProcessEntry } from '../process/table.ts';

export interface Bystander {
  readonly entry: ProcessEntry;
  readonly held: HeldProcess;
  /** Groups that watch him, each counted as often as it asked. */
  watchers: number;
}

export interface BystanderParts {
  proc: Proc;
  journal: Pick<Journal, 'left'>;
  /** True: some loop hobbles it. That it is stopped then says nothing, and its journal entry is that loop's affair. */
  isOwned: (entry: ProcessEntry) => boolean;
}

export class Bystanders {
  readonly #parts: BystanderParts;
  readonly #watched = new Map<ProcessEntry, Bystander>();

  constructor(parts: BystanderParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#watched.size;
  }

  /** Watches those of them that run. The caller journals them before his first stop, and gives each back by `leave`. */
  watch(parents: Iterable<ProcessEntry>): Bystander[] {
    const watched: Bystander[] = [];
    for (const entry of parents) {
      const { pid, startTicks } = entry;
      const known = this.#watched.get(entry);
      const one = known ?? { entry, held: new HeldProcess(this.#parts.proc, pid, startTicks), watchers: 0 };
      const now = one.held.look();
      if (now && !isStopped(now.state)) {
        one.watchers++;
        if (!known) this.#watched.set(entry, one);
        watched.push(one);
      } else if (!known) one.held.close();
    }
    return watched;
  }

  /** Those of them that are stopped now. One that became a member of a loop says nothing by that. */
  stopped(watched: readonly Bystander[]): Bystander[] {
    return watched.filter(({ entry, held }) => !this.#parts.isOwned(entry) && isStopped(held.look()?.state ?? ''));
  }

  /** Continues one that was seen stopped, if it is still he. */
  continue({ held }: Bystander): void {
    if (held.read()) held.continue();
  }

  /** Gives them back. Whom nobody watches any more is struck out of the journal, where he is not a loop's by now. */
  leave(watched: readonly Bystander[]): void {
    const left: ProcessEntry[] = [];
    for (const one of watched) {
      if (--one.watchers > 0) continue;
      one.held.close();
      this.#watched.delete(one.entry);
      if (!this.#parts.isOwned(one.entry)) left.push(one.entry);
    }
    if (left.length > 0) this.#parts.journal.left(left);
  }
}

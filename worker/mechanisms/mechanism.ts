/**
 * The mechanisms of this host: what was found out at the start, and a group for each loop. The only place where what an
 * order asks becomes a way to enforce it; `auto`, `doctor`, `status` and the reports repeat its words.
 *
 * `signal` works everywhere; `freezer` where cgroups can be frozen; `quota` where they can be limited. What cannot be
 * had is refused, not quietly replaced.
 */
import { cpus } from 'node:os';
import type { Hobble } from '../../shared/order.ts';
import type { Cgroups } from '../cgroups/hierarchies.ts';
import type { Journal } from '../journal.ts';
import type { Proc } from '../process/proc.ts';
import type { ProcessTable } from '../process/table.ts';
import { Adoption } from './adoption.ts';
import { AutoGroup } from './auto.ts';
import { CoverFinder } from './cover.ts';
import { FreezerGroup, type FreezerParts } from './freezer.ts';
import type { Group, InForce } from './group.ts';
import type { Found, Probes } from './probe.ts';
import { QuotaGroup } from './quota.ts';
import { SignalGroup, type SignalParts } from './signal.ts';

export interface MechanismParts {
  cgroups: Cgroups;
  proc: Proc;
  table: ProcessTable;
  journal: Journal;
  found: Found;
}

export class Mechanisms {
  /** What each can do here, in words. */
  readonly probes: Probes;
  readonly #parts: MechanismParts;
  readonly #freezers: readonly CoverFinder[];
  readonly #quotas: readonly CoverFinder[];
  readonly #counters: readonly CoverFinder[];
  readonly #adoption: Adoption | undefined;
  readonly #onlineCpus = cpus().length;
  readonly #pathsOf = ({ pid }: { pid: number }) => this.#parts.cgroups.pathsOf(pid);
  readonly #freezerPartsOf = new WeakMap<SignalParts, FreezerParts>();

  constructor(parts: MechanismParts) {
    const { found } = parts;
    this.#parts = parts;
    this.probes = found.probes;
    this.#adoption = found.adoption && new Adoption(found.adoption, parts);
    this.#freezers = found.freezers.map((hierarchy) => new CoverFinder(hierarchy, parts));
    this.#quotas = found.quotas.map((hierarchy) => new CoverFinder(hierarchy, parts));
    this.#counters = found.counters.map((hierarchy) => new CoverFinder(hierarchy, parts));
  }

  /** Why this host cannot do it at all; undefined when it can. */
  whyNot(asked: Hobble['mechanism']): string | undefined {
    if (asked === 'auto' || this.probes[asked].supported) return undefined;
    return `mechanism ${asked}: ${this.probes[asked].why}`;
  }

  /**
   * A group that enforces phases as asked. `runRatio` gives the share of time, or of the machine, that the order leaves;
   * it may change. Groups with the same `parts` share all but that.
   */
  createGroup(asked: Hobble['mechanism'], parts: SignalParts, runRatio: () => number): Group {
    switch (asked) {
      case 'signal':
        return new PlainSignals(parts, 'as asked');
      case 'freezer':
        return new FreezerGroup(this.#freezerParts(parts), true);
      case 'quota': {
        const { journal, proc, table } = parts;
        return new QuotaGroup({
          journal,
          proc,
          table,
          runRatio,
          finders: this.#quotas,
          counters: this.#counters,
          pathsOf: this.#pathsOf,
          onlineCpus: this.#onlineCpus,
        });
      }
      case 'auto':
        return this.probes.freezer.supported
          ? new AutoGroup(this.#freezerParts(parts))
          : new PlainSignals(parts, `auto: signals, since this host cannot freeze (${this.probes.freezer.why})`);
    }
  }

  #freezerParts(parts: SignalParts): FreezerParts {
    let found = this.#freezerPartsOf.get(parts);
    if (!found) {
      const [finders, counters] = [this.#freezers, this.#counters];
      found = { ...parts, finders, counters, adoption: this.#adoption, pathsOf: this.#pathsOf };
      this.#freezerPartsOf.set(parts, found);
    }
    return found;
  }
}

/** Signals and nothing else, with the reason. */
class PlainSignals extends SignalGroup implements Group {
  readonly hasPhases = true;
  readonly obstacle = undefined;
  readonly inForce: InForce;

  constructor(parts: SignalParts, why: string) {
    super(parts);
    this.inForce = { mechanism: 'signal', why };
  }
}

/**
 * Which verdicts claim which places, and what is to be ordered there next. Several accounts may stand for the same
 * target, and one target may be claimed on a host and on the fleet: it is let go when the last claim is gone. Pure
 * bookkeeping in memory, rebuilt from the ledger at the start; gives no orders itself.
 *
 *   impose (new) ──► tarpit ──given──► renew ──given──► renew …
 *   impose (known from the ledger) ───►  │
 *   last claim lifted ──────────────────►└──► untarpit ──given──► forgotten
 */
import { FLEET, type Hobble, runRatio } from '../shared/order.ts';
import type { Place } from './place.ts';
import { isSame } from './policy/standing.ts';
import { type SubjectVerdict, subjectKey } from './subject-verdict.ts';

export interface ClaimedPlace {
  readonly place: Place;
  /** By subjectKey: the verdicts that want it in the tarpit. */
  readonly claims: Map<string, SubjectVerdict>;
  next: 'tarpit' | 'renew' | 'untarpit';
  /** On the boot clock, milliseconds; 0: at once. */
  dueAtMs: number;
  /** Grows with each change, so that who has acted on an older one sees it. */
  revision: number;
  /** The duty cycle last offered; null: none yet. */
  offered: Hobble | null;
  /** When the order last offered ends, where that is with its penalty and before a lease would; null: it is a whole lease. */
  endsAtMs: number | null;
  /** Since when the policy has it in the tarpit, milliseconds of Redis's clock or, after a restart, of the ledger. */
  tarpittedAtMs: number;
  /** Who has released it meanwhile; the policy keeps out until its next verdict. */
  overruledBy: string | null;
  /** Whose release is to be ordered, and why. */
  release: { account: string; reason: string } | null;
  /** By subjectKey: lifted verdicts that wait for it. */
  readonly owedTo: Set<string>;
}

/** A verdict whose places are all untarpitted, so that nothing is owed any more. */
export interface Settled {
  account: string;
  subject: string;
  /** Since when it did not stand any more. */
  sinceMs: number;
}

export class Claims {
  readonly #byTarget = new Map<string, Map<string, ClaimedPlace>>();
  readonly #byVerdict = new Map<string, Set<ClaimedPlace>>();
  /** Lifted verdicts, with the places that still wait for their untarpit. */
  readonly #debts = new Map<string, { settled: Settled; places: Set<ClaimedPlace> }>();
  #size = 0;

  /** Number of places claimed, or waiting for their untarpit. */
  get size(): number {
    return this.#size;
  }

  /** A verdict that stands. `isNew`: it was just come to; else it is known and may already be ordered. Idempotent. */
  impose(record: SubjectVerdict, isNew: boolean): void {
    const key = subjectKey(record);
    const before = this.#byVerdict.get(key) ?? new Set();
    const now = new Set(record.places.map((place) => this.#at(place)));
    this.#byVerdict.set(key, now);
    this.#debts.delete(key);
    for (const claimed of before) if (!now.has(claimed)) this.#dropClaim(claimed, key, record);
    for (const claimed of now) {
      const isFirst = claimed.claims.size === 0;
      claimed.claims.set(key, record);
      if (isFirst) {
        claimed.tarpittedAtMs = record.sinceMs;
        claimed.release = null;
        claimed.offered = null;
        claimed.endsAtMs = null;
        this.#change(claimed, isNew ? 'tarpit' : 'renew');
      }
      if (isNew) claimed.overruledBy = null;
      const { hobble, untilMs } = strongest(claimed);
      // An order that ends with its penalty is given anew when the penalty lasts longer than was thought.
      const isAsOffered =
        isSame(hobble, claimed.offered) && (claimed.endsAtMs === null || untilMs === claimed.endsAtMs);
      if (isNew || !isAsOffered) this.#change(claimed, isNew ? 'tarpit' : claimed.next);
    }
  }

  /** A verdict that no longer stands; its places, and `owed` ones of before a restart, are let go. Idempotent. */
  lift(record: SubjectVerdict, owed: readonly Place[] = []): void {
    const key = subjectKey(record);
    const places = new Set([...(this.#byVerdict.get(key) ?? []), ...owed.map((place) => this.#at(place))]);
    if (places.size === 0) return;
    this.#byVerdict.delete(key);
    this.#debts.set(key, {
      settled: { account: record.account, subject: record.subject, sinceMs: record.sinceMs },
      places,
    });
    for (const claimed of places) {
      claimed.owedTo.add(key);
      this.#dropClaim(claimed, key, record);
    }
  }

  /** True while the verdict claims a place. */
  has(key: string): boolean {
    return this.#byVerdict.has(key);
  }

  /** By whom the places of a verdict were released in spite of it; null: by nobody. */
  overruledBy(key: string): string | null {
    for (const { overruledBy } of this.#byVerdict.get(key) ?? []) if (overruledBy !== null) return overruledBy;
    return null;
  }

  /** What is to be ordered by `nowMs` on the boot clock, releases first. */
  due(nowMs: number): ClaimedPlace[] {
    const due: ClaimedPlace[] = [];
    for (const hosts of this.#byTarget.values()) {
      for (const claimed of hosts.values()) if (claimed.dueAtMs <= nowMs) due.push(claimed);
    }
    const rank = { untarpit: 0, tarpit: 1, renew: 2 };
    return due.sort((a, b) => rank[a.next] - rank[b.next]);
  }

  /** The fleet's claim on the same target, where there is one that keeps it in the tarpit anyway. */
  coveredByFleet({ place }: ClaimedPlace): ClaimedPlace | null {
    if (place.host === FLEET) return null;
    const fleet = this.#byTarget.get(place.target)?.get(FLEET);
    return fleet && fleet.claims.size > 0 && fleet.overruledBy === null ? fleet : null;
  }

  /** Its untarpit is given: forgets it, and has claims of single hosts, which a fleet's untarpit overtook, ordered anew. */
  released(claimed: ClaimedPlace): void {
    const { host, target } = claimed.place;
    const hosts = this.#byTarget.get(target);
    hosts?.delete(host);
    this.#size--;
    if (hosts?.size === 0) this.#byTarget.delete(target);
    if (host === FLEET) {
      for (const other of hosts?.values() ?? []) if (other.claims.size > 0) this.#change(other, 'tarpit');
    }
    for (const key of claimed.owedTo) this.#debts.get(key)?.places.delete(claimed);
  }

  /** Takes out the verdicts of which nothing is owed any more. */
  takeSettled(): Settled[] {
    const settled: Settled[] = [];
    for (const [key, debt] of this.#debts) {
      if (debt.places.size > 0) continue;
      this.#debts.delete(key);
      settled.push(debt.settled);
    }
    return settled;
  }

  #at(place: Place): ClaimedPlace {
    let hosts = this.#byTarget.get(place.target);
    if (!hosts) {
      hosts = new Map();
      this.#byTarget.set(place.target, hosts);
    }
    let claimed = hosts.get(place.host);
    if (!claimed) {
      claimed = {
        place,
        claims: new Map(),
        next: 'untarpit',
        dueAtMs: Number.POSITIVE_INFINITY,
        revision: 0,
        offered: null,
        endsAtMs: null,
        tarpittedAtMs: 0,
        overruledBy: null,
        release: null,
        owedTo: new Set(),
      };
      hosts.set(place.host, claimed);
      this.#size++;
    }
    return claimed;
  }

  #dropClaim(claimed: ClaimedPlace, key: string, { account, reason }: SubjectVerdict): void {
    claimed.claims.delete(key);
    if (claimed.claims.size === 0) {
      claimed.release = { account, reason };
      this.#change(claimed, 'untarpit');
    } else {
      this.#debts.get(key)?.places.delete(claimed);
      this.#change(claimed, claimed.next);
    }
  }

  #change(claimed: ClaimedPlace, next: ClaimedPlace['next']): void {
    claimed.next = next;
    claimed.dueAtMs = 0;
    claimed.revision++;
  }
}

/** Of the verdicts that claim a place, the one with the lowest run share: the harshest wins. */
export function strongest({ claims }: ClaimedPlace): SubjectVerdict {
  return [...claims.values()].reduce((a, b) => (runRatio(b.hobble!) < runRatio(a.hobble!) ? b : a));
}

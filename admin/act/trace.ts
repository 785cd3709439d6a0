/**
 * Follows what came of an entry of the fleet's audit: reads its parts, what hosts answered, and what stands now. Reads
 * only, and no more than a page shows: an act of thousands of orders is told by the reports that are read anyway, and
 * answers are looked up where few hosts are concerned. Parts that were read are remembered, as they never change.
 */
import type { Order } from '../../shared/order.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { readStanding } from '../../shared/redis/desired.ts';
import { type ActParts, type AuditEntry, readAnswers, readEntry, readParts } from '../audit.ts';
import type { Fleet } from '../fleet/model.ts';
import { type Known, type Outcome, outcomesOf, rowsByTarget, standingKey } from './outcome.ts';

export interface Trace {
  entry: AuditEntry;
  outcomes: Outcome[];
  /** Parts that the entry announced and that are not written down: under way, or cut off. */
  missing: number;
}

/** Past these, the reports alone tell. */
const MAX_ANSWERING_HOSTS = 50;
const MAX_STANDING_LOOKUPS = 500;
/** Acts whose parts are remembered. */
const MAX_REMEMBERED = 50;

export class Traces {
  readonly #redis: Redis;
  readonly #parts = new Map<string, ActParts>();

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** What came of an entry so far; null when there is no such entry. Rejects when Redis is away. */
  async follow(id: string, fleet: Fleet): Promise<Trace | null> {
    const entry = await readEntry(this.#redis, id);
    if (entry === null) return null;
    const announced = Number(entry.fields.parts ?? 0);
    if (!Number.isSafeInteger(announced) || announced <= 0) {
      const known = await this.know([entry], fleet);
      return { entry, outcomes: outcomesOf(entry, known), missing: 0 };
    }
    const parts = await this.#partsOf(id, announced);
    const known = await this.know(parts, fleet);
    return {
      entry,
      outcomes: parts.flatMap((part) => outcomesOf(part, known)),
      missing: Math.max(0, announced - parts.length),
    };
  }

  /** What is needed to tell what came of these entries. Rejects when Redis is away. */
  async know(entries: readonly AuditEntry[], fleet: Fleet): Promise<Known> {
    const rows = rowsByTarget(fleet.targets);
    const orders = entries.filter(({ fields }) => fields.version !== undefined && fields.target !== undefined);
    const hosts = new Set(orders.map(({ fields }) => fields.host));
    const [answers, standing] = await Promise.all([
      hosts.size > MAX_ANSWERING_HOSTS ? new Map() : readAnswers(this.#redis, orders),
      this.#standing(orders, rows),
    ]);
    return { fleet, rows, answers, standing };
  }

  /** What stands for targets that nobody reports. */
  async #standing(orders: readonly AuditEntry[], rows: Known['rows']): Promise<Map<string, Order>> {
    const wanted = new Map<string, { host: string; target: string }>();
    for (const { fields } of orders) {
      const place = { host: fields.host!, target: fields.target! };
      const key = standingKey(place.host, place.target);
      if (!rows.get(place.target)?.has(place.host) && wanted.size < MAX_STANDING_LOOKUPS) wanted.set(key, place);
    }
    const found = await Promise.all(
      [...wanted].map(async ([key, { host, target }]) => [key, await readStanding(this.#redis, host, target)] as const),
    );
    return new Map(found.filter((pair): pair is readonly [string, Order] => pair[1] !== null));
  }

  async #partsOf(act: string, announced: number): Promise<AuditEntry[]> {
    const soFar = this.#parts.get(act);
    if (soFar !== undefined && soFar.parts.length >= announced) return soFar.parts;
    const read = await readParts(this.#redis, act, soFar);
    this.#parts.delete(act);
    this.#parts.set(act, read);
    for (const oldest of this.#parts.keys()) {
      if (this.#parts.size <= MAX_REMEMBERED) break;
      this.#parts.delete(oldest);
    }
    return read.parts;
  }
}

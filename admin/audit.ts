/**
 * Reads the audit streams: the fleet's (who ordered what, why) and a host's (what came of it). Read only, and tolerant:
 * an entry with fields unknown to this version is shown with them, not dropped.
 */
import { fleetKeys, hostKeys } from '../shared/keys.ts';
import { FLEET } from '../shared/order.ts';
import type { Redis } from '../shared/redis/connection.ts';

export interface AuditEntry {
  /** The stream's id: milliseconds of Redis's clock, then a counter. */
  id: string;
  atMs: number;
  fields: Record<string, string>;
}

export interface AuditPage {
  entries: AuditEntry[];
  /** Where the next older page begins; null at the end. */
  olderThan: string | null;
}

export const ENTRIES_PER_PAGE = 100;
/** A stream id as a link may carry it. */
export const STREAM_ID = /^\d{1,16}-\d{1,16}$/;

/** The newest entries, or those older than an id. `host` `*` means the fleet's stream. */
export async function readAudit(redis: Redis, host: string, olderThan?: string): Promise<AuditPage> {
  const key = host === FLEET ? fleetKeys.audit : hostKeys.audit(host);
  const from = olderThan === undefined ? '+' : `(${olderThan}`;
  const found = await redis.xrevrange(key, from, '-', 'COUNT', ENTRIES_PER_PAGE + 1);
  const entries = found
    .slice(0, ENTRIES_PER_PAGE)
    .map(([id, flat]) => ({ id, atMs: Number(id.split('-')[0]), fields: pairs(flat) }));
  const hasOlder = found.length > ENTRIES_PER_PAGE;
  return { entries, olderThan: hasOlder ? (entries.at(-1)?.id ?? null) : null };
}

function pairs(flat: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let index = 0; index + 1 < flat.length; index += 2) fields[flat[index]!] = flat[index + 1]!;
  return fields;
}

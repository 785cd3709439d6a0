/** The audit streams: who ordered what, when, why, and what came of it. Owns their form and how much of them is kept. */
import type { Redis } from './connection.ts';

/** Entries that a stream keeps, about: Redis trims whole blocks. */
const KEPT_ENTRIES = 10_000;

/** Appends an entry of names and values. Rejects when Redis is away. */
export async function appendAudit(redis: Redis, key: string, entry: Record<string, string | number>): Promise<void> {
  await redis.xadd(key, 'MAXLEN', '~', KEPT_ENTRIES, '*', ...Object.entries(entry).flat());
}

/** The audit streams: who ordered what, when, why, and what came of it. Owns their form and how much of them is kept. */
import type { Redis } from './connection.ts';

/** Entries that a stream keeps, about: Redis trims whole blocks. */
const KEPT_ENTRIES = 10_000;

/** Appends an entry of names and values; what is undefined is left out. Returns its id. Rejects when Redis is away. */
export async function appendAudit(
  redis: Redis,
  key: string,
  entry: Record<string, string | number | undefined>,
): Promise<string> {
  const fields = Object.entries(entry).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
  return (await redis.xadd(key, 'MAXLEN', '~', KEPT_ENTRIES, '*', ...fields))!;
}

/** Appends many by one round trip. Rejects when Redis is away, or with what it says of the first that it refuses. */
export async function appendAudits(
  redis: Redis,
  key: string,
  entries: readonly Record<string, string | number>[],
): Promise<void> {
  const pipeline = redis.pipeline();
  for (const entry of entries) {
    const fields: (string | number)[] = [];
    for (const name in entry) fields.push(name, entry[name]!);
    pipeline.xadd(key, 'MAXLEN', '~', KEPT_ENTRIES, '*', ...fields);
  }
  const replies = await pipeline.exec();
  const failed = replies?.find(([error]) => error)?.[0];
  if (failed) throw failed;
}

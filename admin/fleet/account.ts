/**
 * Reads what is known of one account: what the producer wrote down of it, and what operators have said. Reads only, and
 * tolerant: an entry that cannot be read is counted and hides nothing else.
 */
import {
  type Explained,
  explainedSchema,
  HISTORY_ENTRIES,
  type HistoryEntry,
  historyEntry,
} from '../../shared/history.ts';
import { explainedKey, historyKey } from '../../shared/keys.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import { type Pin, readPins } from '../../shared/redis/pins.ts';

export interface AccountReading {
  /** Oldest first. */
  history: (HistoryEntry & { atMs: number })[];
  /** Null: the producer has said nothing of it, or nothing that can be read. */
  explained: Explained | null;
  pin: Pin | null;
  unreadable: number;
}

/** Redis trims whole blocks, so a few more may be there. */
const MAX_READ = HISTORY_ENTRIES * 2;

export async function readAccount(redis: Redis, account: string): Promise<AccountReading> {
  const [found, text, { pins }] = await Promise.all([
    redis.xrevrange(historyKey(account), '+', '-', 'COUNT', MAX_READ),
    redis.get(explainedKey(account)),
    readPins(redis),
  ]);
  const history: AccountReading['history'] = [];
  let unreadable = 0;
  for (const [id, fields] of found.reverse()) {
    const parsed = historyEntry.safeParse(parsedJson(fields[fields.indexOf('entry') + 1]));
    if (parsed.success) history.push({ ...parsed.data, atMs: Number(id.split('-')[0]) });
    else unreadable++;
  }
  const explained = text === null ? null : explainedSchema.safeParse(parsedJson(text));
  return {
    history,
    explained: explained?.success ? explained.data : null,
    pin: pins.get(account) ?? null,
    unreadable: unreadable + (explained?.success === false ? 1 : 0),
  };
}

function parsedJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/**
 * How far followed files are fed, kept in Redis beside the ledger: what is written down there and how far that reaches
 * are lost or kept together. Owns the record and its parsing; one that cannot be read is none, so that files are fed
 * again from their start, which changes nothing.
 */
import { z } from 'zod';
import { ledgerKeys } from '../../../shared/keys.ts';
import type { Redis } from '../../../shared/redis/connection.ts';
import { needingRedis } from '../../redis-trouble.ts';
import type { Position } from './line-file.ts';

/** Files of one name that are read at the same time at most: the one in place, and older ones on their way out. */
export const MAX_FILES = 16;

const recordSchema = z.object({
  v: z.literal(1),
  /** Oldest first. */
  files: z.array(z.object({ id: z.string().max(64), offset: z.int().min(0), head: z.string().max(64) })).max(MAX_FILES),
});

export interface Positions {
  /** Oldest first; empty: nothing is known. Rejects with redis-unavailable. */
  load(): Promise<Position[]>;
  /** Rejects with redis-unavailable. */
  save(files: readonly Position[]): Promise<void>;
}

/** The positions of one path on one host: the same path on another host is another file. */
export function positionsInRedis(redis: Redis, host: string, path: string): Positions {
  const field = `${host} ${path}`;
  return {
    load: async () => {
      const text = await needingRedis(redis, () => redis.hget(ledgerKeys.followed, field));
      if (text === null) return [];
      try {
        return recordSchema.parse(JSON.parse(text)).files;
      } catch {
        return [];
      }
    },
    save: async (files) => {
      const text = JSON.stringify({ v: 1, files: files.slice(-MAX_FILES) });
      await needingRedis(redis, () => redis.hset(ledgerKeys.followed, field, text));
    },
  };
}

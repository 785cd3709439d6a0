/**
 * What became of an account lately: readings against its limits, and each time it was put in, let go, or moved to another
 * level, with the reasons in words. The producer writes it, the account page shows it; nothing is ever decided by it. Kept
 * of accounts that come near a limit only, and bounded, so that a site of many accounts costs Redis little.
 *
 *   hobbler:history:{ACCOUNT}     capped stream, one field `entry`: JSON of an Entry; its id says when
 *   hobbler:explained:{ACCOUNT}   string with TTL: JSON of Explained
 */
import { z } from 'zod';

/** About as many entries are kept, of an account; at one in five minutes more than half a day. */
export const HISTORY_ENTRIES = 240;
/** Of an account that comes near no limit any more this is forgotten, milliseconds. */
export const HISTORY_TTL_MS = 7 * 86_400_000;

/** `*RESOURCE` for a limit that readings bring themselves. */
const limit = z.string();

const reading = z.object({
  kind: z.literal('reading'),
  /** `account`, or the host and target that readings named. */
  subject: z.string(),
  limit,
  used: z.number(),
  of: z.number().positive(),
  unit: z.string(),
  resource: z.string(),
});

const change = z.object({
  kind: z.literal('change'),
  subject: z.string(),
  /** As the policy calls it: in, out, or what else it did. */
  change: z.string(),
  /** How it is slowed from then on; null: it is free. */
  hobble: z.object({ runMs: z.number(), stopMs: z.number() }).nullable(),
  /** By which limit, at which level of its ladder; null: free, or an operator's pin. */
  limit: limit.nullable(),
  level: z.int().nullable(),
  why: z.string(),
});

export const historyEntry = z.discriminatedUnion('kind', [reading, change]);
export type HistoryEntry = z.infer<typeof historyEntry>;
export type ReadingEntry = z.infer<typeof reading>;
export type ChangeEntry = z.infer<typeof change>;

export const explainedSchema = z.object({
  v: z.literal(1),
  /** When it was said, milliseconds since 1970. */
  atMs: z.number(),
  subjects: z.array(
    z.object({ subject: z.string(), isSlowed: z.boolean(), summary: z.string(), details: z.array(z.string()) }),
  ),
});
/** Why it is where it is, in the words of `hobbler policy explain`. */
export type Explained = z.infer<typeof explainedSchema>;

/**
 * What is remembered of an account (or of one subject of it: what readings say of one host or target) between two
 * judgements. Owns the written form, which is plain JSON with a schema version, and nothing of what it means. All of it
 * follows from readings and config, so a lost one is rebuilt by replay.ts; what operators said stands elsewhere.
 * Times in milliseconds since 1970.
 */
import { z } from 'zod';
import { HobblerError, messageOf } from '../../shared/errors.ts';
import { hobbleSchema } from '../../shared/order.ts';

/** The schema that this code reads and writes. 1 was the record of a single limit. */
const STATE_VERSION = 2;
/** Endings of penalties that are remembered: as many as a ladder can have levels. */
export const MAX_ENDED = 16;
/** Ids of readings that are remembered. A reading that is repeated later is still placed by its time. */
export const MAX_IDS = 32;
/** Readings of a running total that are remembered at most; see totals.ts. */
const MAX_SAMPLES = 2_048;

const epochMs = z.number().min(0);
const amount = z.number().min(0);

const figure = z.object({
  used: amount,
  /** The limit that the reading brought; null: that of the config. */
  limit: z.number().positive().nullable(),
  unit: z.string(),
  resource: z.string(),
  /** The accounting system's own name of the window; null: it gave none. */
  window: z.string().nullable(),
  /** From when on nothing of it counts any more; null: not known. */
  resetsAtMs: epochMs.nullable(),
  /** True: of the last so long, so that it falls by itself. */
  isRolling: z.boolean(),
  /** When it was taken, and when it came. */
  readAtMs: epochMs,
  heardAtMs: epochMs,
});
/** What an accounting system said last that measures the window itself. */
export type Figure = z.infer<typeof figure>;

const penalty = z.object({
  /** 1 is the ladder's first. */
  level: z.int().min(1),
  sinceMs: epochMs,
  /** Null: until the limit is kept or starts anew. */
  endsAtMs: epochMs.nullable(),
  /** Figures at the offence. */
  used: amount,
  limit: z.number().positive(),
  /** The window it was committed in: its name, and its end as far as was heard since. */
  window: z.string().nullable(),
  resetsAtMs: epochMs.nullable(),
});
export type Penalty = z.infer<typeof penalty>;

const RELEASE_CAUSES = ['served', 'below', 'reset', 'raised', 'unheard'] as const;
const released = z.object({
  atMs: epochMs,
  why: z.enum(RELEASE_CAUSES),
  /** Figures at the release: in the same window, what was used until then is paid for. */
  used: amount,
  limit: z.number().positive(),
  window: z.string().nullable(),
  resetsAtMs: epochMs.nullable(),
});
/** How the last penalty ended. */
export type Released = z.infer<typeof released>;

const limitState = z.object({
  figure: figure.nullable(),
  penalty: penalty.nullable(),
  /** When earlier penalties ended that still count, oldest first. */
  endedAtMs: z.array(epochMs).max(MAX_ENDED),
  released: released.nullable(),
});
export type LimitState = z.infer<typeof limitState>;
export const NO_LIMIT_STATE: LimitState = { figure: null, penalty: null, endedAtMs: [], released: null };

/** When, what the counter showed, and how much it has grown since the first one that is remembered. */
const sample = z.tuple([epochMs, amount, amount]);
export type Sample = readonly [atMs: number, total: number, grown: number];
const totalState = z.object({
  /** By time, no two of the same. */
  samples: z.array(sample).max(MAX_SAMPLES),
  heardAtMs: epochMs,
  /** The counter's latest step backwards. */
  lastReset: z.object({ atMs: epochMs, from: amount, to: amount }).nullable(),
});
/** A running total, as readings of it came in. */
export type TotalState = Omit<z.infer<typeof totalState>, 'samples'> & { samples: readonly Sample[] };

const standing = z.object({
  /** Null: free. */
  hobble: hobbleSchema.nullable(),
  /** By which limit, or by an operator's pin; null: free. */
  limit: z.string().nullable(),
  level: z.int().min(1).nullable(),
  isPinned: z.boolean(),
  /** Null: never changed. */
  sinceMs: epochMs.nullable(),
});
/** How the account is treated in the end, and since when. */
export type Standing = z.infer<typeof standing>;

const stateSchema = z.object({
  v: z.literal(STATE_VERSION),
  account: z.string().min(1).max(256),
  subject: z.string().min(1),
  standing,
  /** By the limit's name. */
  limits: z.record(z.string(), limitState),
  /** Running totals by seriesOf, in totals.ts. */
  totals: z.record(z.string(), totalState),
  /** Digests of the last readings' ids, oldest first. */
  ids: z.array(z.string()).max(MAX_IDS),
});
export type LedgerState = Omit<z.infer<typeof stateSchema>, 'totals'> & { totals: Record<string, TotalState> };

/** What is remembered of an account before its first reading. */
export function emptyState(account: string, subject: string): LedgerState {
  const standing: Standing = { hobble: null, limit: null, level: null, isPinned: false, sinceMs: null };
  return { v: STATE_VERSION, account, subject, standing, limits: {}, totals: {}, ids: [] };
}

/** Parses a state as the ledger has it; says why when it cannot be read. Never throws. */
export function parseState(text: string, account: string, subject: string): LedgerState | { unreadable: string } {
  try {
    const raw: unknown = JSON.parse(text);
    const version = (raw as { v?: unknown } | null)?.v;
    if (typeof version === 'number' && version > STATE_VERSION) {
      throw new HobblerError('invalid-input', 'written by a newer hobbler', {
        expected: `${STATE_VERSION}`,
        got: version,
      });
    }
    const state: LedgerState = stateSchema.parse(raw);
    if (state.account !== account || state.subject !== subject) {
      throw new HobblerError('invalid-input', 'state under another name', { got: [state.account, state.subject] });
    }
    return state;
  } catch (error) {
    return { unreadable: error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error) };
  }
}

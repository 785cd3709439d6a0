/**
 * What the producer remembers of an account between readings: its last figures and the verdict they led to. Owns the
 * written form, as it stands in the ledger; the policy alone decides what is written into it.
 */
import { z } from 'zod';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { hobbleSchema } from '../shared/order.ts';

const epochMs = z.number().min(0);
export const placeSchema = z.object({ host: z.string().min(1).max(253), target: z.string().min(1).max(1024) });

const recordSchema = z.object({
  v: z.literal(1),
  account: z.string().min(1).max(256),
  /** What of the account: see Usage. */
  subject: z.string().min(1),
  verdict: z.enum(['leave', 'tarpit']),
  /** The duty cycle while in the tarpit; null while not. */
  level: hobbleSchema.nullable(),
  reason: z.string().max(500),
  /** Since when the verdict is what it is. Times in milliseconds since 1970. */
  sinceMs: epochMs,
  used: z.number().min(0),
  limit: z.number().positive(),
  unit: z.string(),
  resource: z.string(),
  window: z.string().nullable(),
  resetsAtMs: epochMs.nullable(),
  /** When the last reading was taken, and when it came. */
  readAtMs: epochMs,
  receivedAtMs: epochMs,
  places: z.array(placeSchema).max(64),
});
export type AccountRecord = z.infer<typeof recordSchema>;

/** Names one record over all accounts; no account or subject contains a line break. */
export function recordKey({ account, subject }: { account: string; subject: string }): string {
  return `${account}\n${subject}`;
}

/** Parses a record as the ledger has it; says why when it cannot be read. */
export function parseRecord(text: string, account: string, subject: string): AccountRecord | { unreadable: string } {
  try {
    const record = recordSchema.parse(JSON.parse(text));
    if (record.account !== account || record.subject !== subject) {
      throw new HobblerError('invalid-input', 'record under another name', { got: [record.account, record.subject] });
    }
    if (record.verdict === 'tarpit' && record.level === null) {
      throw new HobblerError('invalid-input', 'in the tarpit without a level');
    }
    return record;
  } catch (error) {
    return { unreadable: error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error) };
  }
}

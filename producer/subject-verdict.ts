/**
 * What the policy says of one subject of an account, as the part that gives orders needs it: whether it is slowed and
 * how, where, why, and until when. Plain data; how it is come by stands in policy/.
 */
import type { Hobble } from '../shared/order.ts';
import type { Place } from './place.ts';

export interface SubjectVerdict {
  account: string;
  /** What of the account: see CompleteReading. */
  subject: string;
  /** The duty cycle while in the tarpit; null while not. */
  hobble: Hobble | null;
  reason: string;
  /** Since when it is so, milliseconds since 1970. */
  sinceMs: number;
  /** When it ends if nothing more is used, milliseconds since 1970; null: it does not, or that is not known. */
  untilMs: number | null;
  places: readonly Place[];
}

/** Names one subject over all accounts; no account or subject contains a line break. */
export function subjectKey({ account, subject }: { account: string; subject: string }): string {
  return `${account}\n${subject}`;
}

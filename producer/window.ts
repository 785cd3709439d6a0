/**
 * Windows: the time over which a limit counts. Owns which window a moment falls into and when that one resets. Pure;
 * all times are milliseconds since 1970, days are those of UTC. Rolling windows and time zones come later, as further
 * kinds of `Resets`.
 */
import { z } from 'zod';
import { durationMs } from '../shared/duration.ts';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** A window shorter than this would be over before its order has reached a host. */
const MIN_EVERY_MS = 1_000;

const daily = z
  .strictObject({
    daily: z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, "expected a time of day in UTC such as '00:00', in quotes"),
  })
  .transform(({ daily: text }) => ({
    kind: 'daily' as const,
    atMs: (Number(text.slice(0, 2)) * 60 + Number(text.slice(3))) * MINUTE_MS,
  }));

const every = z
  .strictObject({
    every: durationMs.refine((ms) => ms >= MIN_EVERY_MS, 'expected at least 1s'),
    /** A moment at which one of these windows begins. */
    anchor: z.iso
      .datetime({ offset: true, error: 'expected a time such as 2025-11-24T00:00:00Z' })
      .default('1970-01-01T00:00:00Z'),
  })
  .transform(({ every: everyMs, anchor }) => ({ kind: 'every' as const, everyMs, anchorMs: Date.parse(anchor) }));

export const resetsSchema = z.union([daily, every], {
  error: "expected { daily: '00:00' } (UTC) or { every: 20s, anchor: 2025-11-24T00:00:00Z }",
});
/** When the windows of a limit reset. */
export type Resets = z.output<typeof resetsSchema>;

export interface Window {
  /** Names it among its kind: start and end as an ISO 8601 interval. */
  id: string;
  startsAtMs: number;
  /** The first moment that no longer belongs to it. */
  resetsAtMs: number;
}

/** The window into which the moment `atMs` falls. */
export function windowAt(resets: Resets, atMs: number): Window {
  const [lengthMs, anchorMs] = resets.kind === 'daily' ? [DAY_MS, resets.atMs] : [resets.everyMs, resets.anchorMs];
  const startsAtMs = anchorMs + Math.floor((atMs - anchorMs) / lengthMs) * lengthMs;
  const resetsAtMs = startsAtMs + lengthMs;
  return { id: `${new Date(startsAtMs).toISOString()}/${new Date(resetsAtMs).toISOString()}`, startsAtMs, resetsAtMs };
}

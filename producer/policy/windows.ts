/**
 * Windows: the time over which a limit counts. Owns the kinds there are, how they are written, and where a fixed one
 * begins and ends. Pure; times are milliseconds since 1970.
 *
 *   daily    from a time of day in a time zone to the same time on the next date: 23 or 25 hours where clocks change
 *   every    of one length, one after the other, from an anchor
 *   rolling  the last so long, up to now: it never resets, what is old falls out of it
 *
 * The first two are fixed: what was used in one only grows until it resets.
 */
import { z } from 'zod';
import { durationMs } from '../../shared/duration.ts';
import { isMapping, pickSchema } from './pick-schema.ts';
import { dayAt, firstMomentAt, isZone } from './zone.ts';

/** A window shorter than this would be over before its order has reached a host. */
const MIN_EVERY_MS = 1_000;
/** A rolling window shorter than this would hold no two readings. */
const MIN_ROLLING_MS = 10_000;
/** No window is longer: what is remembered of one, is remembered for as long. */
const MAX_WINDOW_MS = 31 * 86_400_000;

const TIME_OF_DAY = "expected a time of day such as '00:00', in quotes";
/** A time of day, as minutes since midnight. */
export const resetTime = z
  .string(TIME_OF_DAY)
  .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, TIME_OF_DAY)
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));

const ZONE = 'expected a time zone such as UTC or Europe/London';
export const zoneName = z.string(ZONE).refine(isZone, ZONE);

const lengthMs = (minMs: number, expected: string) =>
  durationMs.refine((ms) => ms >= minMs && ms <= MAX_WINDOW_MS, `expected ${expected}`);

const kinds = {
  daily: z
    .strictObject({ daily: resetTime, /** Left out: the account's. */ zone: zoneName.optional() })
    .transform(({ daily: minuteOfDay, zone }) => ({ kind: 'daily' as const, minuteOfDay, zone: zone ?? null })),
  every: z
    .strictObject({
      every: lengthMs(MIN_EVERY_MS, '1s to 31d'),
      /** A moment at which one of these windows begins. */
      anchor: z.iso
        .datetime({ offset: true, error: 'expected a time such as 2025-11-24T00:00:00Z' })
        .default('1970-01-01T00:00:00Z'),
    })
    .transform(({ every: everyMs, anchor }) => ({ kind: 'every' as const, everyMs, anchorMs: Date.parse(anchor) })),
  rolling: z
    .strictObject({ rolling: lengthMs(MIN_ROLLING_MS, '10s to 31d') })
    .transform(({ rolling }) => ({ kind: 'rolling' as const, lengthMs: rolling })),
};
const KIND =
  "expected { daily: '00:00', zone: Europe/London }, { rolling: 1h } or { every: 6h, anchor: 2025-11-24T00:00:00Z }";

export const windowSchema = pickSchema<z.output<(typeof kinds)[keyof typeof kinds]>>(KIND, (raw) => {
  const named = isMapping(raw)
    ? (['daily', 'every', 'rolling'] as const).filter((kind) => Object.hasOwn(raw, kind))
    : [];
  return named.length === 1 ? kinds[named[0]!] : undefined;
});
/** A window as the config has it; a daily one may leave its zone to the account. */
export type WindowSetting = z.output<typeof windowSchema>;

/** A window with nothing left open. */
export type Window =
  | { kind: 'daily'; minuteOfDay: number; zone: string }
  | { kind: 'every'; everyMs: number; anchorMs: number }
  | { kind: 'rolling'; lengthMs: number };
export type FixedWindow = Exclude<Window, { kind: 'rolling' }>;

/** One stretch of a fixed window. */
export interface Span {
  startsAtMs: number;
  /** The first moment that no longer belongs to it. */
  resetsAtMs: number;
}

/** The stretch into which the moment `atMs` falls. */
export function spanAt(window: FixedWindow, atMs: number): Span {
  if (window.kind === 'daily') return dailySpanAt(window.zone, window.minuteOfDay, atMs);
  const { everyMs, anchorMs } = window;
  const startsAtMs = anchorMs + Math.floor((atMs - anchorMs) / everyMs) * everyMs;
  return { startsAtMs, resetsAtMs: startsAtMs + everyMs };
}

/** The stretch last asked for, by zone and time: most questions are about the same day. Bounded. */
const lastSpans = new Map<string, Span>();
const MAX_LAST_SPANS = 10_000;

function dailySpanAt(zone: string, minuteOfDay: number, atMs: number): Span {
  const key = `${minuteOfDay} ${zone}`;
  const last = lastSpans.get(key);
  if (last && last.startsAtMs <= atMs && atMs < last.resetsAtMs) return last;
  const span = findDailySpan(zone, minuteOfDay, atMs);
  if (lastSpans.size >= MAX_LAST_SPANS) lastSpans.clear();
  lastSpans.set(key, span);
  return span;
}

function findDailySpan(zone: string, minuteOfDay: number, atMs: number): Span {
  // The day before, as a clock that goes back over midnight shows the old date again after the new one has begun.
  let day = dayAt(zone, atMs) - 1;
  let startsAtMs = firstMomentAt(zone, day, minuteOfDay);
  for (;;) {
    day += 1;
    const resetsAtMs = firstMomentAt(zone, day, minuteOfDay);
    // A date that a zone left out, as Samoa did with 30 December 2011, begins and ends at once, and is passed over.
    if (resetsAtMs > atMs) return { startsAtMs, resetsAtMs };
    startsAtMs = resetsAtMs;
  }
}

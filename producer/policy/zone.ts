/**
 * Wall clocks of time zones: which date it is somewhere, and when its clock first reads a time on a date. Pure, over
 * the zone data that comes with Node. Owns the days on which clocks change, where a time is read twice or never.
 *
 * Made on Intl and not on Temporal, which Node 24 has only behind a flag (the tests take it from there and check this
 * file against it); a library for two functions would be a dependency more, and luxon leaves open which of two it gives.
 */

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** A day of the calendar, counted from 1970-01-01 in no zone. */
export type DayNumber = number;

/** Formats by zone. Building one costs 35 µs, asking it 1 µs. */
const formats = new Map<string, Intl.DateTimeFormat>();
/** More zones than the world has. */
const MAX_FORMATS = 1_000;

/** True for a name that this machine knows, such as `Europe/London` or `UTC`. */
export function isZone(zone: string): boolean {
  try {
    return formatOf(zone) !== undefined;
  } catch {
    return false;
  }
}

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
    if (formats.size >= MAX_FORMATS) formats.clear();
    formats.set(zone, format);
  }
  return format;
}

/** How far the zone's clock is ahead of UTC at a moment, milliseconds. Throws RangeError for an unknown zone. */
export function offsetMs(zone: string, atMs: number): number {
  if (zone === 'UTC') return 0;
  // `12/31/1969, GMT-05:00`; `GMT` alone is zero; seconds are there where the offset has some, as before 1972.
  const [, sign, hours, minutes, seconds = '0'] =
    /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(formatOf(zone).format(atMs)) ?? [];
  if (sign === undefined) return 0;
  const ahead = (Number(hours) * 60 + Number(minutes)) * MINUTE_MS + Number(seconds) * SECOND_MS;
  return sign === '-' ? -ahead : ahead;
}

/** The date that the zone's calendar shows at a moment. */
export function dayAt(zone: string, atMs: number): DayNumber {
  return Math.floor((atMs + offsetMs(zone, atMs)) / DAY_MS);
}

/**
 * The first moment of a date at which the zone's clock reads `minuteOfDay` or later. So a time that is read twice, as
 * clocks go back, counts the first time; one that is never read, as they go forward, counts when they jump over it.
 */
export function firstMomentAt(zone: string, day: DayNumber, minuteOfDay: number): number {
  const wallMs = day * DAY_MS + minuteOfDay * MINUTE_MS;
  // Clocks do not change twice within two days, so one of these two holds at the time itself.
  const offsets = [offsetMs(zone, wallMs - DAY_MS), offsetMs(zone, wallMs + DAY_MS)];
  const earlyMs = wallMs - Math.max(...offsets);
  const lateMs = wallMs - Math.min(...offsets);
  if (earlyMs + offsetMs(zone, earlyMs) === wallMs) return earlyMs;
  if (lateMs + offsetMs(zone, lateMs) === wallMs) return lateMs;
  return changeBetween(zone, earlyMs, lateMs);
}

/** The moment after `fromMs`, and no later than `toMs`, from which on the offset is that of `toMs`. To the second. */
function changeBetween(zone: string, fromMs: number, toMs: number): number {
  const offsetAfter = offsetMs(zone, toMs);
  let [beforeMs, afterMs] = [fromMs, toMs];
  while (afterMs - beforeMs > SECOND_MS) {
    const middleMs = beforeMs + Math.floor((afterMs - beforeMs) / (2 * SECOND_MS)) * SECOND_MS;
    if (offsetMs(zone, middleMs) === offsetAfter) afterMs = middleMs;
    else beforeMs = middleMs;
  }
  return afterMs;
}

/** `2025-11-24T16:00:05` as the zone's clock shows it, without the zone. */
export function wallTime(zone: string, atMs: number): string {
  return new Date(atMs + offsetMs(zone, atMs)).toISOString().slice(0, 19);
}

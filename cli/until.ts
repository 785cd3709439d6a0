/** Until when, as operators say it: a time with its zone, a time of day, or `tomorrow`. Pure: text in, a moment or a usage error out. */
import { dayAt, firstMomentAt } from '../producer/policy/zone.ts';
import { HobblerError } from '../shared/errors.ts';

/** A moment after `nowMs`, milliseconds since 1970; a time of day is the next one in `zone`. Throws invalid-input. */
export function parseUntil(text: string, zone: string, nowMs: number, where = '--until'): number {
  const atMs = momentOf(text, zone, nowMs);
  if (atMs === null) {
    throw new HobblerError('invalid-input', 'not a time', {
      where,
      expected: 'such as 2025-11-24T18:00:00Z, 18:00 or tomorrow',
      got: text,
    });
  }
  if (atMs > nowMs) return atMs;
  throw new HobblerError('invalid-input', 'that time has passed', { where, got: text });
}

function momentOf(text: string, zone: string, nowMs: number): number | null {
  const today = dayAt(zone, nowMs);
  if (text === 'tomorrow') return firstMomentAt(zone, today + 1, 0);
  const [, hours, minutes] = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  if (hours !== undefined) {
    const minuteOfDay = Number(hours) * 60 + Number(minutes);
    const atMs = firstMomentAt(zone, today, minuteOfDay);
    return atMs > nowMs ? atMs : firstMomentAt(zone, today + 1, minuteOfDay);
  }
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/.test(text)) return null;
  const parsedMs = Date.parse(text);
  return Number.isNaN(parsedMs) ? null : parsedMs;
}

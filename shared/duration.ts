/** Durations as people write them: `90s`, `30m`, `2h`, `1d`, `1h30m`. Owns the parsing and printing of them. */
import { z } from 'zod';
import { HobblerError } from './errors.ts';

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const WHOLE = /^(?:\d+(?:ms|s|m|h|d))+$/;
const PART = /(\d+)(ms|s|m|h|d)/g;

/** Milliseconds of a duration such as `30m` or `1h30m`. Throws invalid-input naming `where`. */
export function parseDurationMs(text: string, where = 'duration'): number {
  if (!WHOLE.test(text)) {
    throw new HobblerError('invalid-input', 'not a duration', {
      where,
      expected: 'such as 90s, 30m, 1h30m, 1d',
      got: text,
    });
  }
  let totalMs = 0;
  for (const [, count, unit] of text.matchAll(PART)) totalMs += Number(count) * UNIT_MS[unit!]!;
  if (!Number.isSafeInteger(totalMs)) {
    throw new HobblerError('invalid-input', 'duration too long', { where, got: text });
  }
  return totalMs;
}

/** A config field that takes a duration text and gives milliseconds. */
export const durationMs = z.string().transform((text, context) => {
  try {
    return parseDurationMs(text);
  } catch {
    context.addIssue({ code: 'custom', message: `expected a duration such as 90s, 30m, 1h30m, 1d` });
    return z.NEVER;
  }
});

/** The two largest units that say it: `1h 05m`, `4m 10s`, `12s`. For people, not for parsing. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000));
  const two = (value: number) => String(value).padStart(2, '0');
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h ${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d ${two(hours % 24)}h`;
}

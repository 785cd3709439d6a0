/**
 * Readings: one usage figure from an accounting system, and how it is completed from the config to something that can
 * be judged. Pure. A reading is cumulative (what the account has used in its window so far), so one that comes twice
 * changes nothing. Each is parsed and refused for itself, with path, expected and got; the rest goes on.
 */
import { z } from 'zod';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { FLEET, hostName, invalid } from '../shared/order.ts';
import { parseTarget } from '../shared/target.ts';
import { limitOf, type ProducerConfig, placesOf } from './config.ts';
import { accountName, resourceLabel, unitLabel } from './labels.ts';
import type { Place } from './place.ts';
import { windowAt } from './window.ts';

/** The year 2100: a time in microseconds, taken for milliseconds, lies far beyond. */
const MAX_EPOCH_MS = 4_102_444_800_000;
/** 2001: a time in seconds, taken for milliseconds, lies before it. */
const MIN_EPOCH_MS = 1_000_000_000_000;
/** A reading may be stamped by a clock that is this much ahead of ours. */
const MAX_AHEAD_MS = 60_000;
/** The longest line or single reading that is looked at. */
export const MAX_READING_CHARS = 16_384;

const EXPECTED_TIME = 'expected a time in ISO 8601 with zone, or in milliseconds since 1970';
const moment = z
  .union([
    z.int(EXPECTED_TIME).min(MIN_EPOCH_MS, EXPECTED_TIME).max(MAX_EPOCH_MS, EXPECTED_TIME),
    z.iso.datetime({ offset: true, error: EXPECTED_TIME }),
  ])
  .transform((value) => (typeof value === 'number' ? value : Date.parse(value)));

const text = (maxChars: number) =>
  z
    .string()
    .min(1)
    .max(maxChars)
    .regex(/^\P{Cc}*$/u, 'expected no control characters');

// Strict: a misspelt `limit` would otherwise silently become the default one.
export const readingSchema = z.strictObject({
  account: accountName,
  /** Used in the window so far. */
  used: z.number().min(0),
  /** Absent: by config. Zero is refused, as it means "none" here and "no limit" there. */
  limit: z.number().positive().optional(),
  unit: unitLabel.optional(),
  /** What is used, e.g. `cpu`. */
  resource: resourceLabel.optional(),
  /** The accounting system's name of the window; another name is another window. */
  window: text(128).optional(),
  resetsAt: moment.optional(),
  /** When it was taken; absent: now. */
  at: moment.optional(),
  /** The sender's name of this reading, repeated where it is refused. */
  id: text(128).optional(),
  host: z.union([hostName, z.literal(FLEET)], { error: 'expected a host name of [a-z0-9.-], or *' }).optional(),
  target: text(1024).optional(),
});
export type Reading = z.output<typeof readingSchema>;

/** A reading, or why there is none. */
export type ReadingInput = { reading: Reading } | { refused: string };

/** Parses one reading that came as a value. Never throws. */
export function parseReading(raw: unknown): ReadingInput {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    const got = Array.isArray(raw) ? 'an array' : raw === null ? 'null' : `a ${typeof raw}`;
    return { refused: `reading: expected an object; got ${got}` };
  }
  const parsed = readingSchema.safeParse(raw);
  if (parsed.success) return { reading: parsed.data };
  const { id } = raw as { id?: unknown };
  const name = typeof id === 'string' && id.length <= 128 ? `reading ${JSON.stringify(id)}` : 'reading';
  return { refused: describe(() => invalid(parsed.error, raw, name).message) };
}

/** Parses one line of JSON. Never throws. */
export function parseReadingText(line: string): ReadingInput {
  if (line.length > MAX_READING_CHARS) {
    return { refused: `reading: expected at most ${MAX_READING_CHARS} characters; got ${line.length}` };
  }
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch (error) {
    return { refused: `reading: not JSON (${printable(messageOf(error))})` };
  }
  return parseReading(raw);
}

/** A value nested deeper than the stack cannot be quoted in a message. */
function describe(say: () => string): string {
  try {
    return printable(say());
  } catch {
    return 'reading: nested too deep';
  }
}

function printable(message: string): string {
  return message.replace(/\p{Cc}/gu, '?').slice(0, 1_000);
}

/** A reading with everything filled in: what the policy judges. Times in milliseconds since 1970. */
export interface Usage {
  account: string;
  /** What of the account is judged: ACCOUNT_WIDE, or the host and target that the reading named. */
  subject: string;
  used: number;
  limit: number;
  unit: string;
  resource: string;
  /** Null: the accounting system names none and gives a reset time alone. */
  window: string | null;
  /** True when the accounting system itself named the window. */
  isWindowNamed: boolean;
  /** Null: not known. */
  resetsAtMs: number | null;
  readAtMs: number;
  places: Place[];
}

export const ACCOUNT_WIDE = 'account';

export type UsageInput = { usage: Usage } | { refused: string };

/** Fills in limit, window and places from the config. Says why when that cannot be done. */
export function completeReading(reading: Reading, config: ProducerConfig, nowMs: number): UsageInput {
  const { account, used, window, resetsAt } = reading;
  const readAtMs = reading.at ?? nowMs;
  if (readAtMs > nowMs + MAX_AHEAD_MS) {
    return { refused: `reading.at: lies ${Math.round((readAtMs - nowMs) / 1000)} s ahead of this machine's clock` };
  }
  const byConfig = limitOf(config, account);
  const limit = reading.limit ?? byConfig?.used;
  if (limit === undefined) {
    return { refused: 'reading.limit: expected a limit, as the config has none for this account; got nothing' };
  }
  let places: Place[];
  try {
    places = placesFor(reading, config);
  } catch (error) {
    return { refused: printable(messageOf(error)) };
  }
  // Only who says nothing of windows gets ours: our reset time need not be theirs.
  const ours =
    window === undefined && resetsAt === undefined && byConfig ? windowAt(byConfig.resets, readAtMs) : undefined;
  const usage: Usage = {
    account,
    subject: reading.host === undefined && reading.target === undefined ? ACCOUNT_WIDE : subjectOf(reading),
    used,
    limit,
    // A limit of the reading's own need not be in the unit of ours.
    unit: reading.unit ?? (reading.limit === undefined ? (byConfig?.unit ?? '') : ''),
    resource: reading.resource ?? (reading.limit === undefined ? (byConfig?.resource ?? '') : ''),
    window: window ?? ours?.id ?? null,
    isWindowNamed: window !== undefined,
    resetsAtMs: resetsAt ?? ours?.resetsAtMs ?? null,
    readAtMs: Math.min(readAtMs, nowMs),
    places,
  };
  return { usage };
}

function subjectOf({ host, target }: Reading): string {
  return `${host ?? FLEET} ${target ?? '-'}`;
}

function placesFor({ account, host, target }: Reading, config: ProducerConfig): Place[] {
  const places =
    target === undefined
      ? placesOf(config, account).filter((place) => host === undefined || [host, FLEET].includes(place.host))
      : [{ host: host ?? FLEET, target }];
  if (places.length === 0) {
    throw new HobblerError('invalid-input', 'the config gives this account no target there', {
      where: 'reading.host',
      got: host,
    });
  }
  return places.map((place) => {
    if (target === undefined && place.target === `user:${account}`) requireUserName(place.target, account);
    else parseTarget(place.target, 'reading.target');
    if (target?.startsWith('pid:') && (host ?? FLEET) === FLEET) {
      throw new HobblerError('invalid-input', 'a pid target needs the host it is on', { where: 'reading.host' });
    }
    return { host: host ?? place.host, target: place.target };
  });
}

function requireUserName(target: string, account: string): void {
  try {
    parseTarget(target);
  } catch {
    throw new HobblerError('invalid-input', 'the account is no user name, so it stands for no target', {
      where: 'reading.account',
      got: account,
      hint: 'name host and target in the reading, or list them under producer.accounts',
    });
  }
}

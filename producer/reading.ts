/**
 * Readings: one usage figure from an accounting system, and how it is completed from the config to something that can
 * be judged. Pure. A reading is cumulative (what the account has used in its window so far, or a running total), so one
 * that comes twice changes nothing. Each is parsed and refused for itself, with path, expected and got; the rest goes on.
 */
import { z } from 'zod';
import { HobblerError, messageOf } from '../shared/errors.ts';
import { FLEET, hostName, invalid } from '../shared/order.ts';
import { parseTarget } from '../shared/target.ts';
import { type ProducerConfig, placesOf } from './config.ts';
import { accountName, resourceLabel, unitLabel } from './labels.ts';
import type { Place } from './place.ts';
import { attribute, type PolicyReading } from './policy/attribute.ts';
import { NAME, NAME_FORM } from './policy/config-check.ts';
import type { AccountRules } from './policy/rules.ts';

/** The year 2100: a time in microseconds, taken for milliseconds, lies far beyond. */
const MAX_EPOCH_MS = 4_102_444_800_000;
/** 2001: a time in seconds, taken for milliseconds, lies before it. */
const MIN_EPOCH_MS = 1_000_000_000_000;
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
export const readingSchema = z
  .strictObject({
    account: accountName,
    /** Used in the window so far. */
    used: z.number().min(0).optional(),
    /** In place of `used`: a counter that only grows, from which every window of the config is measured. */
    total: z.number().min(0).optional(),
    /** Of the config; which of an account's limits `used` is about. */
    limitName: z.string().regex(NAME, NAME_FORM).optional(),
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
    /** The sender's name of this reading: one that comes twice counts once. Repeated where it is refused. */
    id: text(128).optional(),
    host: z.union([hostName, z.literal(FLEET)], { error: 'expected a host name of [a-z0-9.-], or *' }).optional(),
    target: text(1024).optional(),
  })
  .refine(({ used, total }) => (used === undefined) !== (total === undefined), {
    path: ['used'],
    error: 'expected either used (in a window) or total (a running total)',
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

/** A reading with everything filled in: what the policy judges, of whom, and where that is slowed. */
export interface CompleteReading {
  account: string;
  /** What of the account is judged: ACCOUNT_WIDE, or the host and target that the reading named. */
  subject: string;
  reading: PolicyReading;
}

export const ACCOUNT_WIDE = 'account';
/** In a subject: the reading named no target. */
const ANY_TARGET = '-';

/** Fills in what the config knows. Says why when that cannot be done. */
export function completeReading(
  reading: Reading,
  config: Pick<ProducerConfig, 'accounts'>,
  rules: AccountRules,
  nowMs: number,
): CompleteReading | { refused: string } {
  const { account } = reading;
  const subject = subjectOf(reading);
  try {
    placesOfSubject(account, subject, config);
  } catch (error) {
    return { refused: printable(messageOf(error)) };
  }
  const attributed = attribute(reading, rules, nowMs);
  return 'refused' in attributed ? { refused: printable(attributed.refused) } : { account, subject, ...attributed };
}

/** What of an account a reading is about. */
export function subjectOf({ host, target }: Reading): string {
  if (host === undefined && target === undefined) return ACCOUNT_WIDE;
  return `${host ?? FLEET} ${target ?? ANY_TARGET}`;
}

/** Where a subject is slowed: what its readings named, else by the config. Throws invalid-input when that is nowhere. */
export function placesOfSubject(account: string, subject: string, config: Pick<ProducerConfig, 'accounts'>): Place[] {
  const [, host, named] = subject === ACCOUNT_WIDE ? [] : (/^(\S+) (.+)$/s.exec(subject) ?? []);
  const target = named === ANY_TARGET ? undefined : named;
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

/**
 * The one error type of hobbler. It owns the shape in which bad input is reported: what, where, expected, got, and
 * what to do about it. Expected outcomes (a stale order, a refused reading) are unions, never errors; this is for
 * what a caller cannot go on from, and for messages that reach a person.
 */

export type ErrorCode =
  | 'invalid-input'
  | 'invalid-config'
  | 'unauthorized'
  | 'not-found'
  | 'redis-unavailable'
  | 'redis-misconfigured'
  | 'producer-unavailable'
  | 'host-locked'
  | 'unsupported'
  | 'denied'
  | 'bound-exceeded'
  | 'internal';

export interface ErrorParts {
  /** Where it was found: a path in a document, a file with its line, a key, an option. */
  where?: string;
  expected?: string;
  got?: unknown;
  /** What the reader can do about it. */
  hint?: string;
  cause?: unknown;
}

/** An error that says what, where, expected, got, and what to do. Its `message` holds it all on one line. */
export class HobblerError extends Error {
  readonly code: ErrorCode;
  readonly where: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, what: string, parts: ErrorParts = {}) {
    const pieces = [parts.where ? `${parts.where}: ${what}` : what];
    if (parts.expected !== undefined) pieces.push(`expected ${parts.expected}`);
    if ('got' in parts) pieces.push(`got ${quote(parts.got)}`);
    if (parts.hint !== undefined) pieces.push(parts.hint);
    super(pieces.join('; '), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = 'HobblerError';
    this.code = code;
    this.where = parts.where;
    this.hint = parts.hint;
  }
}

/** How much of a hostile value a message may repeat, in characters. */
const MAX_QUOTED_CHARS = 80;

/** A value as a message may show it: JSON, control characters escaped, cut to a bounded length. */
export function quote(value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    // A cycle, a bigint, or nested past what the stack holds: String() of an array would fail on that as well.
    text = typeof value === 'object' ? Object.prototype.toString.call(value) : String(value);
  }
  return text.length > MAX_QUOTED_CHARS ? `${text.slice(0, MAX_QUOTED_CHARS)}… (${text.length} characters)` : text;
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** For the `default:` of a switch over a union: the compiler proves that it cannot be reached. */
export function unreachable(value: never): never {
  throw new HobblerError('internal', 'a case that the types rule out was reached', { got: value });
}

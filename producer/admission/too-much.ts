/**
 * The refusal of a front door that is full: nothing was taken in, and when it is worth coming back. The HTTP door makes
 * it a 429 with Retry-After; the other sources wait and try again.
 */
import { HobblerError } from '../../shared/errors.ts';

export class TooMuch extends HobblerError {
  /** How long the sender should stay away, milliseconds. */
  readonly retryAfterMs: number;

  constructor(what: string, retryAfterMs: number, parts: { where?: string; got?: unknown } = {}) {
    super('bound-exceeded', what, { ...parts, hint: `nothing was taken; send it again in ${seconds(retryAfterMs)} s` });
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whole seconds, as Retry-After has them; never too early. */
export function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000));
}

/**
 * The brake: when more than a set share of all accounts would enter at once, it is the accounting that is broken and
 * not so many people. Then nobody enters until an operator says so; who is in stays in, and gets out as ever. Pure.
 *
 *            more than `share` of the known accounts, and more than `atLeast`, would enter within `within`
 *   open ──────────────────────────────────────────────────────────────────────────────────────────────► held
 *        ◄──────────────────────────────────────────────────────────────────────────────────────────────
 *                       an operator lets go: to go on counting, or to let them in for a time
 */
import { z } from 'zod';
import { percent } from '../words.ts';
import type { BrakeSettings } from './config.ts';

const epochMs = z.number().min(0);
export const brakeStateSchema = z.object({
  v: z.literal(1),
  /** Entries of the last `within`: when (rounded) and how many. */
  entries: z.array(z.tuple([epochMs, z.int().min(1)])).max(64),
  held: z.object({ sinceMs: epochMs, entering: z.int(), known: z.int() }).nullable(),
  /** An operator has looked, and lets everybody in until then. */
  open: z.object({ untilMs: epochMs, by: z.string(), why: z.string() }).nullable(),
});
export type BrakeState = z.infer<typeof brakeStateSchema>;
export const BRAKE_OPEN: BrakeState = { v: 1, entries: [], held: null, open: null };

/** Entries are counted in so many parts of `within`. */
const PARTS = 30;

/** Whether anybody may enter. */
export function isHeld({ held }: BrakeState): boolean {
  return held !== null;
}

export interface Crowd {
  /** Accounts that would enter in this pass. */
  entering: number;
  /** Accounts that are known, in or out. */
  known: number;
  /** Milliseconds since 1970. */
  nowMs: number;
}

/** Lets a crowd in or holds it as a whole; says so in words when the brake has just begun to hold. */
export function admit(
  state: BrakeState,
  settings: BrakeSettings | 'off',
  { entering, known, nowMs }: Crowd,
): { state: BrakeState; isAdmitted: boolean; alert: string | null } {
  if (settings === 'off') return { state: BRAKE_OPEN, isAdmitted: true, alert: null };
  if (state.held) return { state, isAdmitted: false, alert: null };
  if (entering === 0) return { state, isAdmitted: true, alert: null };
  const { share, atLeast, within: withinMs } = settings;
  const partMs = Math.ceil(withinMs / PARTS);
  const entries = addEntries(
    state.entries.filter(([atMs]) => atMs > nowMs - withinMs && atMs <= nowMs),
    Math.floor(nowMs / partMs) * partMs,
    entering,
  );
  const open = state.open && state.open.untilMs > nowMs ? state.open : null;
  const sum = entries.reduce((total, [, count]) => total + count, 0);
  if (open || sum <= Math.max(atLeast, share * known)) {
    // Who was let in on an operator's word is not counted against those who come after.
    return { state: { ...state, entries: open ? [] : entries, open }, isAdmitted: true, alert: null };
  }
  const held = { sinceMs: nowMs, entering: sum, known };
  return { state: { ...state, entries: [], held, open: null }, isAdmitted: false, alert: alertOf(held, settings) };
}

function addEntries(entries: BrakeState['entries'], partAtMs: number, count: number): BrakeState['entries'] {
  const last = entries.at(-1);
  if (last?.[0] === partAtMs) return [...entries.slice(0, -1), [partAtMs, last[1] + count]];
  return [...entries, [partAtMs, count]];
}

function alertOf({ entering, known }: NonNullable<BrakeState['held']>, { share, atLeast }: BrakeSettings): string {
  const bound = share * known > atLeast ? `${percent(share)} of them` : `${atLeast}`;
  return `the brake holds: ${entering} of ${known} accounts would be in, more than ${bound}; is the accounting right? Nobody enters until an operator lets go`;
}

/**
 * An operator lets go of the brake. With `letInUntilMs` everybody who is over may enter until then (the figures are
 * right); without, entries are counted anew (the accounting is mended).
 */
export function letGo(
  state: BrakeState,
  { by, why, letInUntilMs }: { by: string; why: string; letInUntilMs: number | null },
): BrakeState {
  return { ...state, held: null, entries: [], open: letInUntilMs === null ? null : { untilMs: letInUntilMs, by, why } };
}

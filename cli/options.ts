/** Options that several commands share, parsed and checked. Pure: text in, values or a usage error out. */
import { type Command, Option } from 'commander';
import { parseDurationMs } from '../shared/duration.ts';
import { HobblerError } from '../shared/errors.ts';
import {
  DEFAULT_RUN_MS,
  DEFAULT_STOP_MS,
  type Hobble,
  hobbleSchema,
  invalid,
  MAX_LEASE_MS,
  MAX_RUN_MS,
  MAX_STOP_MS,
  MECHANISMS,
} from '../shared/order.ts';

export interface HobbleOptions {
  runMs: number;
  stopMs: number;
  mechanism: string;
  every?: boolean;
}

/** Adds --run-ms, --stop-ms, --mechanism and --every. */
export function addHobbleOptions(command: Command): Command {
  return command
    .option('--run-ms <ms>', `run phase, 1 to ${MAX_RUN_MS}`, parseWhole('--run-ms'), DEFAULT_RUN_MS)
    .option('--stop-ms <ms>', `stop phase, 1 to ${MAX_STOP_MS}`, parseWhole('--stop-ms'), DEFAULT_STOP_MS)
    .addOption(
      new Option('--mechanism <name>', 'how a phase is enforced').choices(['auto', ...MECHANISMS]).default('auto'),
    )
    .option('--every', 'cycle the target even while it is idle');
}

/** The duty cycle that was asked for. Throws invalid-input for one out of bounds. */
export function parseHobble({ runMs, stopMs, mechanism, every }: HobbleOptions): Hobble {
  const raw = { runMs, stopMs, mechanism, ...(every ? { every } : {}) };
  const parsed = hobbleSchema.safeParse(raw);
  if (!parsed.success) throw invalid(parsed.error, raw, 'duty cycle');
  return parsed.data;
}

/** A parser of whole numbers for an option. */
export function parseWhole(where: string): (text: string) => number {
  return (text) => {
    if (/^\d{1,15}$/.test(text)) return Number(text);
    throw new HobblerError('invalid-input', 'not a whole number', { where, got: text });
  };
}

/** A parser of durations for an option. */
export function parseDuration(where: string): (text: string) => number {
  return (text) => parseDurationMs(text, where);
}

/** How long an order lives: more than nothing, at most 24 h (invariant 2). */
export function parseLease(text: string): number {
  const forMs = parseDurationMs(text, '--for');
  if (forMs > 0 && forMs <= MAX_LEASE_MS) return forMs;
  throw new HobblerError('invalid-input', 'not a time that an order may live', {
    where: '--for',
    expected: 'more than 0s and at most 24h',
    got: text,
  });
}

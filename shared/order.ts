/**
 * The order: the message that puts a target in the tarpit or takes it out. This schema is hobbler's public contract
 * (docs/contract.md) and the same one is used by who gives orders and by the worker that takes them.
 *
 * A reader takes what it knows: unknown fields are ignored but kept, because the signature covers the whole order
 * (invariant 7). A higher major version is refused clearly.
 */
import { z } from 'zod';
import { HobblerError, quote } from './errors.ts';
import { parseTarget, type Target } from './target.ts';

/** The major version of the order schema that this code reads and writes. */
export const ORDER_SCHEMA_VERSION = 1;

/** No order lives longer than this (invariant 2). */
export const MAX_LEASE_MS = 24 * 3_600_000;
/** Room for clocks and queues beyond the longest lease, before a tombstone may go. */
const TOMBSTONE_MARGIN_MS = 3_600_000;
/** Versions further ahead of Redis's clock than this are invalid. */
export const MAX_VERSION_AHEAD_MS = 60_000;
/** A serialized order past this is refused unread. */
export const MAX_ORDER_BYTES = 16_384;
/** Levels of nesting that an order may have, fields that we do not know included; ours have two. */
const MAX_ORDER_DEPTH = 8;

/** Bounds on the two phases. A longer stop phase would break connections and hold locks; see docs/architecture.md. */
export const MAX_STOP_MS = 10_000;
export const MAX_RUN_MS = 10_000;
export const DEFAULT_RUN_MS = 10;
export const DEFAULT_STOP_MS = 200;

export const FLEET = '*';
/** Every mechanism by which a phase can be enforced. */
export const MECHANISMS = ['signal', 'freezer', 'quota'] as const;
export type MechanismName = (typeof MECHANISMS)[number];

export const hostName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/, 'expected a host name of [a-z0-9.-]');

const targetText = z.string().superRefine((text, context) => {
  try {
    parseTarget(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
  }
});

const epochMs = z.int().min(0);
/** No line breaks or other control characters: these texts reach logs, tables and pages. */
const oneLine = (maxChars: number) =>
  z
    .string()
    .max(maxChars)
    .regex(/^\P{Cc}*$/u, 'expected no control characters');

export const hobbleSchema = z.object({
  runMs: z.int().min(1).max(MAX_RUN_MS),
  stopMs: z.int().min(1).max(MAX_STOP_MS),
  mechanism: z.enum(['auto', ...MECHANISMS]).default('auto'),
  /** True: cycle the target even while it is idle. */
  every: z.boolean().optional(),
});
/** The duty cycle of an order and how it is to be enforced. `runMs` out of `runMs + stopMs`, milliseconds. */
export type Hobble = z.infer<typeof hobbleSchema>;

const common = {
  v: z.literal(ORDER_SCHEMA_VERSION),
  host: z.union([hostName, z.literal(FLEET)]),
  target: targetText,
  account: oneLine(256).min(1).optional(),
  /** Grows per target; in milliseconds of Redis's clock, or one more than its predecessor. */
  version: z.int().min(1),
  issuedAt: epochMs,
  reason: oneLine(500).default(''),
  by: oneLine(128).min(1).default('unknown'),
  keyId: z.string().max(128).optional(),
  /** Ed25519 over the canonical order without this field, base64url. */
  signature: z.string().max(128).optional(),
};

export const tarpitOrder = z
  .looseObject({
    ...common,
    action: z.literal('tarpit'),
    expiresAt: epochMs,
    hobble: hobbleSchema.prefault({ runMs: DEFAULT_RUN_MS, stopMs: DEFAULT_STOP_MS }),
  })
  .refine((order) => order.expiresAt > order.issuedAt, {
    path: ['expiresAt'],
    message: 'expected later than issuedAt',
  });
export const untarpitOrder = z.looseObject({ ...common, action: z.literal('untarpit') });
export const orderSchema = z.discriminatedUnion('action', [tarpitOrder, untarpitOrder]);

export type TarpitOrder = z.infer<typeof tarpitOrder>;
export type UntarpitOrder = z.infer<typeof untarpitOrder>;
export type Order = TarpitOrder | UntarpitOrder;

/** What came of an order on a host. `invalid` fails the job visibly; all others complete it. */
export type OrderResult =
  | { status: 'applied'; processes: number; mechanism?: MechanismName; heldBy?: string }
  | { status: 'stale'; currentVersion: number }
  | { status: 'expired'; lateMs: number }
  | { status: 'gone' | 'denied' | 'refused' | 'unsupported' | 'invalid'; why: string };
export type OrderStatus = OrderResult['status'];

/** Parses what came over a queue, out of Redis or over HTTP. Throws invalid-input naming path, expected and got. */
export function parseOrder(raw: unknown, where = 'order'): Order {
  return takeOrder(raw, where).order;
}

/**
 * Parses like `parseOrder` what came already parsed, as a job does, and gives its text too: what is measured against the
 * bounds (unknown fields are kept, signed and written back, at any size) is what will be kept of it.
 */
export function takeOrder(raw: unknown, where = 'order'): { order: Order; text: string } {
  requireShallow(raw, where);
  const text = JSON.stringify(raw) ?? '';
  requireSize(text, where);
  return { order: parseBounded(raw, where), text };
}

function parseBounded(raw: unknown, where: string): Order {
  const version = typeof raw === 'object' && raw !== null ? (raw as { v?: unknown }).v : undefined;
  if (typeof version === 'number' && version > ORDER_SCHEMA_VERSION) {
    throw new HobblerError('invalid-input', 'order of a newer schema', {
      where: `${where}.v`,
      expected: `${ORDER_SCHEMA_VERSION}`,
      got: version,
      hint: 'upgrade workers before producers',
    });
  }
  const parsed = orderSchema.safeParse(raw);
  if (!parsed.success) throw invalid(parsed.error, raw, where);
  return parsed.data;
}

function requireShallow(raw: unknown, where: string): void {
  if (!isDeeperThan(raw, MAX_ORDER_DEPTH)) return;
  throw new HobblerError('invalid-input', 'order nested too deep', {
    where,
    expected: `at most ${MAX_ORDER_DEPTH} levels`,
  });
}

function requireSize(text: string, where: string): void {
  const sizeBytes = Buffer.byteLength(text);
  if (sizeBytes > MAX_ORDER_BYTES) {
    throw new HobblerError('invalid-input', 'order too large', {
      where,
      expected: `at most ${MAX_ORDER_BYTES} bytes`,
      got: sizeBytes,
    });
  }
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  for (const key in value) if (isDeeperThan((value as Record<string, unknown>)[key], levels - 1)) return true;
  return false;
}

/** Parses a serialized order, bounded in size. */
export function parseOrderText(text: string, where = 'order'): Order {
  return takeOrderText(text, where).order;
}

/** Parses like `parseOrderText`, and gives what the text says too, unknown fields included: what a signature covers. */
export function takeOrderText(text: string, where = 'order'): { order: Order; raw: Record<string, unknown> } {
  requireSize(text, where);
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    throw new HobblerError('invalid-input', `not JSON (${(error as Error).message})`, { where });
  }
  requireShallow(raw, where);
  return { order: parseBounded(raw, where), raw: raw as Record<string, unknown> };
}

/** Turns zod's faults into one error that names each path with what was expected and what stands there. */
export function invalid(error: z.ZodError, raw: unknown, where: string): HobblerError {
  const faults = error.issues.slice(0, 8).map((issue) => {
    const path = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
    let got: unknown = raw;
    for (const part of issue.path)
      got = typeof got === 'object' && got !== null ? (got as Record<PropertyKey, unknown>)[part] : undefined;
    // A message of zod repeats unknown keys, which may be of any length.
    return `${where}${path}: ${issue.message.slice(0, 300)}; got ${got === undefined ? 'nothing' : quote(got)}`;
  });
  if (error.issues.length > faults.length) faults.push(`and ${error.issues.length - faults.length} more`);
  return new HobblerError('invalid-input', faults.join(' | '));
}

/** The target of a parsed order. */
export function targetOf(order: Order): Target {
  return parseTarget(order.target);
}

/**
 * When a record of this order may be forgotten, in milliseconds of Redis's clock. Untarpits and expired tarpits stay
 * as tombstones, because an older order with a longer lease could otherwise be replayed after them (invariant 3).
 */
export function recordEndsAtMs(order: Order): number {
  const overtakenEndsAtMs = tombstoneEndsAtMs(order.version);
  return order.action === 'tarpit' ? Math.max(order.expiresAt, overtakenEndsAtMs) : overtakenEndsAtMs;
}

/** When no order that this version has overtaken can live any more, in milliseconds of Redis's clock. */
export function tombstoneEndsAtMs(version: number): number {
  return version + MAX_LEASE_MS + TOMBSTONE_MARGIN_MS;
}

/** The share of time that a duty cycle leaves: `runMs / (runMs + stopMs)`, 0 to 1. */
export function runRatio(hobble: { runMs: number; stopMs: number }): number {
  return hobble.runMs / (hobble.runMs + hobble.stopMs);
}

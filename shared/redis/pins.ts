/**
 * Pins: what an operator has said of an account to the policy, one an account. Owns their form, their key and their
 * audit. CLI and admin write them, every producer looks at them each second; what follows from one is the policy's.
 * A pin that cannot be read counts as one that lets its account go (invariant 1: doubt means release).
 */
import { z } from 'zod';
import { HobblerError, messageOf } from '../errors.ts';
import { fleetKeys, ledgerKeys } from '../keys.ts';
import { hobbleSchema } from '../order.ts';
import { appendAudit } from './audit.ts';
import type { Redis } from './connection.ts';

/** Read whole each second by every producer. */
export const MAX_PINS = 10_000;
export const MAX_PIN_REASON_CHARS = 300;

const epochMs = z.number().min(0);
const common = {
  v: z.literal(1),
  setAtMs: epochMs,
  by: z.string().min(1).max(128),
  why: z.string().max(MAX_PIN_REASON_CHARS),
};

/** As Redis keeps it. Times in milliseconds since 1970. */
export const pinSchema = z.discriminatedUnion('kind', [
  /** Out, whatever was used. */
  z.object({ ...common, kind: z.literal('release'), /** Null: until another pin. */ untilMs: epochMs.nullable() }),
  /** In, at this duty cycle or a harsher one of the policy; never without an end. */
  z.object({ ...common, kind: z.literal('keep'), untilMs: epochMs, hobble: hobbleSchema }),
]);
export type Pin = z.infer<typeof pinSchema>;

const DOUBTFUL_PIN: Pin = {
  v: 1,
  kind: 'release',
  setAtMs: 0,
  by: 'unknown',
  why: 'a pin that cannot be read',
  untilMs: null,
};

export interface Pins {
  pins: Map<string, Pin>;
  /** What cannot be read, and why. */
  unreadable: string[];
}

/** Reads all, those included that have ended. Rejects when Redis cannot be asked. */
export async function readPins(redis: Redis): Promise<Pins> {
  const pins = new Map<string, Pin>();
  const unreadable: string[] = [];
  for (const [account, text] of Object.entries(await redis.hgetall(ledgerKeys.pins))) {
    try {
      pins.set(account, pinSchema.parse(JSON.parse(text)));
    } catch (error) {
      pins.set(account, DOUBTFUL_PIN);
      unreadable.push(`pin of ${account}: ${messageOf(error).slice(0, 300)}`);
    }
  }
  return { pins, unreadable };
}

/** Whether a pin counts at that time. */
export function pinStands({ untilMs }: Pin, nowMs: number): boolean {
  return untilMs === null || untilMs > nowMs;
}

/**
 * Pins an account in place of any earlier pin. `act`: the entry of the audit that this is part of. Returns its own entry
 * there. Throws bound-exceeded past MAX_PINS.
 */
export async function putPin(redis: Redis, account: string, pin: Pin, act?: string): Promise<string> {
  const [size, isKnown] = await Promise.all([redis.hlen(ledgerKeys.pins), redis.hexists(ledgerKeys.pins, account)]);
  if (size >= MAX_PINS && isKnown === 0) {
    throw new HobblerError('bound-exceeded', 'too many pins', {
      got: size,
      hint: 'unpin some; `hobbler pins` lists them',
    });
  }
  await redis.hset(ledgerKeys.pins, account, JSON.stringify(pin));
  const until = pin.untilMs === null ? 'until unpinned' : `until ${new Date(pin.untilMs).toISOString()}`;
  const what = pin.kind === 'release' ? 'out' : 'in';
  return audit(redis, 'pin', account, `${what} ${until}: ${pin.why}`, pin.by, act);
}

/** Takes a pin away. Returns its entry in the audit; null: there was none. */
export async function removePin(redis: Redis, account: string, reason: string, by: string): Promise<string | null> {
  if ((await redis.hdel(ledgerKeys.pins, account)) === 0) return null;
  return audit(redis, 'unpin', account, reason, by);
}

/** In the fleet's audit, where `host` and `target` stand for what it is about. */
function audit(redis: Redis, action: string, account: string, reason: string, by: string, act?: string) {
  return appendAudit(redis, fleetKeys.audit, { host: '*', target: account, account, action, reason, by, act });
}

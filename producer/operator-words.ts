/**
 * What operators have said, as it stands in Redis: pins (shared/redis/pins.ts), and whether the brake has been let go.
 * Owns the brake's key and its audit; the CLI writes it, every producer looks at both each second. Decides nothing. A
 * brake that cannot be read lets nobody in (invariant 1: doubt counts towards release).
 */
import { messageOf } from '../shared/errors.ts';
import { fleetKeys, ledgerKeys } from '../shared/keys.ts';
import { appendAudit } from '../shared/redis/audit.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { type Pin, readPins } from '../shared/redis/pins.ts';
import { loadScript, runScript } from '../shared/redis/scripts.ts';
import { BRAKE_OPEN, type BrakeState, brakeStateSchema, letGo } from './policy/brake.ts';

const forgetFields = loadScript('forget-orders');

export interface OperatorWords {
  pins: Map<string, Pin>;
  brake: BrakeState;
  /** What cannot be read, and why. */
  unreadable: string[];
}

/** Reads all. Rejects when Redis cannot be asked. */
export async function readOperatorWords(redis: Redis): Promise<OperatorWords> {
  const [{ pins, unreadable }, brakeText] = await Promise.all([readPins(redis), redis.get(ledgerKeys.brake)]);
  if (brakeText === null) return { pins, brake: BRAKE_OPEN, unreadable };
  try {
    return { pins, brake: brakeStateSchema.parse(JSON.parse(brakeText)), unreadable };
  } catch (error) {
    return { pins, brake: DOUBTFUL_BRAKE, unreadable: [...unreadable, `brake: ${messageOf(error).slice(0, 300)}`] };
  }
}

const DOUBTFUL_BRAKE: BrakeState = { ...BRAKE_OPEN, held: { sinceMs: 0, entering: 0, known: 0 } };

/** Removes pins that ended before `nowMs`, unless they were changed meanwhile. */
export async function forgetEndedPins(redis: Redis, pins: ReadonlyMap<string, Pin>, nowMs: number): Promise<void> {
  for (const [account, { untilMs }] of pins) {
    if (untilMs === null || untilMs > nowMs) continue;
    const text = await redis.hget(ledgerKeys.pins, account);
    if (text === null || (JSON.parse(text) as Pin).untilMs !== untilMs) continue;
    await runScript(redis, forgetFields, [ledgerKeys.pins], [account, text]);
  }
}

/** The brake has begun to hold: for every producer, and for operators to see. */
export async function holdBrake(redis: Redis, brake: BrakeState, alert: string): Promise<void> {
  await redis.set(ledgerKeys.brake, JSON.stringify({ ...brake, entries: [] }));
  await appendAudit(redis, fleetKeys.audit, { host: '*', action: 'brake', reason: alert, by: 'policy' });
}

/** An operator lets go of the brake. False: it did not hold, and nothing was done. */
export async function releaseBrake(
  redis: Redis,
  { by, why, letInUntilMs }: { by: string; why: string; letInUntilMs: number | null },
): Promise<boolean> {
  const { brake } = await readOperatorWords(redis);
  if (!brake.held) return false;
  await redis.set(ledgerKeys.brake, JSON.stringify(letGo(brake, { by, why, letInUntilMs })));
  await appendAudit(redis, fleetKeys.audit, { host: '*', action: 'brake-off', reason: why, by });
  return true;
}

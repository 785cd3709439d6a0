/**
 * What operators have said, as it stands in Redis: pins, one an account, and whether the brake has been let go. Owns
 * both keys and their audit; the CLI writes them, every producer looks at them each second. Decides nothing. A doubtful
 * one counts towards release (invariant 1): a pin that cannot be read lets its account go, such a brake lets nobody in.
 */
import { HobblerError, messageOf } from '../shared/errors.ts';
import { fleetKeys, ledgerKeys } from '../shared/keys.ts';
import { appendAudit } from '../shared/redis/audit.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { loadScript, runScript } from '../shared/redis/scripts.ts';
import { BRAKE_OPEN, type BrakeState, brakeStateSchema, letGo } from './policy/brake.ts';
import { type Pin, pinSchema } from './policy/override.ts';

const forgetFields = loadScript('forget-orders');

/** Read whole each second by every producer. */
export const MAX_PINS = 10_000;

export interface OperatorWords {
  pins: Map<string, Pin>;
  brake: BrakeState;
  /** What cannot be read, and why. */
  unreadable: string[];
}

/** Reads all. Rejects when Redis cannot be asked. */
export async function readOperatorWords(redis: Redis): Promise<OperatorWords> {
  const [texts, brakeText] = await Promise.all([redis.hgetall(ledgerKeys.pins), redis.get(ledgerKeys.brake)]);
  const unreadable: string[] = [];
  const pins = new Map<string, Pin>();
  for (const [account, text] of Object.entries(texts)) {
    pins.set(
      account,
      parsed(
        () => pinSchema.parse(JSON.parse(text)),
        DOUBTFUL_PIN,
        (why) => unreadable.push(`pin of ${account}: ${why}`),
      ),
    );
  }
  const brake =
    brakeText === null
      ? BRAKE_OPEN
      : parsed(
          () => brakeStateSchema.parse(JSON.parse(brakeText)),
          DOUBTFUL_BRAKE,
          (why) => unreadable.push(`brake: ${why}`),
        );
  return { pins, brake, unreadable };
}

const DOUBTFUL_PIN: Pin = {
  v: 1,
  kind: 'release',
  setAtMs: 0,
  by: 'unknown',
  why: 'a pin that cannot be read',
  untilMs: null,
};
const DOUBTFUL_BRAKE: BrakeState = { ...BRAKE_OPEN, held: { sinceMs: 0, entering: 0, known: 0 } };

function parsed<T>(parse: () => T, otherwise: T, say: (why: string) => void): T {
  try {
    return parse();
  } catch (error) {
    say(messageOf(error).slice(0, 300));
    return otherwise;
  }
}

/** Pins an account in place of any earlier pin. Throws bound-exceeded past MAX_PINS. */
export async function putPin(redis: Redis, account: string, pin: Pin): Promise<void> {
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
  await audit(redis, { action: 'pin', account, reason: `${what} ${until}: ${pin.why}`, by: pin.by });
}

/** Takes a pin away; false: there was none. */
export async function removePin(redis: Redis, account: string, reason: string, by: string): Promise<boolean> {
  if ((await redis.hdel(ledgerKeys.pins, account)) === 0) return false;
  await audit(redis, { action: 'unpin', account, reason, by });
  return true;
}

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
  await audit(redis, { action: 'brake', reason: alert, by: 'policy' });
}

/** An operator lets go of the brake. False: it did not hold, and nothing was done. */
export async function releaseBrake(
  redis: Redis,
  { by, why, letInUntilMs }: { by: string; why: string; letInUntilMs: number | null },
): Promise<boolean> {
  const { brake } = await readOperatorWords(redis);
  if (!brake.held) return false;
  await redis.set(ledgerKeys.brake, JSON.stringify(letGo(brake, { by, why, letInUntilMs })));
  await audit(redis, { action: 'brake-off', reason: why, by });
  return true;
}

/** In the fleet's audit, where `host` and `target` stand for what it is about. */
async function audit(
  redis: Redis,
  { account, ...entry }: { action: string; account?: string; reason: string; by: string },
): Promise<void> {
  await appendAudit(redis, fleetKeys.audit, {
    host: '*',
    ...(account === undefined ? {} : { target: account }),
    ...entry,
  });
}

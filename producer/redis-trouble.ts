/**
 * Tells trouble with Redis, which passes and which a sender can wait out, from a fault of ours. Owns that one judgement.
 */
import { HobblerError, messageOf } from '../shared/errors.ts';
import type { Redis } from '../shared/redis/connection.ts';

const NAMES = new Set(['ReplyError', 'MaxRetriesPerRequestError', 'AbortError', 'ClusterAllFailedError']);
const MESSAGES = /^(?:Connection is closed|Command timed out|Stream isn't writeable|connect |read E|write E)/;

/** True for an error that ioredis raises when Redis is away, slow, or refuses a command in its present state. */
export function isRedisTrouble(error: unknown): boolean {
  return error instanceof Error && (NAMES.has(error.name) || MESSAGES.test(error.message));
}

/** Runs `work`, which needs Redis; its trouble comes out as redis-unavailable, at once when Redis is known to be away. */
export async function needingRedis<T>(redis: Redis, work: () => Promise<T>): Promise<T> {
  if (redis.status !== 'ready') throw unavailable(`connection is ${redis.status}`);
  try {
    return await work();
  } catch (error) {
    throw isRedisTrouble(error) ? unavailable(messageOf(error)) : error;
  }
}

export function unavailable(why: string): HobblerError {
  return new HobblerError('redis-unavailable', `Redis cannot be used now (${why})`, {
    hint: 'nothing was accepted; send it again',
  });
}

/** What the routes are made of, and how they ask Redis without waiting for ever. */
import { type Clock, within } from '../../shared/clock.ts';
import { HobblerError, messageOf } from '../../shared/errors.ts';
import type { Redis } from '../../shared/redis/connection.ts';
import type { Actions } from '../act/actions.ts';
import type { FleetSource } from '../fleet/source.ts';
import type { SendEvents } from './live.ts';

export interface Parts {
  redis: Redis;
  source: FleetSource;
  actions: Actions;
  sendEvents: SendEvents;
  clock: Clock;
}

/** Longer than this no page and no act waits for Redis, milliseconds. */
const REDIS_LIMIT_MS = 4_000;

/** What Redis answers; redis-unavailable when it does not, whatever the client's own words for that are. */
export async function reachRedis<T>(clock: Clock, asked: Promise<T>, limitMs = REDIS_LIMIT_MS): Promise<T> {
  try {
    const answer = await within(clock, limitMs, asked);
    if (answer.done) return answer.value;
  } catch (error) {
    if (error instanceof HobblerError) throw error;
    throw away(messageOf(error), error);
  }
  throw away(`no answer within ${limitMs / 1000} s`);
}

function away(why: string, cause?: unknown): HobblerError {
  return new HobblerError('redis-unavailable', `Redis is away (${why})`, {
    hint: 'try again when it is back; on a host, hobbler release-all works without it',
    cause,
  });
}

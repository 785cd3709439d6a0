/**
 * The CLI's connection to Redis, for one command. Loaded only by commands that need it: `release-all` and `run` must
 * start fast, and work where nothing of Redis does.
 */
import { connectRedis, type Redis, requireFitRedis } from '../shared/redis/connection.ts';
import type { Settings } from './context.ts';

/** Connects, checks that this Redis is fit, runs `use`, and disconnects. Throws redis-unavailable or redis-misconfigured. */
export async function withRedis<T>(settings: Settings, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = connectRedis(settings.redis('hobbler-cli'), settings.createQuietLog('cli'));
  try {
    await requireFitRedis(redis, settings.redisUrl);
    return await use(redis);
  } finally {
    redis.disconnect();
  }
}

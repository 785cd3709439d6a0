/**
 * Forgets a host that is gone for good: its name in the index, what it reported, what it was asked to do, its hold and its
 * queue. Never for a host that has beaten lately: that would come back by itself, without the orders that stood for it.
 * Its audit stays, its lease ends by itself, and its epoch stays, so that a machine of that name starts above where the old one ended.
 */
import { HobblerError } from '../../shared/errors.ts';
import { fleetKeys, hostKeys } from '../../shared/keys.ts';
import { openQueue } from '../../shared/queue.ts';
import { appendAudit } from '../../shared/redis/audit.ts';
import { type Redis, redisNowMs } from '../../shared/redis/connection.ts';
import { readHost } from '../../shared/redis/fleet.ts';

/** Returns the entry in the fleet's audit. Throws denied for a host that is not lost, not-found for one that is not known. */
export async function removeHost(redis: Redis, host: string, reason: string, by: string): Promise<string> {
  const [isKnown, view] = await Promise.all([
    redis.smembers(fleetKeys.hosts).then((hosts) => hosts.includes(host)),
    redisNowMs(redis).then((nowMs) => readHost(redis, host, nowMs)),
  ]);
  if (!isKnown) throw new HobblerError('not-found', 'no such host', { where: host });
  if (view.liveness !== 'lost') {
    throw new HobblerError('denied', 'this host still beats', {
      where: host,
      expected: 'a host that is lost',
      hint: 'stop its worker first (systemctl disable --now hobbler-worker), then wait 30 s',
    });
  }
  // The index first: whoever gives orders to the fleet wakes it no more, and nothing is written there meanwhile.
  await redis.srem(fleetKeys.hosts, host);
  const keys = [hostKeys.status, hostKeys.observed, hostKeys.desired, hostKeys.hold, hostKeys.meter];
  // One by one: a Redis user may delete each, but under a rule of its own.
  for (const keyOf of keys) await redis.del(keyOf(host));
  await openQueue(host, redis).obliterate({ force: true });
  return appendAudit(redis, fleetKeys.audit, { action: 'remove-host', host, reason, by });
}

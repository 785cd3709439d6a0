/**
 * The part of the check-up that asks what our Redis user may do: everything that this host's worker needs, and nothing
 * of other hosts. Tries commands that change nothing.
 */
import { messageOf } from '../shared/errors.ts';
import { type AclProbe, strangerProbe, workerProbes } from '../shared/redis/acl.ts';
import type { Redis } from '../shared/redis/connection.ts';
import { isNotPermitted } from '../shared/redis/trouble.ts';
import type { Finding } from '../worker/doctor.ts';
import { plain } from './print.ts';

const NAME = 'redis user';

/** `isAlone`: only this machine reaches that Redis. Rejects when Redis goes away meanwhile. */
export async function checkRedisUser(redis: Redis, host: string, isAlone: boolean): Promise<Finding[]> {
  const hint = `give it what this prints, with an admin's user of Redis: hobbler acl ${host}`;
  const refused: Finding[] = [];
  for (const probe of workerProbes(host)) {
    const refusal = await refusalOf(redis, probe);
    if (refusal !== null)
      refused.push({ name: NAME, status: 'fail', detail: `${probe.what} is refused: ${plain(refusal)}`, hint });
  }
  if (refused.length > 0) return refused;
  const detail = "may do what this host's worker needs";
  if ((await refusalOf(redis, strangerProbe())) !== null)
    return [{ name: NAME, status: 'ok', detail: `${detail}, and reaches no other host's orders` }];
  if (isAlone)
    return [{ name: NAME, status: 'ok', detail: `${detail}, and everything else: only this machine reaches it` }];
  return [
    {
      name: NAME,
      status: 'warn',
      detail: `${detail}, and reaches the orders of other hosts as well: who takes over this host has the whole fleet`,
      hint: `give this host a user of its own: hobbler acl ${host}`,
    },
  ];
}

/** Why Redis refuses it to this user; null when it does not. An error that is no refusal was permitted to be made. */
async function refusalOf(redis: Redis, { command, args }: AclProbe): Promise<string | null> {
  try {
    await redis.call(command, ...args);
    return null;
  } catch (error) {
    if (isNotPermitted(error)) return messageOf(error);
    if (error instanceof Error && error.name === 'ReplyError') return null;
    throw error;
  }
}

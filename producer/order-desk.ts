/** The enforcer's way to the hosts: gives orders through the issuer, and looks up what stands on single hosts. */
import { fleetKeys, hostKeys } from '../shared/keys.ts';
import type { Order } from '../shared/order.ts';
import { parseOrderText } from '../shared/order.ts';
import type { Redis } from '../shared/redis/connection.ts';
import type { OrderIssuer } from '../shared/redis/issuer.ts';
import type { OrderDesk } from './enforcer.ts';

/** Targets asked for in one command. */
const TARGETS_AT_A_TIME = 1_000;

export function openOrderDesk(redis: Redis, issuer: OrderIssuer): OrderDesk {
  return {
    offer: (request, wake, mayOvertake) => issuer.offer(request, wake, mayOvertake),
    standingOnHosts: async (targets) => {
      const standing = new Map<string, Order[]>();
      for (const host of await redis.smembers(fleetKeys.hosts)) {
        for (let start = 0; start < targets.length; start += TARGETS_AT_A_TIME) {
          const some = targets.slice(start, start + TARGETS_AT_A_TIME);
          const texts = await readHostFields(redis, host, some);
          some.forEach((target, index) => {
            const order = parseOrNull(texts[index] ?? null);
            if (order) standing.set(target, [...(standing.get(target) ?? []), order]);
          });
        }
      }
      return standing;
    },
  };
}

/** A host whose desired state is no hash keeps nobody else's renewals. */
async function readHostFields(redis: Redis, host: string, targets: readonly string[]): Promise<(string | null)[]> {
  try {
    return await redis.hmget(hostKeys.desired(host), ...targets);
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return [];
    throw error;
  }
}

function parseOrNull(text: string | null): Order | null {
  if (text === null) return null;
  try {
    return parseOrderText(text);
  } catch {
    return null;
  }
}

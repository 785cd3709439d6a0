/**
 * When the policy's word may overtake the order that stands for a target, and when it gives way. Pure. An operator or
 * an accounting system that decides by itself has spoken about this target knowingly; the policy speaks about all. So:
 * a live tarpit by another stays until it ends, and who was released by another stays free until the policy comes to a
 * new verdict (the next window, say).
 */
import type { Order } from '../shared/order.ts';
import type { MayOvertake } from '../shared/redis/issuer.ts';

export const POLICY = 'policy';

/** A first tarpit of a new verdict. */
export const mayTarpit: MayOvertake = (standing, redisNowMs) =>
  standing === null || standing.by === POLICY || !isLiveTarpit(standing, redisNowMs);

/** The renewal of a tarpit that the policy first ordered at `tarpittedAtMs`: not over a later release by another. */
export function mayRenew(tarpittedAtMs: number): MayOvertake {
  return (standing, redisNowMs) => mayTarpit(standing, redisNowMs) && !isReleasedByOther(standing, tarpittedAtMs);
}

/** An untarpit: only of what the policy itself has ordered. */
export const mayUntarpit: MayOvertake = (standing, redisNowMs) =>
  standing === null || standing.by === POLICY || (standing.action === 'tarpit' && !isLiveTarpit(standing, redisNowMs));

/** True when somebody else has released this target since the policy first ordered its tarpit (Redis's clock). */
export function isReleasedByOther(standing: Order | null, tarpittedAtMs: number): boolean {
  return (
    standing !== null && standing.action === 'untarpit' && standing.by !== POLICY && standing.issuedAt >= tarpittedAtMs
  );
}

function isLiveTarpit(order: Order, redisNowMs: number): boolean {
  return order.action === 'tarpit' && order.expiresAt > redisNowMs;
}

/** An order as histories give it, written out in full as it goes over the wire. */
import type { Order } from '../../../shared/order.ts';
import type { GivenOrder } from './model.ts';

export function orderOf(given: GivenOrder, host: string): Order {
  const { action, target, road, cycle, version, issuedAtMs, expiresAtMs } = given;
  const common = {
    v: 1 as const,
    host: road === 'fleet' ? '*' : host,
    target,
    version,
    issuedAt: issuedAtMs,
    reason: 'a test',
    by: 'outsider',
  };
  if (action === 'untarpit') return { ...common, action };
  return { ...common, action, expiresAt: expiresAtMs, hobble: { ...cycle, mechanism: 'auto', every: true } };
}

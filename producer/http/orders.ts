/**
 * POST /v1/orders: orders of accounting systems that decide by themselves. Owns that a flood of them does not choke
 * Redis and that an untarpit goes before the tarpits that wait. They pass by the readings that wait.
 */
import type { FastifyInstance } from 'fastify';
import { Limiter } from '../admission/limiter.ts';
import { parseDirectOrder } from '../direct-orders.ts';
import { answerOnce } from './answering.ts';
import type { Behind } from './door.ts';

/** Each is a handful of round trips. */
const AT_A_TIME = 16;
const MAX_WAITING = 1_000;
const MAX_BODY_BYTES = 64 * 1024;

export function addOrders(app: FastifyInstance, behind: Behind): void {
  const { config, issuer, log } = behind;
  const limiter = new Limiter({ concurrency: AT_A_TIME, maxWaiting: MAX_WAITING, what: 'orders' });
  const options = { bodyLimit: MAX_BODY_BYTES, config: { scope: 'orders:write' } } as const;
  app.post('/v1/orders', options, async (request, reply) => {
    const order = parseDirectOrder(request.body);
    return answerOnce(behind, request, reply, async (signal) => {
      if (config.dryRun) {
        log.info({ order }, 'dry run: would order');
        return { status: 200, body: { dryRun: true, order: null, jobs: {} } };
      }
      const issued = await limiter.run(() => issuer.issue(order), { urgency: order.action, signal });
      return { status: 202, body: { order: issued.order, jobs: issued.jobs } };
    });
  });
}

/** From an order to its job on the queue board. Reads only; the board itself is admin/queues/board.ts. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { hostName } from '../../shared/order.ts';
import { sessionOf } from '../access/gate.ts';
import { findOrderJob } from '../queues/find-job.ts';
import { BOARD_PATH, jobLink, queueLink } from '../queues/names.ts';
import { html } from '../views/html.ts';
import { layout } from '../views/layout.ts';
import { target } from './act-input.ts';
import { parseInput } from './input.ts';
import { type Parts, reachRedis } from './parts.ts';

const orderQuery = z.object({ host: hostName, target, version: z.coerce.number().int().min(1) });

export function addQueueRoutes(app: FastifyInstance, { redis, clock }: Parts): void {
  app.get(`${BOARD_PATH}/find`, async (request, reply) => {
    const session = sessionOf(request);
    const { host, target, version } = parseInput(orderQuery, request.query);
    const jobId = await reachRedis(clock, findOrderJob(redis, host, target, version));
    if (jobId !== null) return reply.redirect(jobLink(host, jobId), 303);
    const body = html`<section class="act"><h1>No job of that order</h1>
<p>The queue of ${host} keeps no job for <code>${target}</code> at version ${version}. Either it was one too many of the last ones that are kept, or there was none: a host that was not alive finds its orders by itself when it comes back, and renewals need no job.</p>
<div class="buttons"><a class="button" href="${queueLink(host)}">To the queue of ${host}</a></div></section>`;
    return reply
      .status(404)
      .type('text/html; charset=utf-8')
      .send(layout({ title: 'No job', body, session, section: 'queues' }));
  });
}

/** The fleet page and the same as JSON for programs, and the metrics. Reads only. */
import type { FastifyInstance } from 'fastify';
import { sessionOf } from '../access/gate.ts';
import { fleetMetrics } from '../metrics.ts';
import { fleetFrame, fleetParts } from '../views/fleet-page.ts';
import { layout } from '../views/layout.ts';
import { fleetPath } from '../views/paths.ts';
import { fleetQuery, parseInput } from './input.ts';
import { EVENTS, liveOf } from './live.ts';
import type { Parts } from './parts.ts';

const HTML = 'text/html; charset=utf-8';

export function addFleetRoutes(app: FastifyInstance, { source, sendEvents }: Parts): void {
  app.get('/', async (request, reply) => {
    const session = sessionOf(request);
    const wanted = parseInput(fleetQuery, request.query);
    await source.read();
    const parts = fleetParts({ answer: source.now(), wanted, mayAct: session.role === 'operator' });
    const live = liveOf(fleetPath(wanted, {}, '/events/fleet'), parts, source.nowMs);
    const page = { title: 'Fleet', body: fleetFrame(wanted, parts), session, section: 'fleet', live } as const;
    return reply.type(HTML).send(layout(page));
  });

  app.get('/events/fleet', EVENTS, async (request, reply) => {
    const mayAct = sessionOf(request).role === 'operator';
    const wanted = parseInput(fleetQuery, request.query);
    const key = JSON.stringify(['fleet', mayAct, wanted]);
    return sendEvents(request, reply, { key, draw: () => fleetParts({ answer: source.now(), wanted, mayAct }) });
  });

  app.get('/api/fleet', async (_request, reply) => {
    const answer = await source.read();
    return reply.status(answer.redis === 'here' ? 200 : 503).send(answer);
  });

  app.get('/metrics', { config: { access: 'scraper' } }, async (_request, reply) => {
    const { contentType, text } = await fleetMetrics(await source.read());
    return reply.type(contentType).send(text);
  });
}

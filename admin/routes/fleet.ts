/** The fleet page and the same as JSON for programs, and the metrics. Reads only. */
import type { FastifyInstance } from 'fastify';
import { sessionOf } from '../access/gate.ts';
import { fleetMetrics } from '../metrics.ts';
import { fleetPage } from '../views/fleet-page.ts';
import { layout } from '../views/layout.ts';
import { fleetQuery, parseInput } from './input.ts';
import type { Parts } from './parts.ts';

const HTML = 'text/html; charset=utf-8';

export function addFleetRoutes(app: FastifyInstance, { source }: Parts): void {
  app.get('/', async (request, reply) => {
    const session = sessionOf(request);
    const { q, page, hosts } = parseInput(fleetQuery, request.query);
    const answer = await source.read();
    const notice = session.notice;
    session.notice = null;
    const body = fleetPage({
      answer,
      wanted: { query: q, page, hostsPage: hosts },
      mayAct: session.role === 'operator',
    });
    return reply.type(HTML).send(layout({ title: 'Fleet', body, session, section: 'fleet', notice, isLive: true }));
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

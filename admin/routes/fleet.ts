/** The fleet page and the same as JSON for programs, the audit page, and the metrics. Reads only. */
import type { FastifyInstance } from 'fastify';
import { redisNowMs } from '../../shared/redis/connection.ts';
import { sessionOf } from '../access/gate.ts';
import { readAudit } from '../audit.ts';
import { fleetMetrics } from '../metrics.ts';
import { auditPage } from '../views/audit-page.ts';
import { fleetPage } from '../views/fleet-page.ts';
import { layout } from '../views/layout.ts';
import { auditQuery, fleetQuery, parseInput } from './input.ts';
import { type Parts, reachRedis } from './parts.ts';

const HTML = 'text/html; charset=utf-8';

export function addFleetRoutes(app: FastifyInstance, { source, redis, clock }: Parts): void {
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

  app.get('/audit', async (request, reply) => {
    const session = sessionOf(request);
    const { host, before } = parseInput(auditQuery, request.query);
    const [page, nowMs, answer] = await reachRedis(
      clock,
      Promise.all([readAudit(redis, host, before), redisNowMs(redis), source.read()]),
    );
    const hosts = answer.redis === 'here' ? answer.fleet.hosts.map((row) => row.host) : [];
    const body = auditPage({ host, hosts, page, isFirst: before === undefined, nowMs });
    return reply.type(HTML).send(layout({ title: 'Audit', body, session, section: 'audit' }));
  });

  app.get('/metrics', { config: { access: 'scraper' } }, async (_request, reply) => {
    const { contentType, text } = await fleetMetrics(await source.read());
    return reply.type(contentType).send(text);
  });
}
